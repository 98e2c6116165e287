// SPDX-License-Identifier: MIT OR Apache-2.0
//! dst(n,y,x,c) = mean of the factor × factor block of src(n,y,x,c).

use std::ops::AddAssign;
use std::sync::atomic::AtomicBool;

use pulp::Arch;

use crate::blocks::block_elements;
use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, KernelError, Layout, ShapeError, View, cancel};

/// Source elements for one of the destination, in y and in x.
pub const FACTORS: std::ops::RangeInclusive<u32> = 2..=16;

const Y: usize = 1;
const X: usize = 2;
const CHANNEL: usize = 3;

/// Checks shapes and the factor. The source may have up to any number of rows
/// and columns more than are used.
pub fn check<T: Element>(
    destination: &Layout<T>,
    source: &Layout<T>,
    factor: u32,
) -> Result<(), ShapeError> {
    for rank in [destination.rank(), source.rank()] {
        if rank != 4 {
            return Err(ShapeError::Rank { rank, needed: 4 });
        }
    }
    if !FACTORS.contains(&factor) {
        return Err(ShapeError::Parameter {
            parameter: "factor",
        });
    }
    let (small, large) = (destination.shape(), source.shape());
    if small[0] != large[0] || small[CHANNEL] != large[CHANNEL] {
        return Err(ShapeError::Mismatch);
    }
    // Lengths are below 2³², so the products fit.
    if small[Y] * u64::from(factor) > large[Y] {
        return Err(ShapeError::Extent {
            dimension: "height",
        });
    }
    if small[X] * u64::from(factor) > large[X] {
        return Err(ShapeError::Extent { dimension: "width" });
    }
    Ok(())
}

/// The mean of bytes, halves rounded up.
pub fn run_u8(
    destination: View<u8>,
    source: View<u8>,
    factor: u32,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(destination.layout(), source.layout(), factor)?;
    let mean = RoundedMean::of(factor * factor);
    // The sum of 16 × 16 bytes fits into 16 bits.
    run(
        destination,
        source,
        factor,
        cancelled,
        u16::from,
        move |sum| mean.round(sum),
    )
}

/// Division of a sum of at most 256 bytes by their number, halves rounded up.
#[derive(Clone, Copy)]
struct RoundedMean {
    half: u64,
    /// 2²⁴ / number, rounded up.
    reciprocal: u64,
}

impl RoundedMean {
    fn of(count: u32) -> Self {
        let count = u64::from(count);
        Self {
            half: count / 2,
            reciprocal: (1u64 << 24).div_ceil(count),
        }
    }

    /// Exact: with reciprocal · number = 2²⁴ + e, where e < number, a quotient
    /// can be wrong only if dividend · e is 2²⁴ or more; the dividend is below
    /// 256 · number, and the number at most 225, or 256, where e is zero.
    fn round(self, sum: u16) -> u8 {
        (((u64::from(sum) + self.half) * self.reciprocal) >> 24) as u8
    }
}

/// The mean of floats: their sum in f32, times the rounded 1/factor².
pub fn run_f32(
    destination: View<f32>,
    source: View<f32>,
    factor: u32,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let share = 1.0 / (factor as f32 * factor as f32);
    run(
        destination,
        source,
        factor,
        cancelled,
        |value| value,
        move |sum| sum * share,
    )
}

fn run<T: Element, S: Copy + Default + AddAssign>(
    destination: View<T>,
    source: View<T>,
    factor: u32,
    cancelled: &AtomicBool,
    widen: impl Fn(T) -> S + Copy,
    mean: impl Fn(S) -> T + Copy,
) -> Result<(), KernelError> {
    check(destination.layout(), source.layout(), factor)?;
    let factor = factor as usize;
    let [images, height, width, channels, ..] = destination.shape();
    // A block is some columns of some channels of a row; its `factor` times as
    // many source columns are summed over `factor` rows first.
    let capacity = block_elements::<S>();
    let depth = channels.min((capacity / factor) as u64);
    let columns = width.min(capacity as u64 / (depth * factor as u64));
    let mut row = vec![T::default(); capacity];
    let mut sums = vec![S::default(); capacity];
    let mut means = vec![T::default(); capacity];
    for image in 0..images {
        for y in 0..height {
            for x in (0..width).step_by(columns as usize) {
                for channel in (0..channels).step_by(depth as usize) {
                    cancel::check(cancelled)?;
                    let columns = columns.min(width - x) as usize;
                    let depth = depth.min(channels - channel) as usize;
                    let wide = columns * factor;
                    let (row, sums) = (&mut row[..wide * depth], &mut sums[..wide * depth]);
                    sums.fill(S::default());
                    let mut start = [0; MAX_RANK];
                    start[..4].copy_from_slice(&[image, y, x * factor as u64, channel]);
                    for line in 0..factor as u64 {
                        start[Y] = y * factor as u64 + line;
                        source.load(
                            &start,
                            Span::dense(X, wide),
                            Span::dense(CHANNEL, depth),
                            row,
                        );
                        Arch::new().dispatch(
                            #[inline(always)]
                            || {
                                for (sum, value) in sums.iter_mut().zip(row.iter()) {
                                    *sum += widen(*value);
                                }
                            },
                        );
                    }
                    let means = &mut means[..columns * depth];
                    match depth {
                        1 => across::<T, S, 1>(means, sums, factor, depth, mean),
                        3 => across::<T, S, 3>(means, sums, factor, depth, mean),
                        4 => across::<T, S, 4>(means, sums, factor, depth, mean),
                        _ => across::<T, S, 0>(means, sums, factor, depth, mean),
                    }
                    start[..4].copy_from_slice(&[image, y, x, channel]);
                    destination.store(
                        &start,
                        Span::dense(X, columns),
                        Span::dense(CHANNEL, depth),
                        means,
                    );
                }
            }
        }
    }
    Ok(())
}

/// Sums `factor` neighbouring columns of `depth` channels each. `DEPTH` is
/// `depth` where it is worth a loop of its own, else zero.
fn across<T: Element, S: Copy + Default + AddAssign, const DEPTH: usize>(
    means: &mut [T],
    sums: &[S],
    factor: usize,
    depth: usize,
    mean: impl Fn(S) -> T + Copy,
) {
    let depth = if DEPTH == 0 { depth } else { DEPTH };
    for (means, sums) in means
        .chunks_exact_mut(depth)
        .zip(sums.chunks_exact(depth * factor))
    {
        for (channel, result) in means.iter_mut().enumerate() {
            let mut sum = S::default();
            for column in sums.chunks_exact(depth) {
                sum += column[channel];
            }
            *result = mean(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mean_is_exact() {
        for factor in FACTORS {
            let count = factor * factor;
            let mean = RoundedMean::of(count);
            for sum in 0..=255 * count {
                let exact = (2 * sum + count) / (2 * count);
                assert_eq!(u32::from(mean.round(sum as u16)), exact, "{sum} / {count}");
            }
        }
    }
}
