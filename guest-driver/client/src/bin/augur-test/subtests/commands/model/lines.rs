// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands along one dimension.

use augur_client::{ReduceKind, Tensor};

use super::{Model, indices};

impl Model {
    /// REDUCE.
    pub fn reduce(&mut self, destination: &Tensor, source: &Tensor, axis: usize, kind: ReduceKind) {
        for index in indices(destination.shape()) {
            let line = self.line(source, axis, &index);
            let (sum, magnitude) = (total(&line), total_magnitude(&line));
            let count = line.len() as f64;
            let (value, magnitude) = match kind {
                ReduceKind::Sum => (sum, magnitude),
                ReduceKind::Mean => (sum / count, magnitude / count),
                ReduceKind::Maximum => (largest(&line), 0.0),
            };
            self.set_float(destination, &index, value as f32, magnitude as f32);
        }
    }

    /// SOFTMAX.
    pub fn softmax(&mut self, destination: &Tensor, source: &Tensor, axis: usize) {
        self.each_line(destination, source, axis, |line| {
            let largest = largest(line);
            let powers: Vec<f64> = line.iter().map(|value| (value - largest).exp()).collect();
            let sum = total(&powers);
            powers
                .iter()
                .map(|&power| (power / sum, power / sum))
                .collect()
        });
    }

    /// LAYER_NORM.
    pub fn layer_norm(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        [scale, bias]: [&Tensor; 2],
        axis: usize,
        epsilon: f32,
    ) {
        let (scale, bias) = (self.line(scale, 0, &[0]), self.line(bias, 0, &[0]));
        self.each_line(destination, source, axis, |line| {
            let count = line.len() as f64;
            let mean = total(line) / count;
            let squares: Vec<f64> = line.iter().map(|value| (value - mean).powi(2)).collect();
            let deviation = (total(&squares) / count + f64::from(epsilon)).sqrt();
            // What the mean was made of is in every difference from it.
            let differences = (largest_magnitude(line) + total_magnitude(line) / count) / deviation;
            let finished = line.iter().zip(scale.iter().zip(&bias));
            finished
                .map(|(value, (scale, bias))| {
                    let result = (value - mean) / deviation * scale + bias;
                    (result, differences * scale.abs() + bias.abs())
                })
                .collect()
        });
    }

    /// Sets each line of `destination` to what `make` gives for that of
    /// `source`: values with their magnitudes.
    fn each_line(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        axis: usize,
        make: impl Fn(&[f64]) -> Vec<(f64, f64)>,
    ) {
        let mut starts = source.shape().to_vec();
        starts[axis] = 1;
        for mut index in indices(&starts) {
            let results = make(&self.line(source, axis, &index));
            for (at, (value, magnitude)) in (0..).zip(results) {
                index[axis] = at;
                self.set_float(destination, &index, value as f32, magnitude as f32);
            }
        }
    }

    /// The elements along `axis` through `index`.
    fn line(&self, tensor: &Tensor, axis: usize, index: &[u32]) -> Vec<f64> {
        let mut index = index.to_vec();
        (0..tensor.shape()[axis])
            .map(|at| {
                index[axis] = at;
                self.float(tensor, &index).into()
            })
            .collect()
    }
}

fn total(line: &[f64]) -> f64 {
    line.iter().sum()
}

fn total_magnitude(line: &[f64]) -> f64 {
    line.iter().map(|value| value.abs()).sum()
}

fn largest(line: &[f64]) -> f64 {
    line.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn largest_magnitude(line: &[f64]) -> f64 {
    line.iter()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}
