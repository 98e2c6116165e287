// SPDX-License-Identifier: MIT OR Apache-2.0
//! dst(m,n) = a(m,k) · b(k,n), in place on strided views.

use std::sync::atomic::AtomicBool;

use crate::integers::accumulate_integers;
use crate::layout::MAX_RANK;
use crate::product::{accumulate_dense, multiply_views};
use crate::view::Span;
use crate::{Bf16, Element, KernelError, Layout, ShapeError, View, cancel};

/// Rows, columns and depth of one product between two looks at the
/// cancellation flag: about 20 ms, and large enough that packing costs nothing.
const BLOCK: u64 = 1024;

/// The same of products that are computed in private memory.
const STAGED_BLOCK: u64 = 256;

/// What becomes of what the destination held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// dst = a · b; what it held is not read.
    Replace,
    /// dst += a · b.
    Add,
    /// dst -= a · b.
    Subtract,
}

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

/// dst = a · b in f32, or dst ± a · b.
///
/// Sums are taken in an order of the `gemm` crate's choice: the error of an
/// element is at most (k + 2)·2⁻²⁴·(|a|·|b|), to first order.
pub fn run_f32(
    destination: View<f32>,
    a: View<f32>,
    b: View<f32>,
    update: Update,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(destination.layout(), a.layout(), b.layout())?;
    multiply(destination, a, b, update, cancelled)
}

/// As [`run_f32`], of views whose first two dimensions fit and whose others have
/// one element.
pub(crate) fn multiply(
    destination: View<f32>,
    a: View<f32>,
    b: View<f32>,
    update: Update,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
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
                let update = match update {
                    Update::Replace if level > 0 => Update::Add,
                    update => update,
                };
                multiply_views(
                    block,
                    a.narrowed(0, row, height).narrowed(1, level, levels),
                    b.narrowed(0, level, levels).narrowed(1, column, width),
                    update,
                );
            }
        }
    }
    Ok(())
}

/// dst = a · b in i32, or dst ± a · b, wrapping.
pub fn run_i8(
    destination: View<i32>,
    a: View<i8>,
    b: View<i8>,
    update: Update,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    staged(
        destination,
        a,
        b,
        update,
        cancelled,
        i32::wrapping_neg,
        accumulate_integers,
    )
}

/// dst = a · b in f32 of factors of bf16, or dst ± a · b; with the error of
/// [`run_f32`].
pub fn run_bf16(
    destination: View<f32>,
    a: View<Bf16>,
    b: View<Bf16>,
    update: Update,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let widened = |half: &[Bf16]| half.iter().map(|&half| half.into()).collect::<Vec<f32>>();
    staged(
        destination,
        a,
        b,
        update,
        cancelled,
        std::ops::Neg::neg,
        |sums: &mut [f32], a, b, dimensions| {
            accumulate_dense(sums, &widened(a), &widened(b), dimensions);
        },
    )
}

/// Multiplies block by block in private memory, with a function that adds the
/// product of two dense matrices to a third. What is subtracted from is negated
/// before and after that, which is exact.
fn staged<S: Element, F: Element>(
    destination: View<S>,
    a: View<F>,
    b: View<F>,
    update: Update,
    cancelled: &AtomicBool,
    negated: impl Fn(S) -> S,
    multiply: impl Fn(&mut [S], &[F], &[F], (usize, usize, usize)),
) -> Result<(), KernelError> {
    check(destination.layout(), a.layout(), b.layout())?;
    let [rows, columns, ..] = destination.shape();
    let depth = a.shape()[1];
    let block = |length: u64| STAGED_BLOCK.min(length) as usize;
    let (most_rows, most_columns, most_levels) = (block(rows), block(columns), block(depth));
    let mut sums = vec![S::default(); most_rows * most_columns];
    let mut left = vec![F::default(); most_rows * most_levels];
    let mut right = vec![F::default(); most_levels * most_columns];
    let place = |row, column| -> [u64; MAX_RANK] { [row, column, 0, 0, 0, 0] };
    for row in (0..rows).step_by(most_rows) {
        for column in (0..columns).step_by(most_columns) {
            let (m, n) = (block(rows - row), block(columns - column));
            let (height, width) = (Span::dense(0, m), Span::dense(1, n));
            let sums = &mut sums[..m * n];
            match update {
                Update::Replace => sums.fill(S::default()),
                _ => destination.load(&place(row, column), height, width, sums),
            }
            if update == Update::Subtract {
                negate(sums, &negated);
            }
            for level in (0..depth).step_by(most_levels) {
                cancel::check(cancelled)?;
                let k = block(depth - level);
                let (left, right) = (&mut left[..m * k], &mut right[..k * n]);
                a.load(&place(row, level), height, Span::dense(1, k), left);
                b.load(&place(level, column), Span::dense(0, k), width, right);
                multiply(sums, left, right, (m, n, k));
            }
            if update == Update::Subtract {
                negate(sums, &negated);
            }
            destination.store(&place(row, column), height, width, sums);
        }
    }
    Ok(())
}

fn negate<S: Copy>(values: &mut [S], negated: impl Fn(S) -> S) {
    for value in values {
        *value = negated(*value);
    }
}
