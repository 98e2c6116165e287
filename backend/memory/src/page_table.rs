// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page table of a context: which window a page is visible through, and
//! whether its home frame holds data.
//!
//! Two levels: a map of chunks of 512 pages, so that a sparse address space
//! costs what is used of it and an empty 2 MiB is skipped in one step.

use crate::hash::IntegerMap;
use crate::{PageNumber, Slot};

const CHUNK_SHIFT: u32 = 9;
const CHUNK_PAGES: usize = 1 << CHUNK_SHIFT;
const VALID: u32 = 1 << 31;

/// What the table says of a page: the slot + 1 in the low bits, [`VALID`] above.
#[derive(Clone, Copy, Default)]
struct Entry(u32);

/// Pages of one context.
#[derive(Default)]
pub(crate) struct PageTable {
    chunks: IntegerMap<Box<[Entry; CHUNK_PAGES]>>,
}

fn split(page: PageNumber) -> (u64, usize) {
    (page.0 >> CHUNK_SHIFT, (page.0 as usize) & (CHUNK_PAGES - 1))
}

impl PageTable {
    /// The window slot that shows the page.
    pub fn slot(&self, page: PageNumber) -> Option<Slot> {
        let (chunk, index) = split(page);
        let entry = self.chunks.get(&chunk)?[index];
        (entry.0 & !VALID).checked_sub(1).map(Slot)
    }

    /// Whether the page's home frame holds data that was written there.
    pub fn home_valid(&self, page: PageNumber) -> bool {
        let (chunk, index) = split(page);
        self.chunks
            .get(&chunk)
            .is_some_and(|entries| entries[index].0 & VALID != 0)
    }

    /// Whether no page of the run has a window.
    pub fn is_unmapped(&self, first: PageNumber, pages: u64) -> bool {
        self.next_mapped(first, first.0 + pages).is_none()
    }

    /// The first page at or behind `from` and before `end` that has a window.
    pub fn next_mapped(&self, from: PageNumber, end: u64) -> Option<(PageNumber, Slot)> {
        let mut page = from.0;
        while page < end {
            let (chunk, index) = split(PageNumber(page));
            let chunk_end = ((chunk + 1) << CHUNK_SHIFT).min(end);
            if let Some(entries) = self.chunks.get(&chunk) {
                let count = (chunk_end - page) as usize;
                let found = entries[index..index + count]
                    .iter()
                    .position(|e| e.0 & !VALID != 0);
                if let Some(offset) = found {
                    let slot = Slot((entries[index + offset].0 & !VALID) - 1);
                    return Some((PageNumber(page + offset as u64), slot));
                }
            }
            page = chunk_end;
        }
        None
    }

    /// Records that the pages are visible through `slot`, or through none.
    pub fn set_slot(&mut self, first: PageNumber, pages: u64, slot: Option<Slot>) {
        let value = slot.map_or(0, |slot| slot.0 + 1);
        self.update(first, pages, |entry| entry.0 = (entry.0 & VALID) | value);
    }

    /// Records that the pages' home frames hold data.
    pub fn set_home_valid(&mut self, first: PageNumber, pages: u64) {
        self.update(first, pages, |entry| entry.0 |= VALID);
    }

    /// Forgets the pages. None of them may have a window.
    pub fn forget(&mut self, first: PageNumber, pages: u64) {
        let end = first.0 + pages;
        let mut page = first.0;
        while page < end {
            let (chunk, index) = split(PageNumber(page));
            let chunk_end = ((chunk + 1) << CHUNK_SHIFT).min(end);
            let count = (chunk_end - page) as usize;
            if count == CHUNK_PAGES {
                self.chunks.remove(&chunk);
            } else if let Some(entries) = self.chunks.get_mut(&chunk) {
                entries[index..index + count].fill(Entry(0));
                if entries.iter().all(|entry| entry.0 == 0) {
                    self.chunks.remove(&chunk);
                }
            }
            page = chunk_end;
        }
    }

    /// Calls `visit(first page, pages, valid)` for each run of pages whose home
    /// frames are alike.
    pub fn home_runs(
        &self,
        first: PageNumber,
        pages: u64,
        mut visit: impl FnMut(PageNumber, u64, bool),
    ) {
        let end = first.0 + pages;
        let mut run_start = first.0;
        let mut run_valid = None;
        let mut page = first.0;
        while page < end {
            let (chunk, _) = split(PageNumber(page));
            let (valid, next) = if self.chunks.contains_key(&chunk) {
                (self.home_valid(PageNumber(page)), page + 1)
            } else {
                (false, ((chunk + 1) << CHUNK_SHIFT).min(end))
            };
            match run_valid {
                Some(current) if current != valid => {
                    visit(PageNumber(run_start), page - run_start, current);
                    run_start = page;
                    run_valid = Some(valid);
                }
                Some(_) => {}
                None => run_valid = Some(valid),
            }
            page = next;
        }
        if let Some(valid) = run_valid {
            visit(PageNumber(run_start), end - run_start, valid);
        }
    }

    fn update(&mut self, first: PageNumber, pages: u64, change: impl Fn(&mut Entry)) {
        let end = first.0 + pages;
        let mut page = first.0;
        while page < end {
            let (chunk, index) = split(PageNumber(page));
            let chunk_end = ((chunk + 1) << CHUNK_SHIFT).min(end);
            let count = (chunk_end - page) as usize;
            let entries = self
                .chunks
                .entry(chunk)
                .or_insert_with(|| Box::new([Entry::default(); CHUNK_PAGES]));
            entries[index..index + count].iter_mut().for_each(&change);
            page = chunk_end;
        }
    }
}
