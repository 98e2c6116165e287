// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one way to device memory: a pointer with a layout, from and to which
//! blocks of elements are copied. No reference to device memory exists.
//!
//! A guest may write the same bytes at the same time, through mappings that
//! this process knows nothing of. The copies here are plain loads and stores:
//! racing with such a writer they may see any mixture of old and new bytes,
//! which is a value of every [`Element`], and no address depends on it.

use std::ops::Range;

use crate::layout::MAX_RANK;
use crate::{Element, Layout};

/// Elements that are computed at once where all are adjacent.
const CHUNK: usize = 32;

/// A strided view of device memory.
#[derive(Debug, Clone, Copy)]
pub struct View<T> {
    first: *mut T,
    layout: Layout<T>,
}

// SAFETY: a view is an address of memory that is shared by contract; it has no
// state of its own, and all access through it tolerates other writers.
unsafe impl<T: Element> Send for View<T> {}

/// Elements `first`, `first + step`, … of dimension `axis`, `count` in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub axis: usize,
    pub count: usize,
    pub step: u64,
}

impl Span {
    pub fn dense(axis: usize, count: usize) -> Self {
        Self {
            axis,
            count,
            step: 1,
        }
    }
}

impl<T: Element> View<T> {
    /// A view of the memory at `first`.
    ///
    /// # Safety
    /// `layout.span_bytes()` bytes at `first` are mapped, readable and, for a
    /// destination, writable for as long as this view or a copy of it is used,
    /// and `first` is aligned to `T`. No Rust reference to these bytes may be
    /// in use meanwhile; other writers are allowed, be it threads that use
    /// views or programs outside the process.
    pub unsafe fn new(first: *mut u8, layout: Layout<T>) -> Self {
        Self {
            first: first.cast(),
            layout,
        }
    }

    /// Shape and strides.
    pub fn layout(&self) -> &Layout<T> {
        &self.layout
    }

    pub(crate) fn shape(&self) -> [u64; MAX_RANK] {
        self.layout.shape()
    }

    /// Address of the first element and of the byte behind the last one.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let first = self.first.addr();
        first..first + self.layout.span_bytes() as usize
    }

    /// First element for a kernel that is given raw memory.
    pub(crate) fn pointer(&self) -> *mut T {
        self.first
    }

    pub(crate) fn permuted(&self, order: [usize; MAX_RANK]) -> Self {
        Self {
            first: self.first,
            layout: self.layout.permuted(order),
        }
    }

    pub(crate) fn merged(&self, axis: usize) -> Self {
        Self {
            first: self.first,
            layout: self.layout.merged(axis),
        }
    }

    /// `count` elements of dimension `axis`, from `start` on.
    pub(crate) fn narrowed(&self, axis: usize, start: u64, count: u64) -> Self {
        assert!(
            start <= self.shape()[axis] - count,
            "narrowed beyond its shape"
        );
        let offset = start * self.layout.strides()[axis];
        Self {
            first: self.first.wrapping_byte_add(offset as usize),
            layout: self.layout.narrowed(axis, count),
        }
    }

    /// Address of the element at `start` and the byte distances of a block of
    /// `rows` × `columns` there, after checking that it lies within the view.
    fn block(
        &self,
        start: &[u64; MAX_RANK],
        rows: Span,
        columns: Span,
        elements: usize,
    ) -> (*mut T, usize, usize) {
        let (shape, stride) = (self.layout.shape(), self.layout.strides());
        let mut last = *start;
        assert!(rows.count > 0 && columns.count > 0, "an empty block");
        last[rows.axis] += (rows.count as u64 - 1) * rows.step;
        last[columns.axis] += (columns.count as u64 - 1) * columns.step;
        assert!(
            last.iter().zip(&shape).all(|(last, length)| last < length),
            "block outside"
        );
        assert!(
            rows.count * columns.count == elements,
            "block and buffer differ"
        );
        let offset: u64 = start
            .iter()
            .zip(&stride)
            .map(|(index, stride)| index * stride)
            .sum();
        (
            self.first.wrapping_byte_add(offset as usize),
            (stride[rows.axis] * rows.step) as usize,
            (stride[columns.axis] * columns.step) as usize,
        )
    }

    /// Writes to each of the elements what `function` makes of those that the
    /// sources have there. All views are dense and have that many elements;
    /// sources may be this view.
    #[inline(always)]
    pub(crate) fn fill_from<const N: usize>(
        &self,
        sources: [&Self; N],
        elements: Range<u64>,
        function: impl Fn([T; N]) -> T,
    ) {
        let fits = |view: &Self| view.layout.is_dense() && elements.end <= view.layout.elements();
        assert!(
            fits(self) && sources.iter().all(|source| fits(source)),
            "not dense, or too short"
        );
        let first = elements.start as usize;
        let count = elements.end.saturating_sub(elements.start) as usize;
        let to = self.first.wrapping_add(first);
        let from = sources.map(|source| source.first.wrapping_add(first));
        let whole = count - count % CHUNK;
        for at in (0..whole).step_by(CHUNK) {
            // SAFETY: all views are dense and have the elements up to `count`, whose
            // alignment is that of an array of them.
            let chunks: [[T; CHUNK]; N] =
                from.map(|from| unsafe { from.wrapping_add(at).cast::<[T; CHUNK]>().read() });
            let made: [T; CHUNK] = std::array::from_fn(|index| {
                function(std::array::from_fn(|source| chunks[source][index]))
            });
            // SAFETY: as above; the destination is writable by the view's contract.
            unsafe { to.wrapping_add(at).cast::<[T; CHUNK]>().write(made) };
        }
        for at in whole..count {
            // SAFETY: as above, for one element.
            let values = from.map(|from| unsafe { from.wrapping_add(at).read() });
            // SAFETY: as above.
            unsafe { to.wrapping_add(at).write(function(values)) };
        }
    }

    /// Copies a block to `buffer`, row-major. The block must lie within the
    /// view and fill the buffer.
    pub(crate) fn load(
        &self,
        start: &[u64; MAX_RANK],
        rows: Span,
        columns: Span,
        buffer: &mut [T],
    ) {
        let (from, row_bytes, column_bytes) = self.block(start, rows, columns, buffer.len());
        if column_bytes == size_of::<T>() && row_bytes == columns.count * column_bytes {
            // SAFETY: `block` checked that all elements lie within the view,
            // they are adjacent, and `buffer` has room for exactly them.
            unsafe { from.copy_to_nonoverlapping(buffer.as_mut_ptr(), buffer.len()) };
            return;
        }
        for (row, values) in buffer.chunks_exact_mut(columns.count).enumerate() {
            let from = from.wrapping_byte_add(row * row_bytes);
            if column_bytes == size_of::<T>() {
                // SAFETY: as above, for one row.
                unsafe { from.copy_to_nonoverlapping(values.as_mut_ptr(), values.len()) };
                continue;
            }
            for (column, value) in values.iter_mut().enumerate() {
                // SAFETY: `block` checked that this element lies within the
                // view; strides are multiples of the alignment.
                *value = unsafe { from.wrapping_byte_add(column * column_bytes).read() };
            }
        }
    }

    /// Loads one element of a view of rank 1, exactly once: what is done with
    /// it cannot be done with a later value.
    pub(crate) fn load_once(&self, index: u64) -> T {
        let mut start = [0; MAX_RANK];
        start[0] = index;
        let (from, ..) = self.block(&start, Span::dense(0, 1), Span::dense(1, 1), 1);
        // SAFETY: `block` checked that the element lies within the view.
        unsafe { from.read_volatile() }
    }

    /// Copies `buffer` to a block, row-major. The block must lie within the
    /// view and take the whole buffer.
    pub(crate) fn store(&self, start: &[u64; MAX_RANK], rows: Span, columns: Span, buffer: &[T]) {
        let (to, row_bytes, column_bytes) = self.block(start, rows, columns, buffer.len());
        if column_bytes == size_of::<T>() && row_bytes == columns.count * column_bytes {
            // SAFETY: `block` checked that all elements lie within the view,
            // they are adjacent, and `buffer` holds exactly them.
            unsafe { to.copy_from_nonoverlapping(buffer.as_ptr(), buffer.len()) };
            return;
        }
        for (row, values) in buffer.chunks_exact(columns.count).enumerate() {
            let to = to.wrapping_byte_add(row * row_bytes);
            if column_bytes == size_of::<T>() {
                // SAFETY: as above, for one row.
                unsafe { to.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
                continue;
            }
            for (column, value) in values.iter().enumerate() {
                // SAFETY: `block` checked that this element lies within the
                // view; strides are multiples of the alignment.
                unsafe { to.wrapping_byte_add(column * column_bytes).write(*value) };
            }
        }
    }

    /// Copies `count` adjacent elements of the last dimension from `source`
    /// to here, both from `start` on, as if through a buffer.
    pub(crate) fn copy_run(&self, source: &Self, start: &[u64; MAX_RANK], count: usize) {
        const LAST: usize = MAX_RANK - 1;
        let (row, run) = (Span::dense(0, 1), Span::dense(LAST, count));
        let (to, _, to_bytes) = self.block(start, row, run, count);
        let (from, _, from_bytes) = source.block(start, row, run, count);
        let adjacent = |bytes| count == 1 || bytes == size_of::<T>();
        assert!(
            adjacent(to_bytes) && adjacent(from_bytes),
            "elements are not adjacent"
        );
        // SAFETY: `block` checked that the runs lie within both views;
        // `copy_from` allows them to overlap.
        unsafe { to.copy_from(from, count) };
    }
}
