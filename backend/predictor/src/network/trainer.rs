// SPDX-License-Identifier: MIT OR Apache-2.0
//! Training with candle: AdamW on batches of labelled candidates.
//!
//! A trainer belongs to one thread, which need not be the predictor's: lessons
//! come from [`Predictor::take_lessons`](crate::Predictor::take_lessons), and
//! what [`Trainer::learn`] returns goes to
//! [`Predictor::publish`](crate::Predictor::publish).

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use thiserror::Error;

use super::{LARGEST_WEIGHT, Network, SHAPES};
use crate::features::{FEATURES, Features};

/// Lessons that [`Trainer::learn`] is best called with.
pub const BATCH: usize = 64;
const RATE: f64 = 2e-3;
const WEIGHT_DECAY: f64 = 1e-3;

/// Why a step of training was not taken; the weights before it stay.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A weight was not finite, or absurd, after the step.
    #[error("`{0}` was not finite or above {LARGEST_WEIGHT} after a step of training")]
    Diverged(&'static str),
    /// candle failed.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

/// One labelled candidate.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// What the scorer saw of it.
    pub features: Features,
    /// The mixer's log-odds.
    pub odds: f32,
    /// Whether it was used.
    pub used: bool,
}

/// Trains a network.
pub struct Trainer {
    variables: Vec<Var>,
    optimizer: AdamW,
    last: Arc<Network>,
}

impl Trainer {
    /// Lessons to learn from at a time.
    pub const BATCH: usize = BATCH;

    /// Goes on from `network`.
    ///
    /// # Errors
    /// [`TrainingError::Candle`] when a tensor cannot be made.
    pub fn new(network: Arc<Network>) -> Result<Self, TrainingError> {
        let variables = network
            .tensors()
            .iter()
            .zip(SHAPES)
            .map(|(values, (_, rows, columns))| {
                Var::from_slice(values, (rows, columns), &Device::Cpu)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let parameters = ParamsAdamW {
            lr: RATE,
            weight_decay: WEIGHT_DECAY,
            ..Default::default()
        };
        Ok(Self {
            optimizer: AdamW::new(variables.clone(), parameters)?,
            variables,
            last: network,
        })
    }

    /// candle's forward pass: corrections [rows, 1] of features [rows, FEATURES].
    fn forward(&self, features: &Tensor) -> Result<Tensor, candle_core::Error> {
        let layer = |input: &Tensor, index: usize| {
            input
                .matmul(&self.variables[2 * index].t()?)?
                .broadcast_add(&self.variables[2 * index + 1])
        };
        let first = layer(features, 0)?.relu()?;
        let second = layer(&first, 1)?.relu()?;
        layer(&second, 2)
    }

    /// One step on `batch`, and the network after it. The loss is the binary
    /// cross entropy of the mixer's log-odds plus the correction.
    ///
    /// # Errors
    /// [`TrainingError`]; the trainer then goes on from the last good weights.
    pub fn learn(&mut self, batch: &[Lesson]) -> Result<Arc<Network>, TrainingError> {
        match self.step(batch) {
            Ok(network) => {
                self.last = Arc::new(network);
                Ok(Arc::clone(&self.last))
            }
            Err(error) => {
                *self = Self::new(Arc::clone(&self.last))?;
                Err(error)
            }
        }
    }

    fn step(&mut self, batch: &[Lesson]) -> Result<Network, TrainingError> {
        let rows = batch.len();
        let features: Vec<f32> = batch.iter().flat_map(|l| l.features.values()).collect();
        let odds: Vec<f32> = batch.iter().map(|lesson| lesson.odds).collect();
        let used: Vec<f32> = batch.iter().map(|l| f32::from(u8::from(l.used))).collect();
        let features = Tensor::from_vec(features, (rows, FEATURES), &Device::Cpu)?;
        let odds = Tensor::from_vec(odds, (rows, 1), &Device::Cpu)?;
        let used = Tensor::from_vec(used, (rows, 1), &Device::Cpu)?;
        let total = (self.forward(&features)? + odds)?;
        self.optimizer.backward_step(&loss(&total, &used)?)?;
        self.network()
    }

    fn network(&self) -> Result<Network, TrainingError> {
        let mut tensors: [Vec<f32>; SHAPES.len()] = Default::default();
        for ((kept, variable), (name, ..)) in tensors.iter_mut().zip(&self.variables).zip(SHAPES) {
            *kept = variable.flatten_all()?.to_vec1()?;
            if !kept.iter().all(|weight| weight.abs() <= LARGEST_WEIGHT) {
                return Err(TrainingError::Diverged(name));
            }
        }
        Network::from_tensors(tensors).ok_or(TrainingError::Diverged("shape"))
    }
}

/// Binary cross entropy of log-odds x with targets t, as max(x, 0) − x·t +
/// ln(1 + e^−|x|): candle's own takes the logarithm of a probability, which is
/// infinite for a candidate that is certain and wrong.
fn loss(odds: &Tensor, used: &Tensor) -> Result<Tensor, candle_core::Error> {
    let softened = (odds.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((odds.relu()? - (odds * used)?)? + softened)?.mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::mix;

    /// A candidate is used when its first two features differ in sign.
    fn lesson(seed: u64) -> Lesson {
        let features = Features::from_fn(|index| {
            (mix(seed * 100 + index as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0
        });
        let values = features.values();
        Lesson {
            features,
            odds: 0.0,
            used: values[0] * values[1] < 0.0,
        }
    }

    fn trained(steps: u64) -> (Trainer, Arc<Network>) {
        let mut trainer = Trainer::new(Arc::new(Network::untrained(7))).unwrap();
        let mut network = Arc::new(Network::untrained(7));
        for step in 0..steps {
            let batch: Vec<Lesson> = (0..64).map(|i| lesson(step * 64 + i)).collect();
            network = trainer.learn(&batch).unwrap();
        }
        (trainer, network)
    }

    fn corrections(network: &Network, batch: &[Features]) -> Vec<f32> {
        let mut corrections = Vec::new();
        network.correct(batch, &mut corrections);
        corrections
    }

    #[test]
    fn the_flat_forward_pass_equals_candles() {
        let (trainer, network) = trained(300);
        let batch: Vec<Features> = (0..200).map(|seed| lesson(seed).features).collect();
        let values: Vec<f32> = batch.iter().flat_map(Features::values).collect();
        let tensor = Tensor::from_vec(values, (200, FEATURES), &Device::Cpu).unwrap();
        let expected = trainer.forward(&tensor).unwrap().flatten_all().unwrap();
        let expected = expected.to_vec1::<f32>().unwrap();
        assert!(expected.iter().any(|x| x.abs() > 0.5));
        for (found, expected) in corrections(&network, &batch).into_iter().zip(expected) {
            let expected = expected.clamp(-4.0, 4.0);
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn training_learns_what_a_logistic_scorer_cannot() {
        let (_, network) = trained(600);
        let lessons: Vec<Lesson> = (100_000..101_000).map(lesson).collect();
        let batch: Vec<Features> = lessons.iter().map(|lesson| lesson.features).collect();
        let right = corrections(&network, &batch)
            .into_iter()
            .zip(&lessons)
            .filter(|(correction, lesson)| (*correction > 0.0) == lesson.used)
            .count();
        assert!(right > 700, "{right} of 1000");
    }

    #[test]
    fn an_untrained_network_corrects_nothing() {
        let batch: Vec<Features> = (0..10).map(|seed| lesson(seed).features).collect();
        let corrections = corrections(&Network::untrained(3), &batch);
        assert!(corrections.iter().all(|&correction| correction == 0.0));
    }

    #[test]
    fn a_step_that_diverges_leaves_the_weights_before_it() {
        let (mut trainer, before) = trained(3);
        let mut batch = vec![lesson(1); 64];
        batch[5].odds = f32::NAN;
        assert!(matches!(
            trainer.learn(&batch),
            Err(TrainingError::Diverged(_))
        ));
        assert_eq!(trainer.last, before);
        let after = trainer.learn(&[lesson(2); 64]).unwrap();
        assert_ne!(after, before);
    }

    #[test]
    fn a_published_network_does_not_change_while_training_goes_on() {
        let (mut trainer, published) = trained(3);
        let batch: Vec<Features> = (0..64).map(|seed| lesson(seed).features).collect();
        let before = corrections(&published, &batch);
        let lessons: Vec<Lesson> = (0..64).map(lesson).collect();
        let next = trainer.learn(&lessons).unwrap();
        assert_eq!(corrections(&published, &batch), before);
        assert_ne!(corrections(&next, &batch), before);
    }
}
