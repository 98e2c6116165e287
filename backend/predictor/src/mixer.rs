// SPDX-License-Identifier: MIT OR Apache-2.0
//! The online logistic scorer: mixes the log-odds of the evidence with weights
//! that follow the gradient of the coding loss, one set for each class of
//! candidates.

use crate::evidence::{CLASSES, CONTEXTS, Evidence, squash, stretch};

/// Inputs: evidence, the prior, and a constant.
const INPUTS: usize = CONTEXTS + 2;
/// Where the learning rate starts and where it falls to.
const RATE: (f32, f32) = (0.02, 0.002);
/// Samples after which the rate has fallen half way.
const RATE_HALF: f32 = 400.0;

/// Mixing weights.
#[derive(Debug)]
pub struct Mixer {
    weights: Vec<[f32; INPUTS]>,
    seen: Vec<f32>,
}

fn inputs(evidence: &Evidence) -> [f32; INPUTS] {
    let mut inputs = [0.0; INPUTS];
    let mut trust = 0.0;
    for ((input, odds), known) in inputs.iter_mut().zip(evidence.odds).zip(evidence.trust) {
        *input = odds * known;
        trust += known;
    }
    // The prior counts for what the evidence does not cover.
    inputs[CONTEXTS] = stretch(evidence.prior) * (1.0 - trust / CONTEXTS as f32);
    inputs[CONTEXTS + 1] = 0.3;
    inputs
}

impl Mixer {
    /// Weights that average the evidence.
    pub fn new() -> Self {
        let mut first = [1.4 / CONTEXTS as f32; INPUTS];
        first[CONTEXTS] = 1.0;
        first[CONTEXTS + 1] = 0.0;
        Self {
            weights: vec![first; CLASSES],
            seen: vec![0.0; CLASSES],
        }
    }

    /// The log-odds that the candidate is used.
    pub fn odds(&self, evidence: &Evidence) -> f32 {
        let weights = &self.weights[evidence.class as usize % CLASSES];
        inputs(evidence)
            .iter()
            .zip(weights)
            .map(|(input, weight)| input * weight)
            .sum::<f32>()
            .clamp(-12.0, 12.0)
    }

    /// Learns from an outcome.
    pub fn learn(&mut self, evidence: &Evidence, used: bool) {
        let class = evidence.class as usize % CLASSES;
        let error = if used { 1.0 } else { 0.0 } - squash(self.odds(evidence));
        let seen = &mut self.seen[class];
        *seen += 1.0;
        let rate = RATE.1 + (RATE.0 - RATE.1) * RATE_HALF / (RATE_HALF + *seen);
        for (weight, input) in self.weights[class].iter_mut().zip(inputs(evidence)) {
            *weight += rate * error * input;
        }
    }
}
