// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that measure a line of elements along one dimension, then change
//! each of its elements: softmax and layer normalisation.
//!
//! The destination may be the source, element for element.

use std::sync::atomic::AtomicBool;

use pulp::{Arch, Simd, WithSimd};

use crate::blocks::{Blocks, block_elements, simplify_behind};
use crate::exponential::exp_of_negative;
use crate::layout::MAX_RANK;
use crate::reduce::{fold, maximum};
use crate::view::Span;
use crate::{KernelError, Layout, ShapeError, View, cancel};

/// Checks the shapes of a softmax.
pub fn check_softmax(
    destination: &Layout<f32>,
    source: &Layout<f32>,
    axis: usize,
) -> Result<(), ShapeError> {
    if axis >= source.rank() {
        return Err(ShapeError::Parameter { parameter: "axis" });
    }
    if !destination.same_shape(source) {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// Checks the shapes of a layer normalisation: scale and bias are of rank 1
/// and as long as dimension `axis`.
pub fn check_layer_norm(
    destination: &Layout<f32>,
    source: &Layout<f32>,
    scale: &Layout<f32>,
    bias: &Layout<f32>,
    axis: usize,
) -> Result<(), ShapeError> {
    check_softmax(destination, source, axis)?;
    for layout in [scale, bias] {
        if layout.rank() != 1 {
            return Err(ShapeError::Rank {
                rank: layout.rank(),
                needed: 1,
            });
        }
        if layout.shape()[0] != source.shape()[axis] {
            return Err(ShapeError::Mismatch);
        }
    }
    Ok(())
}

/// dst = exp(src - m) / Σ exp(src - m) with m the maximum, along dimension
/// `axis`.
pub fn softmax_f32(
    destination: View<f32>,
    source: View<f32>,
    axis: usize,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check_softmax(destination.layout(), source.layout(), axis)?;
    run(&Softmax, destination, source, axis, cancelled)
}

/// dst = (src - mean) / sqrt(variance + epsilon) · scale + bias, along
/// dimension `axis`; the variance is that of the line itself (divided by n).
pub fn layer_norm_f32(
    destination: View<f32>,
    source: View<f32>,
    scale: View<f32>,
    bias: View<f32>,
    epsilon: f32,
    axis: usize,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check_layer_norm(
        destination.layout(),
        source.layout(),
        scale.layout(),
        bias.layout(),
        axis,
    )?;
    let count = source.shape()[axis] as f32;
    run(
        &LayerNorm {
            scale,
            bias,
            epsilon,
            count,
        },
        destination,
        source,
        axis,
        cancelled,
    )
}

/// Two numbers that are measured one after the other, each over the whole
/// line, and what is done with them.
trait Normalization {
    /// The first number before the line is looked at.
    const FIRST: f32;

    /// Measures more of the line.
    fn first(&self, first: f32, values: &[f32]) -> f32;

    /// Measures more of the line, knowing the first number.
    fn second(&self, first: f32, second: f32, values: &[f32]) -> f32;

    /// Changes the elements from `place` on.
    fn apply(&self, first: f32, second: f32, place: u64, values: &mut [f32]);
}

/// The maximum, and the sum of the exponentials.
struct Softmax;

impl Normalization for Softmax {
    const FIRST: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn first(&self, first: f32, values: &[f32]) -> f32 {
        maximum(first, fold(values, Self::FIRST, |value| value, maximum))
    }

    #[inline(always)]
    fn second(&self, first: f32, second: f32, values: &[f32]) -> f32 {
        second
            + fold(
                values,
                0.0,
                |value| exp_of_negative(value - first),
                |a, b| a + b,
            )
    }

    #[inline(always)]
    fn apply(&self, first: f32, second: f32, _: u64, values: &mut [f32]) {
        let share = 1.0 / second;
        for value in values {
            *value = exp_of_negative(*value - first) * share;
        }
    }
}

/// The sum, and the sum of the squares of the distances from the mean.
struct LayerNorm {
    scale: View<f32>,
    bias: View<f32>,
    epsilon: f32,
    count: f32,
}

impl Normalization for LayerNorm {
    const FIRST: f32 = 0.0;

    #[inline(always)]
    fn first(&self, first: f32, values: &[f32]) -> f32 {
        first + fold(values, 0.0, |value| value, |a, b| a + b)
    }

    #[inline(always)]
    fn second(&self, first: f32, second: f32, values: &[f32]) -> f32 {
        let mean = first / self.count;
        second
            + fold(
                values,
                0.0,
                |value| (value - mean) * (value - mean),
                |a, b| a + b,
            )
    }

    #[inline(always)]
    fn apply(&self, first: f32, second: f32, place: u64, values: &mut [f32]) {
        let mean = first / self.count;
        let factor = 1.0 / (second / self.count + self.epsilon).sqrt();
        let (mut scales, mut biases) = ([0.0; 256], [0.0; 256]);
        let mut start = [0; MAX_RANK];
        start[0] = place;
        for values in values.chunks_mut(scales.len()) {
            let (scales, biases) = (&mut scales[..values.len()], &mut biases[..values.len()]);
            let (row, run) = (Span::dense(1, 1), Span::dense(0, values.len()));
            self.scale.load(&start, row, run, scales);
            self.bias.load(&start, row, run, biases);
            start[0] += values.len() as u64;
            for (value, (scale, bias)) in values.iter_mut().zip(scales.iter().zip(biases.iter())) {
                *value = (*value - mean) * factor * scale + bias;
            }
        }
    }
}

fn run<N: Normalization>(
    normalization: &N,
    destination: View<f32>,
    source: View<f32>,
    axis: usize,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let [source, destination] = simplify_behind(axis, [source, destination]);
    let length = source.shape()[0];
    let mut buffer = vec![0.0f32; block_elements::<f32>()];
    let mut lines = source.shape();
    lines[0] = 1;
    if length <= buffer.len() as u64 {
        let length = length as usize;
        for block in Blocks::tiled(lines, 1, buffer.len() / length) {
            cancel::check(cancelled)?;
            let values = &mut buffer[..block.columns.count * length];
            let line = Span::dense(0, length);
            source.load(&block.start, block.columns, line, values);
            for values in values.chunks_exact_mut(length) {
                let first = vectorized(normalization, Step::First(N::FIRST), values);
                let second = vectorized(normalization, Step::Second(first, 0.0), values);
                vectorized(normalization, Step::Apply(first, second, 0), values);
            }
            destination.store(&block.start, block.columns, line, values);
        }
        return Ok(());
    }
    for block in Blocks::tiled(lines, 1, 1) {
        let line = Line {
            start: block.start,
            length,
            source,
            cancelled,
        };
        let (mut first, mut second) = (N::FIRST, 0.0);
        line.for_each(&mut buffer, |_, values| {
            first = vectorized(normalization, Step::First(first), values);
        })?;
        line.for_each(&mut buffer, |_, values| {
            second = vectorized(normalization, Step::Second(first, second), values);
        })?;
        line.for_each(&mut buffer, |start, values| {
            vectorized(normalization, Step::Apply(first, second, start[0]), values);
            let (row, run) = (Span::dense(MAX_RANK - 1, 1), Span::dense(0, values.len()));
            destination.store(start, row, run, values);
        })?;
    }
    Ok(())
}

/// A line that is longer than a buffer.
struct Line<'a> {
    start: [u64; MAX_RANK],
    length: u64,
    source: View<f32>,
    cancelled: &'a AtomicBool,
}

impl Line<'_> {
    /// Calls `function` with the start of each piece and its elements.
    fn for_each(
        &self,
        buffer: &mut [f32],
        mut function: impl FnMut(&[u64; MAX_RANK], &mut [f32]),
    ) -> Result<(), KernelError> {
        let mut start = self.start;
        for place in (0..self.length).step_by(buffer.len()) {
            cancel::check(self.cancelled)?;
            start[0] = place;
            let count = buffer.len().min((self.length - place) as usize);
            let values = &mut buffer[..count];
            let (row, run) = (Span::dense(MAX_RANK - 1, 1), Span::dense(0, count));
            self.source.load(&start, row, run, values);
            function(&start, values);
        }
        Ok(())
    }
}

/// A call of a method of [`Normalization`], with its arguments but the values.
#[derive(Clone, Copy)]
enum Step {
    First(f32),
    Second(f32, f32),
    Apply(f32, f32, u64),
}

struct Call<'a, N> {
    normalization: &'a N,
    step: Step,
    values: &'a mut [f32],
}

impl<N: Normalization> WithSimd for Call<'_, N> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let Self {
            normalization,
            step,
            values,
        } = self;
        match step {
            Step::First(first) => normalization.first(first, values),
            Step::Second(first, second) => normalization.second(first, second, values),
            Step::Apply(first, second, place) => {
                normalization.apply(first, second, place, values);
                second
            }
        }
    }
}

/// Takes a step in the code for the processor's vectors; returns the number
/// that was measured last.
fn vectorized<N: Normalization>(normalization: &N, step: Step, values: &mut [f32]) -> f32 {
    Arch::new().dispatch(Call {
        normalization,
        step,
        values,
    })
}
