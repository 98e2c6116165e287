// SPDX-License-Identifier: MIT OR Apache-2.0
//! x(m,n) · l(n,n)ᵀ = b(m,n) for x, which takes the place of b; l is lower
//! triangular, and what it holds above its diagonal is not read.

use std::sync::atomic::AtomicBool;

use crate::layout::MAX_RANK;
use crate::matmul::{self, Update};
use crate::view::Span;
use crate::{KernelError, Layout, ShapeError, View, cancel};

/// Columns that are solved at once in private memory; the rest is products.
pub(crate) const BLOCK: u64 = 64;

/// Rows that are solved at once: they and the triangle fit into a 32 KiB cache.
const ROWS: u64 = 32;

/// The first two dimensions exchanged.
pub(crate) const TRANSPOSED: [usize; MAX_RANK] = [1, 0, 2, 3, 4, 5];

/// Checks shapes.
pub fn check(x: &Layout<f32>, l: &Layout<f32>) -> Result<(), ShapeError> {
    for rank in [x.rank(), l.rank()] {
        if rank != 2 {
            return Err(ShapeError::Rank { rank, needed: 2 });
        }
    }
    let [rows, columns, ..] = l.shape();
    if rows != columns || x.shape()[1] != columns {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// Solves by forward substitution. A zero on the diagonal of `l` gives what
/// dividing by zero gives.
pub fn run_f32(x: View<f32>, l: View<f32>, cancelled: &AtomicBool) -> Result<(), KernelError> {
    check(x.layout(), l.layout())?;
    let size = l.shape()[0];
    let mut triangle = vec![0.0; (BLOCK * BLOCK) as usize];
    for first in (0..size).step_by(BLOCK as usize) {
        let width = BLOCK.min(size - first);
        let columns = x.narrowed(1, first, width);
        if first > 0 {
            let known = x.narrowed(1, 0, first);
            let factors = l.narrowed(0, first, width).narrowed(1, 0, first);
            let factors = factors.permuted(TRANSPOSED);
            matmul::multiply(columns, known, factors, Update::Subtract, cancelled)?;
        }
        let block = l.narrowed(0, first, width).narrowed(1, first, width);
        let triangle = &mut triangle[..(width * width) as usize];
        load_columns(block, triangle);
        solve(columns, triangle, cancelled)?;
    }
    Ok(())
}

/// Loads all of a view of rank 2, column by column.
pub(crate) fn load_columns(view: View<f32>, buffer: &mut [f32]) {
    let [rows, columns, ..] = view.shape();
    let (rows, columns) = (rows as usize, columns as usize);
    view.load(
        &[0; MAX_RANK],
        Span::dense(1, columns),
        Span::dense(0, rows),
        buffer,
    );
}

/// Stores all of a view of rank 2, column by column.
pub(crate) fn store_columns(view: View<f32>, buffer: &[f32]) {
    let [rows, columns, ..] = view.shape();
    let (rows, columns) = (rows as usize, columns as usize);
    view.store(
        &[0; MAX_RANK],
        Span::dense(1, columns),
        Span::dense(0, rows),
        buffer,
    );
}

/// Solves for all rows of `x`; `triangle` holds the columns of l, of which the
/// part from the diagonal on is read.
pub(crate) fn solve(
    x: View<f32>,
    triangle: &[f32],
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let [rows, width, ..] = x.shape();
    let size = width as usize;
    let mut strip = vec![0.0; (ROWS * width) as usize];
    for row in (0..rows).step_by(ROWS as usize) {
        cancel::check(cancelled)?;
        let height = ROWS.min(rows - row);
        let part = x.narrowed(0, row, height);
        let height = height as usize;
        let strip = &mut strip[..height * size];
        load_columns(part, strip);
        for column in 0..size {
            let factors = &triangle[column * size..(column + 1) * size];
            let (known, unknown) = strip.split_at_mut((column + 1) * height);
            let known = &mut known[column * height..];
            divide(known, factors[column]);
            for (index, factor) in factors.iter().enumerate().skip(column + 1) {
                let place = (index - column - 1) * height;
                subtract_multiple(&mut unknown[place..place + height], known, *factor);
            }
        }
        store_columns(part, strip);
    }
    Ok(())
}

fn divide(values: &mut [f32], divisor: f32) {
    for value in values {
        *value /= divisor;
    }
}

/// to -= from · factor.
pub(crate) fn subtract_multiple(to: &mut [f32], from: &[f32], factor: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to -= from * factor;
    }
}
