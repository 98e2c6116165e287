// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two number systems of a convolution: bytes exactly, floats.

use pulp::Arch;

use super::{FinishF32, FinishU8};
use crate::Element;
use crate::product::accumulate_dense;

/// How values are multiplied, summed and finished.
pub(super) trait Arithmetic {
    type Value: Element;
    type Weight: Element;
    type Sum: Element;

    /// sum + value · weight.
    fn accumulate(sum: Self::Sum, value: Self::Value, weight: Self::Weight) -> Self::Sum;

    /// Turns sums into values.
    fn finish(&self, sums: &[Self::Sum], values: &mut [Self::Value]);

    /// sums(m,n) += values(m,k) · weights(k,n), all dense and row-major.
    fn multiply(
        sums: &mut [Self::Sum],
        values: &[Self::Value],
        weights: &[Self::Weight],
        dimensions: (usize, usize, usize),
    );
}

pub(super) struct Bytes(pub FinishU8);

impl Arithmetic for Bytes {
    type Value = u8;
    type Weight = i16;
    type Sum = i32;

    #[inline(always)]
    fn accumulate(sum: i32, value: u8, weight: i16) -> i32 {
        // The product of a byte and an i16 fits.
        sum.wrapping_add(i32::from(value) * i32::from(weight))
    }

    #[inline(always)]
    fn finish(&self, sums: &[i32], values: &mut [u8]) {
        let FinishU8 {
            absolute,
            bias,
            shift,
        } = self.0;
        let rounded = bias.wrapping_add((1 << shift) >> 1);
        for (value, &sum) in values.iter_mut().zip(sums) {
            let sum = if absolute { sum.wrapping_abs() } else { sum };
            *value = (sum.wrapping_add(rounded) >> shift).clamp(0, 255) as u8;
        }
    }

    fn multiply(
        sums: &mut [i32],
        values: &[u8],
        weights: &[i16],
        (_, n, k): (usize, usize, usize),
    ) {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (sums, values) in sums.chunks_exact_mut(n).zip(values.chunks_exact(k)) {
                    for (&value, weights) in values.iter().zip(weights.chunks_exact(n)) {
                        for (sum, &weight) in sums.iter_mut().zip(weights) {
                            *sum = Self::accumulate(*sum, value, weight);
                        }
                    }
                }
            },
        );
    }
}

pub(super) struct Floats(pub FinishF32);

impl Arithmetic for Floats {
    type Value = f32;
    type Weight = f32;
    type Sum = f32;

    #[inline(always)]
    fn accumulate(sum: f32, value: f32, weight: f32) -> f32 {
        sum + value * weight
    }

    #[inline(always)]
    fn finish(&self, sums: &[f32], values: &mut [f32]) {
        let FinishF32 { absolute, bias } = self.0;
        for (value, &sum) in values.iter_mut().zip(sums) {
            *value = if absolute { sum.abs() } else { sum } + bias;
        }
    }

    fn multiply(
        sums: &mut [f32],
        values: &[f32],
        weights: &[f32],
        dimensions: (usize, usize, usize),
    ) {
        accumulate_dense(sums, values, weights, dimensions);
    }
}
