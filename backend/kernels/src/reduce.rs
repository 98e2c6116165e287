// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sum, maximum and mean over one dimension.

use std::sync::atomic::AtomicBool;

use pulp::{Arch, Simd, WithSimd};

use crate::blocks::{Blocks, block_elements, simplify_behind};
use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{KernelError, Layout, ShapeError, View, cancel};

/// Partial results of a contiguous run, so that it can be vectorised.
const PARTIAL: usize = 16;

/// Elements of the destination that are reduced together.
const WIDTH: usize = 256;

const LAST: usize = MAX_RANK - 1;

/// Checks shapes: the destination has one element in dimension `axis` and is
/// like the source in the others.
pub fn check(
    destination: &Layout<f32>,
    source: &Layout<f32>,
    axis: usize,
) -> Result<(), ShapeError> {
    if axis >= source.rank() {
        return Err(ShapeError::Parameter { parameter: "axis" });
    }
    let mut shape = source.shape();
    shape[axis] = 1;
    if destination.rank() != source.rank() || destination.shape() != shape {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// dst = Σ src. In an unspecified order: the error is at most n·2⁻²⁴·Σ|src|,
/// to first order, for n elements.
pub fn sum_f32(
    destination: View<f32>,
    source: View<f32>,
    axis: usize,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    run(
        destination,
        source,
        axis,
        cancelled,
        0.0,
        |a, b| a + b,
        |sum| sum,
    )
}

/// dst = Σ src / n, with the error of the sum and of a division.
pub fn mean_f32(
    destination: View<f32>,
    source: View<f32>,
    axis: usize,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(destination.layout(), source.layout(), axis)?;
    let count = source.shape()[axis] as f32;
    run(
        destination,
        source,
        axis,
        cancelled,
        0.0,
        |a, b| a + b,
        move |sum| sum / count,
    )
}

/// dst = the largest of src; a NaN if there is one.
pub fn maximum_f32(
    destination: View<f32>,
    source: View<f32>,
    axis: usize,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    run(
        destination,
        source,
        axis,
        cancelled,
        f32::NEG_INFINITY,
        maximum,
        |maximum| maximum,
    )
}

/// The larger of two numbers; a NaN if one is.
#[inline(always)]
pub(crate) fn maximum(a: f32, b: f32) -> f32 {
    // The comparison fails if either is a NaN.
    if a >= b || a.is_nan() { a } else { b }
}

/// Combines what `map` makes of all values of a contiguous run.
#[inline(always)]
pub(crate) fn fold(
    values: &[f32],
    neutral: f32,
    map: impl Fn(f32) -> f32,
    combine: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut partial = [neutral; PARTIAL];
    let chunks = values.chunks_exact(PARTIAL);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (partial, &value) in partial.iter_mut().zip(chunk) {
            *partial = combine(*partial, map(value));
        }
    }
    let partial = partial.iter().fold(neutral, |a, &b| combine(a, b));
    rest.iter().fold(partial, |a, &b| combine(a, map(b)))
}

fn run(
    destination: View<f32>,
    source: View<f32>,
    axis: usize,
    cancelled: &AtomicBool,
    neutral: f32,
    combine: impl Fn(f32, f32) -> f32 + Copy,
    finish: impl Fn(f32) -> f32,
) -> Result<(), KernelError> {
    check(destination.layout(), source.layout(), axis)?;
    let [source, destination] = simplify_behind(axis, [source, destination]);
    let (length, strides) = (source.shape()[0], source.layout().strides());
    // The elements of one result are nearer to each other than to those of
    // the next result.
    let along = strides[0] < strides[LAST] || source.shape()[LAST] == 1;
    let mut buffer = vec![0.0f32; block_elements::<f32>()];
    let mut results = [0.0f32; WIDTH];
    // The longer the runs that are loaded, the better.
    let most = if along {
        buffer.len() / length.min(buffer.len() as u64) as usize
    } else {
        WIDTH
    };
    for block in Blocks::tiled(destination.shape(), 1, most.min(WIDTH)) {
        let width = block.columns.count;
        let results = &mut results[..width];
        results.fill(neutral);
        let at_once = buffer.len() / width;
        let mut start = block.start;
        for done in (0..length).step_by(at_once) {
            cancel::check(cancelled)?;
            start[0] = done;
            let count = at_once.min((length - done) as usize);
            let values = &mut buffer[..count * width];
            let reduced = Span::dense(0, count);
            if along {
                source.load(&start, block.columns, reduced, values);
            } else {
                source.load(&start, reduced, block.columns, values);
            }
            let results = &mut *results;
            Arch::new().dispatch(Reduce {
                along,
                neutral,
                combine,
                results,
                values,
            });
        }
        results
            .iter_mut()
            .for_each(|result| *result = finish(*result));
        destination.store(&block.start, block.rows, block.columns, results);
    }
    Ok(())
}

/// Combines a block of values with the results: for each result a run of
/// values, or, if not `along`, for each run of values one for each result.
struct Reduce<'a, C> {
    along: bool,
    neutral: f32,
    combine: C,
    results: &'a mut [f32],
    values: &'a [f32],
}

impl<C: Fn(f32, f32) -> f32 + Copy> WithSimd for Reduce<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            along,
            neutral,
            combine,
            results,
            values,
        } = self;
        if along {
            let runs = values.chunks_exact(values.len() / results.len());
            for (result, run) in results.iter_mut().zip(runs) {
                *result = combine(*result, fold(run, neutral, |value| value, combine));
            }
        } else {
            for run in values.chunks_exact(results.len()) {
                for (result, &value) in results.iter_mut().zip(run) {
                    *result = combine(*result, value);
                }
            }
        }
    }
}
