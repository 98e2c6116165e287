// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows by index: gather, dst(i,…) = src(index(i),…), and scatter,
//! dst(index(i),…) = src(i,…).

use std::sync::atomic::AtomicBool;

use crate::blocks::{Blocks, block_elements, simplify_behind};
use crate::layout::MAX_RANK;
use crate::{Element, KernelError, Layout, ShapeError, View, cancel};

/// Checks shapes: `rows`, the operand whose rows are taken in order, has one
/// row for each index and rows of the shape of those of `table`, the operand
/// whose rows are named by the indices.
pub fn check<T: Element>(
    rows: &Layout<T>,
    table: &Layout<T>,
    indices: &Layout<i32>,
) -> Result<(), ShapeError> {
    if indices.rank() != 1 {
        return Err(ShapeError::Rank {
            rank: indices.rank(),
            needed: 1,
        });
    }
    if rows.rank() != table.rank() || rows.shape()[1..] != table.shape()[1..] {
        return Err(ShapeError::Mismatch);
    }
    if rows.shape()[0] != indices.shape()[0] {
        return Err(ShapeError::Extent {
            dimension: "number of rows",
        });
    }
    Ok(())
}

/// dst(i,…) = table(index(i),…). An index that is not that of a row ends it
/// with [`KernelError::Index`].
pub fn gather<T: Element>(
    destination: View<T>,
    table: View<T>,
    indices: View<i32>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(destination.layout(), table.layout(), indices.layout())?;
    let [destination, table] = simplify_behind(0, [destination, table]);
    let mut row_copy = RowCopy::new(&table, cancelled);
    for_each_index(indices, table.shape()[0], |position, row| {
        row_copy.copy((destination, position), (table, row))
    })
}

/// table(index(i),…) = src(i,…), in the order of i: of two equal indices the
/// later wins. An index that is not that of a row ends it with
/// [`KernelError::Index`].
pub fn scatter<T: Element>(
    table: View<T>,
    source: View<T>,
    indices: View<i32>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(source.layout(), table.layout(), indices.layout())?;
    let [table, source] = simplify_behind(0, [table, source]);
    let mut row_copy = RowCopy::new(&table, cancelled);
    for_each_index(indices, table.shape()[0], |position, row| {
        row_copy.copy((table, row), (source, position))
    })
}

/// Calls `function` with each position and the index found there, which is
/// below `length`.
fn for_each_index(
    indices: View<i32>,
    length: u64,
    mut function: impl FnMut(u64, u64) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    for position in 0..indices.shape()[0] {
        let index = indices.load_once(position);
        match u64::try_from(index) {
            Ok(row) if row < length => function(position, row)?,
            _ => return Err(KernelError::Index { position, index }),
        }
    }
    Ok(())
}

/// Copies rows through a buffer.
struct RowCopy<'a, T> {
    /// Of one row of both sides.
    shape: [u64; MAX_RANK],
    buffer: Vec<T>,
    cancelled: &'a AtomicBool,
}

impl<'a, T: Element> RowCopy<'a, T> {
    fn new(side: &View<T>, cancelled: &'a AtomicBool) -> Self {
        let mut shape = side.shape();
        shape[0] = 1;
        Self {
            shape,
            buffer: vec![T::default(); block_elements::<T>()],
            cancelled,
        }
    }

    fn copy(
        &mut self,
        (destination, to): (View<T>, u64),
        (source, from): (View<T>, u64),
    ) -> Result<(), KernelError> {
        for block in Blocks::new(self.shape, self.buffer.len()) {
            cancel::check(self.cancelled)?;
            let values = &mut self.buffer[..block.elements()];
            let mut start = block.start;
            start[0] = from;
            source.load(&start, block.rows, block.columns, values);
            start[0] = to;
            destination.store(&start, block.rows, block.columns, values);
        }
        Ok(())
    }
}
