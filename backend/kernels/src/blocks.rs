// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walking views of one shape together, in blocks that fit into the first-level
//! cache.
//!
//! [`simplify`] turns views into equivalent ones whose last dimension is as
//! long and as adjacent as possible; [`Blocks`] then walks the last two
//! dimensions in blocks and the others index by index.

use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, View};

/// Bytes of one operand's block: three of them fit into a 32 KiB cache.
const BLOCK_BYTES: usize = 8192;

const ROWS: usize = MAX_RANK - 2;
const COLUMNS: usize = MAX_RANK - 1;

/// Elements of one operand's block at most.
pub(crate) const fn block_elements<T>() -> usize {
    BLOCK_BYTES / size_of::<T>()
}

/// Reorders and merges the dimensions of views of one shape, all in the same
/// way: dimensions in falling order of the first view's strides, merged where
/// all views allow it, ones in front. The pairing of elements stays.
pub(crate) fn simplify<T: Element, const N: usize>(views: [View<T>; N]) -> [View<T>; N] {
    merge(views, [0, 1, 2, 3, 4, 5], 0)
}

/// The same for views whose lengths may differ in dimension `axis`, which
/// becomes dimension 0 and stays as it is.
pub(crate) fn simplify_behind<T: Element, const N: usize>(
    axis: usize,
    views: [View<T>; N],
) -> [View<T>; N] {
    let mut order = [0, 1, 2, 3, 4, 5];
    order[..=axis].rotate_right(1);
    merge(views, order, 1)
}

/// Sorts and merges the dimensions that stand in `order` from `first` on.
fn merge<T: Element, const N: usize>(
    views: [View<T>; N],
    mut order: [usize; MAX_RANK],
    first: usize,
) -> [View<T>; N] {
    let (shape, strides) = (views[0].shape(), views[0].layout().strides());
    // Most small commands have one dimension: nothing to sort or to merge.
    let mut long = (first..MAX_RANK).filter(|&at| shape[order[at]] != 1);
    if let (Some(at), None) = (long.next(), long.next()) {
        order[at..].rotate_left(1);
        return views.map(|view| view.permuted(order));
    }
    // The sort is stable, so equal strides (only of repeated elements) keep
    // their order.
    order[first..].sort_by_key(|&axis| (shape[axis] != 1, u64::MAX - strides[axis]));
    let mut views = views.map(|view| view.permuted(order));
    // From the inside outwards, each dimension moves inwards over ones and
    // into its neighbour as long as it can.
    for axis in (first..MAX_RANK - 1).rev() {
        for at in axis..MAX_RANK - 1 {
            if !views.iter().all(|view| view.layout().can_merge(at)) {
                break;
            }
            views = views.map(|view| view.merged(at));
        }
    }
    views
}

/// A block: where it starts and its two dimensions.
pub(crate) struct Block {
    pub start: [u64; MAX_RANK],
    pub rows: Span,
    pub columns: Span,
}

impl Block {
    pub fn elements(&self) -> usize {
        self.rows.count * self.columns.count
    }
}

/// Iterates over a shape in row-major order of blocks.
pub(crate) struct Blocks {
    shape: [u64; MAX_RANK],
    step: [u64; MAX_RANK],
    next: Option<[u64; MAX_RANK]>,
}

impl Blocks {
    /// Blocks of at most `elements` elements.
    pub fn new(shape: [u64; MAX_RANK], elements: usize) -> Self {
        let columns = shape[COLUMNS].min(elements as u64);
        Self::tiled(shape, elements / columns as usize, columns as usize)
    }

    /// Blocks of at most `rows` × `columns` elements.
    pub fn tiled(shape: [u64; MAX_RANK], rows: usize, columns: usize) -> Self {
        let rows = shape[ROWS].min(rows as u64);
        let columns = shape[COLUMNS].min(columns as u64);
        Self {
            shape,
            step: [1, 1, 1, 1, rows, columns],
            next: Some([0; MAX_RANK]),
        }
    }
}

impl Iterator for Blocks {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let start = self.next?;
        let count = |axis: usize| self.step[axis].min(self.shape[axis] - start[axis]) as usize;
        let block = Block {
            start,
            rows: Span::dense(ROWS, count(ROWS)),
            columns: Span::dense(COLUMNS, count(COLUMNS)),
        };
        let mut index = start;
        self.next = None;
        for axis in (0..MAX_RANK).rev() {
            index[axis] += self.step[axis];
            if index[axis] < self.shape[axis] {
                self.next = Some(index);
                break;
            }
            index[axis] = 0;
        }
        Some(block)
    }
}
