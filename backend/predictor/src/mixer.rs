// SPDX-License-Identifier: MIT OR Apache-2.0
//! The online logistic scorer: mixes the log-odds of the evidence with weights
//! that follow the gradient of the coding loss, one set for each class of
//! candidates.

use crate::evidence::{CLASSES, Evidence, PRIOR, squash};

/// Inputs: the counters, the prior, and a constant.
pub const INPUTS: usize = PRIOR + 2;
/// Where the learning rate starts and where it falls to.
const RATE: (f32, f32) = (0.02, 0.002);
/// Samples after which the rate has fallen half way.
const RATE_HALF: f32 = 400.0;
/// The constant input.
const CONSTANT: f32 = 0.3;
/// Log-odds stay within this.
const LARGEST: f32 = 12.0;

/// Mixing weights: a row of [`INPUTS`] for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixer {
    weights: Vec<[f32; INPUTS]>,
    seen: Vec<f32>,
}

fn inputs(evidence: &Evidence) -> [f32; INPUTS] {
    let mut inputs = [CONSTANT; INPUTS];
    for (index, input) in inputs[..=PRIOR].iter_mut().enumerate() {
        *input = evidence.features.get(index);
    }
    inputs
}

impl Mixer {
    /// Weights that average the evidence.
    pub fn new() -> Self {
        let mut first = [1.4 / PRIOR as f32; INPUTS];
        first[PRIOR] = 1.0;
        first[PRIOR + 1] = 0.0;
        Self::from_weights(vec![first; CLASSES])
    }

    /// A mixer of these weights; classes that are missing do not count.
    pub fn from_weights(mut weights: Vec<[f32; INPUTS]>) -> Self {
        weights.resize(CLASSES, [0.0; INPUTS]);
        Self {
            weights,
            seen: vec![0.0; CLASSES],
        }
    }

    /// The weights, class by class.
    pub fn weights(&self) -> &[[f32; INPUTS]] {
        &self.weights
    }

    /// The log-odds that the candidate is used.
    pub fn odds(&self, evidence: &Evidence) -> f32 {
        let weights = &self.weights[evidence.class as usize % CLASSES];
        inputs(evidence)
            .iter()
            .zip(weights)
            .map(|(input, weight)| input * weight)
            .sum::<f32>()
            .clamp(-LARGEST, LARGEST)
    }

    /// Learns from an outcome; answers the log-odds before.
    pub fn learn(&mut self, evidence: &Evidence, used: bool) -> f32 {
        let class = evidence.class as usize % CLASSES;
        let odds = self.odds(evidence);
        let error = f32::from(u8::from(used)) - squash(odds);
        let seen = &mut self.seen[class];
        *seen += 1.0;
        let rate = RATE.1 + (RATE.0 - RATE.1) * RATE_HALF / (RATE_HALF + *seen);
        for (weight, input) in self.weights[class].iter_mut().zip(inputs(evidence)) {
            *weight += rate * error * input;
        }
        odds
    }
}
