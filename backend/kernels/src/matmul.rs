// SPDX-License-Identifier: MIT OR Apache-2.0
//! dst(m,n) = a(m,k) · b(k,n), in place on strided views.

use std::sync::atomic::AtomicBool;

use crate::product::multiply_views;
use crate::{Element, KernelError, Layout, ShapeError, View, cancel};

/// Rows, columns and depth of one product between two looks at the
/// cancellation flag: about 20 ms, and large enough that packing costs nothing.
const BLOCK: u64 = 1024;

/// Checks shapes.
pub fn check<D: Element, S: Element>(
    destination: &Layout<D>,
    a: &Layout<S>,
    b: &Layout<S>,
) -> Result<(), ShapeError> {
    for rank in [destination.rank(), a.rank(), b.rank()] {
        if rank != 2 {
            return Err(ShapeError::Rank { rank, needed: 2 });
        }
    }
    let [m, n, ..] = destination.shape();
    let [a_rows, k, ..] = a.shape();
    let [b_rows, b_columns, ..] = b.shape();
    if a_rows != m || b_columns != n || b_rows != k {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// dst = a · b in f32, or dst += a · b if `accumulate`.
///
/// Sums are taken in an order of the `gemm` crate's choice: the error of an
/// element is at most (k + 2)·2⁻²⁴·(|a|·|b|), to first order.
pub fn run_f32(
    destination: View<f32>,
    a: View<f32>,
    b: View<f32>,
    accumulate: bool,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(destination.layout(), a.layout(), b.layout())?;
    let [rows, columns, ..] = destination.shape();
    let depth = a.shape()[1];
    for row in (0..rows).step_by(BLOCK as usize) {
        let height = BLOCK.min(rows - row);
        for column in (0..columns).step_by(BLOCK as usize) {
            let width = BLOCK.min(columns - column);
            let block = destination
                .narrowed(0, row, height)
                .narrowed(1, column, width);
            for level in (0..depth).step_by(BLOCK as usize) {
                cancel::check(cancelled)?;
                let levels = BLOCK.min(depth - level);
                multiply_views(
                    block,
                    a.narrowed(0, row, height).narrowed(1, level, levels),
                    b.narrowed(0, level, levels).narrowed(1, column, width),
                    accumulate || level > 0,
                );
            }
        }
    }
    Ok(())
}
