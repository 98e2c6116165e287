// SPDX-License-Identifier: MIT OR Apache-2.0
//! l(n,n) with l · lᵀ = a(n,n), which it takes the place of; a is symmetric and
//! positive definite, and of it the lower triangle is read. l is lower
//! triangular, with zeros above its diagonal.

use std::sync::atomic::AtomicBool;

use crate::matmul::{self, Update};
use crate::triangular::{BLOCK, TRANSPOSED, load_columns, solve, store_columns, subtract_multiple};
use crate::{KernelError, Layout, ShapeError, View, cancel, fill};

/// Checks the shape.
pub fn check(matrix: &Layout<f32>) -> Result<(), ShapeError> {
    if matrix.rank() != 2 {
        let rank = matrix.rank();
        return Err(ShapeError::Rank { rank, needed: 2 });
    }
    let [rows, columns, ..] = matrix.shape();
    if rows != columns {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// Factorises in place, one block of columns after another.
///
/// # Errors
/// [`KernelError::NotPositive`]; the columns before are those of the factor.
pub fn run_f32(matrix: View<f32>, cancelled: &AtomicBool) -> Result<(), KernelError> {
    check(matrix.layout())?;
    let size = matrix.shape()[0];
    let mut columns = vec![0.0; (BLOCK * BLOCK) as usize];
    for first in (0..size).step_by(BLOCK as usize) {
        cancel::check(cancelled)?;
        let width = BLOCK.min(size - first);
        let below = matrix.narrowed(0, first, size - first);
        let own = below.narrowed(1, first, width);
        if first > 0 {
            let known = below.narrowed(1, 0, first);
            let factors = known.narrowed(0, 0, width).permuted(TRANSPOSED);
            matmul::multiply(own, known, factors, Update::Subtract, cancelled)?;
            let above = matrix.narrowed(0, 0, first).narrowed(1, first, width);
            fill::run(above, 0.0, cancelled)?;
        }
        let block = own.narrowed(0, 0, width);
        let columns = &mut columns[..(width * width) as usize];
        load_columns(block, columns);
        factorise(columns, width as usize).map_err(|column| KernelError::NotPositive {
            column: first + column as u64,
        })?;
        store_columns(block, columns);
        if size > first + width {
            let rest = own.narrowed(0, width, size - first - width);
            solve(rest, columns, cancelled)?;
        }
    }
    Ok(())
}

/// Factorises a block that is stored column by column. Fails with the first
/// column whose pivot is not a positive number.
fn factorise(columns: &mut [f32], size: usize) -> Result<(), usize> {
    for column in 0..size {
        let (own, later) = columns.split_at_mut((column + 1) * size);
        let own = &mut own[column * size..];
        own[..column].fill(0.0);
        let pivot = own[column].sqrt();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Err(column);
        }
        for value in &mut own[column..] {
            *value /= pivot;
        }
        for row in column + 1..size {
            let place = (row - column - 1) * size;
            let other = &mut later[place + row..place + size];
            subtract_multiple(other, &own[row..], own[row]);
        }
    }
    Ok(())
}
