// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two number systems of a convolution: bytes exactly, floats.

use super::{FinishF32, FinishU8};
use crate::Element;
use crate::integers::accumulate_integers;
use crate::lanes::{LANES, Lanes, Pair};
use crate::product::accumulate_dense;

/// How values are multiplied, summed and finished.
pub(super) trait Arithmetic {
    type Value: Element;
    type Weight: Element;
    type Sum: Element;
    /// Values, or weights, of one or two taps that are multiplied at once.
    type Packed: Copy + Default;
    /// [`LANES`] sums, in registers.
    type Sums<L: Lanes>: Copy;

    /// Taps in a pack: with one, the next is left out.
    const TAPS: usize;

    /// Packs the value under a tap with that under the next.
    fn pack_values(value: Self::Value, next: Self::Value) -> Self::Packed;

    /// Packs the weight of a tap with that of the next.
    fn pack_weights(weight: Self::Weight, next: Self::Weight) -> Self::Packed;

    /// Sums of nothing.
    fn zeros<L: Lanes>(lanes: L) -> Self::Sums<L>;

    /// Adds the products of the taps in packs to each sum.
    fn add_products<L: Lanes>(
        lanes: L,
        sums: Self::Sums<L>,
        values: &[Self::Packed; LANES],
        weights: &[Self::Packed; LANES],
    ) -> Self::Sums<L>;

    /// The sums as numbers.
    fn values<L: Lanes>(lanes: L, sums: Self::Sums<L>) -> [Self::Sum; LANES];

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
    type Packed = Pair;
    type Sums<L: Lanes> = L::Sums;

    const TAPS: usize = 2;

    #[inline(always)]
    fn pack_values(value: u8, next: u8) -> Pair {
        [value.into(), next.into()]
    }

    #[inline(always)]
    fn pack_weights(weight: i16, next: i16) -> Pair {
        [weight, next]
    }

    #[inline(always)]
    fn zeros<L: Lanes>(lanes: L) -> L::Sums {
        lanes.zeros()
    }

    #[inline(always)]
    fn add_products<L: Lanes>(
        lanes: L,
        sums: L::Sums,
        values: &[Pair; LANES],
        weights: &[Pair; LANES],
    ) -> L::Sums {
        lanes.add_products(sums, values, weights)
    }

    #[inline(always)]
    fn values<L: Lanes>(lanes: L, sums: L::Sums) -> [i32; LANES] {
        lanes.values(sums)
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
        dimensions: (usize, usize, usize),
    ) {
        accumulate_integers(sums, values, weights, dimensions);
    }
}

pub(super) struct Floats(pub FinishF32);

impl Arithmetic for Floats {
    type Value = f32;
    type Weight = f32;
    type Sum = f32;
    type Packed = f32;
    type Sums<L: Lanes> = [f32; LANES];

    const TAPS: usize = 1;

    #[inline(always)]
    fn pack_values(value: f32, _: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn pack_weights(weight: f32, _: f32) -> f32 {
        weight
    }

    #[inline(always)]
    fn zeros<L: Lanes>(_: L) -> [f32; LANES] {
        [0.0; LANES]
    }

    #[inline(always)]
    fn add_products<L: Lanes>(
        _: L,
        sums: [f32; LANES],
        values: &[f32; LANES],
        weights: &[f32; LANES],
    ) -> [f32; LANES] {
        std::array::from_fn(|lane| sums[lane] + values[lane] * weights[lane])
    }

    #[inline(always)]
    fn values<L: Lanes>(_: L, sums: [f32; LANES]) -> [f32; LANES] {
        sums
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
