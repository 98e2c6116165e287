// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products of matrices of small integers in private memory, with sums of i32.

use crate::lanes::{LANES, Lanes, Pair, WithLanes, dispatch};

/// Rows that are multiplied with a panel of `b` at once.
const ROWS: usize = 4;

/// acc(m,n) += a(m,k) · b(k,n), wrapping; all are dense and row-major. `A` has
/// eight bits, so that the sum of two products fits into 32.
pub(crate) fn accumulate_integers<A, B>(
    acc: &mut [i32],
    a: &[A],
    b: &[B],
    (m, n, k): (usize, usize, usize),
) where
    A: Copy + Into<i16>,
    B: Copy + Into<i16>,
{
    const { assert!(size_of::<A>() == 1) };
    assert!(
        acc.len() == m * n && a.len() == m * k && b.len() == k * n,
        "sizes differ"
    );
    // Columns in panels of as many as there are lanes, levels in pairs; the
    // last of either is filled up with zeros.
    let mut panel = vec![[Pair::default(); LANES]; k.div_ceil(2)];
    for column in (0..n).step_by(LANES) {
        let width = LANES.min(n - column);
        for (pairs, b) in panel.iter_mut().zip(b.chunks(2 * n)) {
            *pairs = [[0; 2]; LANES];
            for (level, b) in b.chunks_exact(n).enumerate() {
                for (pair, &b) in pairs.iter_mut().zip(&b[column..column + width]) {
                    pair[level] = b.into();
                }
            }
        }
        dispatch(MultiplyPanel {
            acc,
            a,
            panel: &panel,
            n,
            k,
            column,
            width,
        });
    }
}

/// Adds the products of rows of `k` elements with a panel to `width` of the
/// `n` sums of each row, from `column` on.
struct MultiplyPanel<'a, A> {
    acc: &'a mut [i32],
    a: &'a [A],
    panel: &'a [[Pair; LANES]],
    n: usize,
    k: usize,
    column: usize,
    width: usize,
}

impl<A: Copy + Into<i16>> WithLanes for MultiplyPanel<'_, A> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self {
            acc,
            a,
            panel,
            n,
            k,
            column,
            width,
        } = self;
        for (acc, a) in acc.chunks_mut(ROWS * n).zip(a.chunks(ROWS * k)) {
            // Of fewer rows the last is computed several times.
            let last = a.len() / k - 1;
            let rows: [&[A]; ROWS] = std::array::from_fn(|row| &a[row.min(last) * k..][..k]);
            let mut products = [lanes.zeros(); ROWS];
            for (number, panel) in panel.iter().enumerate() {
                for (product, row) in products.iter_mut().zip(rows) {
                    let next = row.get(2 * number + 1).map_or(0, |&next| next.into());
                    *product = lanes.add_multiples(*product, [row[2 * number].into(), next], panel);
                }
            }
            for (acc, product) in acc.chunks_exact_mut(n).zip(products) {
                for (sum, product) in acc[column..column + width]
                    .iter_mut()
                    .zip(lanes.values(product))
                {
                    *sum = sum.wrapping_add(product);
                }
            }
        }
    }
}
