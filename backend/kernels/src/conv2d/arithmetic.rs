// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two number systems of a convolution: bytes exactly, floats.

use super::{FinishF32, FinishU8};
use crate::Element;
use crate::lanes::{LANES, Lanes, Pair, WithLanes, dispatch};
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
        (_, n, k): (usize, usize, usize),
    ) {
        // Outputs in panels of as many as there are lanes, taps in pairs; the
        // last of either is filled up with zeros.
        let mut panel = vec![[Pair::default(); LANES]; k.div_ceil(2)];
        for output in (0..n).step_by(LANES) {
            let width = LANES.min(n - output);
            for (pairs, weights) in panel.iter_mut().zip(weights.chunks(2 * n)) {
                *pairs = [[0; 2]; LANES];
                for (tap, weights) in weights.chunks_exact(n).enumerate() {
                    for (pair, &weight) in pairs.iter_mut().zip(&weights[output..output + width]) {
                        pair[tap] = weight;
                    }
                }
            }
            dispatch(MultiplyPanel {
                sums,
                values,
                panel: &panel,
                n,
                k,
                output,
                width,
            });
        }
    }
}

/// Rows that are multiplied with a panel of weights at once.
const ROWS: usize = 4;

/// Adds the products of rows of `k` values with a panel of weights to `width`
/// of the `n` sums of each row, from `output` on.
struct MultiplyPanel<'a> {
    sums: &'a mut [i32],
    values: &'a [u8],
    panel: &'a [[Pair; LANES]],
    n: usize,
    k: usize,
    output: usize,
    width: usize,
}

impl WithLanes for MultiplyPanel<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self {
            sums,
            values,
            panel,
            n,
            k,
            output,
            width,
        } = self;
        let rows = sums.chunks_mut(ROWS * n).zip(values.chunks(ROWS * k));
        for (sums, values) in rows {
            // Of fewer rows the last is computed several times.
            let last = values.len() / k - 1;
            let values: [&[u8]; ROWS] =
                std::array::from_fn(|row| &values[row.min(last) * k..][..k]);
            let mut products = [lanes.zeros(); ROWS];
            for (pair, weights) in panel.iter().enumerate() {
                for (product, values) in products.iter_mut().zip(values) {
                    let next = values.get(2 * pair + 1).copied().unwrap_or(0);
                    let pair = Bytes::pack_values(values[2 * pair], next);
                    *product = lanes.add_multiples(*product, pair, weights);
                }
            }
            for (sums, product) in sums.chunks_exact_mut(n).zip(products) {
                let products = lanes.values(product);
                for (sum, product) in sums[output..output + width].iter_mut().zip(products) {
                    *sum = sum.wrapping_add(product);
                }
            }
        }
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
