// SPDX-License-Identifier: MIT OR Apache-2.0
//! dst = src, as if the whole source were read first.
//!
//! A transposition is a copy whose views name the dimensions in another order.

use std::sync::atomic::AtomicBool;

use crate::blocks::{Blocks, block_elements, simplify};
use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, KernelError, Layout, ShapeError, View, cancel};

/// Private memory that a copy between overlapping views of different strides
/// may use. Copies of disjoint views, and of views that are shifted against
/// each other, need none.
pub const MAX_STAGED_BYTES: u64 = 64 << 20;

/// Elements that are moved between two looks at the cancellation flag.
const RUN_BYTES: usize = 1 << 20;

/// Side of the square blocks in which dimensions are exchanged: both sides of
/// a block of bytes stay within a page's worth of cache lines.
const TILE: usize = 64;

const OUTER: usize = MAX_RANK - 2;
const LAST: usize = MAX_RANK - 1;

/// Checks shapes.
pub fn check<T: Element>(destination: &Layout<T>, source: &Layout<T>) -> Result<(), ShapeError> {
    if !destination.same_shape(source) {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// Copies every element of `source` to the element of the same index in
/// `destination`, whatever their overlap. Any type of the right size will do
/// for `T`.
pub fn run<T: Element>(
    destination: View<T>,
    source: View<T>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(destination.layout(), source.layout())?;
    let [destination, source] = simplify([destination, source]);
    let (to, from) = (destination.addresses(), source.addresses());
    if to.end <= from.start || from.end <= to.start {
        return disjoint(destination, source, cancelled);
    }
    let same_strides = destination.layout().strides() == source.layout().strides();
    if same_strides && to.start == from.start {
        return Ok(());
    }
    if same_strides && rises(destination.layout()) {
        return shifted(destination, source, to.start > from.start, cancelled);
    }
    staged(destination, source, cancelled)
}

/// Whether row-major order of the elements is the order of their addresses.
fn rises<T: Element>(layout: &Layout<T>) -> bool {
    let (shape, strides) = (layout.shape(), layout.strides());
    let mut bytes = T::BYTES;
    shape.iter().zip(&strides).rev().all(|(&length, &stride)| {
        let fits = length == 1 || stride >= bytes;
        bytes += (length - 1) * stride;
        fits
    })
}

fn adjacent<T: Element>(view: &View<T>) -> bool {
    view.shape()[LAST] == 1 || view.layout().strides()[LAST] == T::BYTES
}

fn disjoint<T: Element>(
    destination: View<T>,
    source: View<T>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    if adjacent(&destination) && adjacent(&source) {
        return runs(destination, source, cancelled);
    }
    let strides = source.layout().strides();
    if adjacent(&destination) && strides[OUTER] != 0 && strides[OUTER] < strides[LAST] {
        return exchanged(destination, source, cancelled);
    }
    let mut buffer = vec![T::default(); block_elements::<T>()];
    for block in Blocks::new(destination.shape(), buffer.len()) {
        cancel::check(cancelled)?;
        let values = &mut buffer[..block.elements()];
        source.load(&block.start, block.rows, block.columns, values);
        destination.store(&block.start, block.rows, block.columns, values);
    }
    Ok(())
}

/// Copies row by row, from memory to memory.
fn runs<T: Element>(
    destination: View<T>,
    source: View<T>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    for block in Blocks::new(destination.shape(), RUN_BYTES / size_of::<T>()) {
        cancel::check(cancelled)?;
        let mut start = block.start;
        for row in 0..block.rows.count as u64 {
            start[OUTER] = block.start[OUTER] + row;
            destination.copy_run(&source, &start, block.columns.count);
        }
    }
    Ok(())
}

/// Copies where source and destination have their last two dimensions in
/// opposite order of strides: in square blocks, so that the cache lines of
/// both sides are used whole.
fn exchanged<T: Element>(
    destination: View<T>,
    source: View<T>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let mut columns_of_source = [T::default(); TILE * TILE];
    let mut rows_of_destination = [T::default(); TILE * TILE];
    for block in Blocks::tiled(destination.shape(), TILE, TILE) {
        cancel::check(cancelled)?;
        let (rows, columns) = (block.rows.count, block.columns.count);
        let loaded = &mut columns_of_source[..rows * columns];
        source.load(&block.start, block.columns, block.rows, loaded);
        let stored = &mut rows_of_destination[..rows * columns];
        for (row, stored) in stored.chunks_exact_mut(columns).enumerate() {
            for (column, value) in stored.iter_mut().enumerate() {
                *value = loaded[column * rows + row];
            }
        }
        destination.store(&block.start, block.rows, block.columns, stored);
    }
    Ok(())
}

/// Copies between views of the same strides that lie a distance apart: in
/// the order of addresses, beginning at the end that the copy moves away from.
fn shifted<T: Element>(
    destination: View<T>,
    source: View<T>,
    upwards: bool,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let shape = destination.shape();
    let mut buffer = vec![T::default(); block_elements::<T>()];
    let length = shape[LAST];
    let pieces = length.div_ceil(buffer.len() as u64);
    let rows = destination.layout().elements() / length;
    for number in 0..rows * pieces {
        cancel::check(cancelled)?;
        let number = if upwards {
            rows * pieces - 1 - number
        } else {
            number
        };
        let mut start = [0; MAX_RANK];
        start[LAST] = number % pieces * buffer.len() as u64;
        let mut row = number / pieces;
        for axis in (0..LAST).rev() {
            start[axis] = row % shape[axis];
            row /= shape[axis];
        }
        let values =
            &mut buffer[..(length - start[LAST]).min(block_elements::<T>() as u64) as usize];
        let (row, columns) = (Span::dense(OUTER, 1), Span::dense(LAST, values.len()));
        source.load(&start, row, columns, values);
        destination.store(&start, row, columns, values);
    }
    Ok(())
}

/// Copies through private memory.
fn staged<T: Element>(
    destination: View<T>,
    source: View<T>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let elements = destination.layout().elements();
    let bytes = elements.saturating_mul(T::BYTES);
    if bytes > MAX_STAGED_BYTES {
        return Err(KernelError::Staging { bytes });
    }
    let mut staged = vec![T::default(); elements as usize];
    for (view, loading) in [(source, true), (destination, false)] {
        let mut rest = staged.as_mut_slice();
        for block in Blocks::new(view.shape(), block_elements::<T>()) {
            cancel::check(cancelled)?;
            let (values, behind) = rest.split_at_mut(block.elements());
            rest = behind;
            if loading {
                view.load(&block.start, block.rows, block.columns, values);
            } else {
                view.store(&block.start, block.rows, block.columns, values);
            }
        }
    }
    Ok(())
}
