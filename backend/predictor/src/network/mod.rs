// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network: a multilayer perceptron that corrects the mixer's log-odds.
//!
//! candle trains it ([`Trainer`]); scoring walks flat arrays, and a test holds
//! the two to one result. Weights never change in place: a [`Network`] is
//! published whole and replaces the one before, so that scoring never sees
//! half of an update.

mod trainer;

pub use trainer::{Lesson, Trainer, TrainingError};

use crate::features::{FEATURES, Features};
use crate::table::mix;

/// Widths of the hidden layers.
pub const HIDDEN: [usize; 2] = [64, 48];

/// Shapes of the tensors, weights and biases in turn: name, rows (outputs),
/// columns (inputs). A bias has one row.
pub const SHAPES: [(&str, usize, usize); 6] = [
    ("layer0.weight", HIDDEN[0], FEATURES),
    ("layer0.bias", 1, HIDDEN[0]),
    ("layer1.weight", HIDDEN[1], HIDDEN[0]),
    ("layer1.bias", 1, HIDDEN[1]),
    ("layer2.weight", 1, HIDDEN[1]),
    ("layer2.bias", 1, 1),
];

/// Weights beyond this are not the result of training.
pub const LARGEST_WEIGHT: f32 = 1e3;

/// The correction stays within this many units of log-odds, whatever the
/// weights are.
pub const LARGEST_CORRECTION: f32 = 4.0;

/// Weights and biases, as candle lays them out (row by row) and transposed for
/// the forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    tensors: [Vec<f32>; SHAPES.len()],
    /// `layer0.weight` and `layer1.weight`, input by input: a column of an
    /// input that is zero is skipped.
    columns: [Vec<f32>; 2],
}

fn transposed(weights: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| weights[row * columns + column]))
        .collect()
}

impl Network {
    /// A network of these tensors, in the order and of the sizes of [`SHAPES`].
    /// `None` if a size is another.
    pub fn from_tensors(tensors: [Vec<f32>; SHAPES.len()]) -> Option<Self> {
        let fits = tensors
            .iter()
            .zip(SHAPES)
            .all(|(tensor, (_, rows, columns))| tensor.len() == rows * columns);
        fits.then(|| {
            let columns = [
                transposed(&tensors[0], HIDDEN[0], FEATURES),
                transposed(&tensors[2], HIDDEN[1], HIDDEN[0]),
            ];
            Self { tensors, columns }
        })
    }

    /// Random weights with a last layer of zeros: corrects nothing yet.
    pub fn untrained(seed: u64) -> Self {
        let mut draw = seed;
        let tensors: [Vec<f32>; SHAPES.len()] = std::array::from_fn(|index| {
            let (_, rows, columns) = SHAPES[index];
            let drawn = index % 2 == 0 && index < SHAPES.len() - 2;
            // He initialisation, uniform: variance 2 / inputs.
            let bound = (6.0 / columns as f32).sqrt();
            (0..rows * columns)
                .map(|_| {
                    draw = mix(draw);
                    let uniform = (draw >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
                    if drawn { uniform * bound } else { 0.0 }
                })
                .collect()
        });
        let columns = [
            transposed(&tensors[0], HIDDEN[0], FEATURES),
            transposed(&tensors[2], HIDDEN[1], HIDDEN[0]),
        ];
        Self { tensors, columns }
    }

    /// The tensors, in the order of [`SHAPES`].
    pub fn tensors(&self) -> &[Vec<f32>; SHAPES.len()] {
        &self.tensors
    }

    /// Weights and biases, counted.
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(Vec::len).sum()
    }

    /// Appends the correction of the log-odds of each candidate.
    pub fn correct(&self, batch: &[Features], corrections: &mut Vec<f32>) {
        pulp::Arch::new().dispatch(|| {
            corrections.extend(batch.iter().map(|features| self.correction(features)));
        });
    }

    #[inline(always)]
    fn correction(&self, features: &Features) -> f32 {
        let [_, bias0, _, bias1, weight2, bias2] = &self.tensors;
        let mut first = [0.0; HIDDEN[0]];
        first.copy_from_slice(bias0);
        accumulate(&features.values(), &self.columns[0], &mut first);
        let mut second = [0.0; HIDDEN[1]];
        second.copy_from_slice(bias1);
        accumulate(&first, &self.columns[1], &mut second);
        let sum: f32 = weight2
            .iter()
            .zip(&second)
            .map(|(weight, input)| weight * input)
            .sum();
        (sum + bias2[0]).clamp(-LARGEST_CORRECTION, LARGEST_CORRECTION)
    }
}

/// `to` = max(0, `to` + `columns` · `from`).
#[inline(always)]
fn accumulate<const FROM: usize, const TO: usize>(
    from: &[f32; FROM],
    columns: &[f32],
    to: &mut [f32; TO],
) {
    for (&input, column) in from.iter().zip(columns.chunks_exact(TO)) {
        if input != 0.0 {
            for (sum, weight) in to.iter_mut().zip(column) {
                *sum += input * weight;
            }
        }
    }
    for sum in to {
        *sum = sum.max(0.0);
    }
}
