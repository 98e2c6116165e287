// SPDX-License-Identifier: MIT OR Apache-2.0
//! Program memory that is moved: in huge pages, or as `malloc` gives it.

/// Bytes of a page.
const PAGE: usize = 4 << 10;
/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Where in an allocation memory begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a huge page, as memory of allocators for transfers does: one look tells the
    /// driver where all of it is.
    Huge,
    /// So many bytes behind the allocation's first page. Up to the next huge page it lies
    /// in small ones.
    Behind(usize),
}

/// An allocation that was written once, so all of its pages are there.
#[derive(Debug)]
pub struct Memory(Vec<u8>);

impl Memory {
    /// With room for so many bytes at any place that is less than a page behind one.
    pub fn new(bytes: usize) -> Self {
        Self(vec![1; bytes + 2 * HUGE])
    }

    /// The first of the bytes that begin at `place`, which are as many as there is room for.
    pub fn at(&mut self, place: Place, bytes: usize) -> &mut [u8] {
        let aligned = |to| self.0.as_ptr().align_offset(to);
        let start = match place {
            Place::Huge => aligned(HUGE),
            Place::Behind(behind) => aligned(PAGE) + behind,
        };
        &mut self.0[start..][..bytes]
    }
}
