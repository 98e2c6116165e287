// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log of accesses: of bounded length, with each stream's own order in it.

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    page: u64,
    stream: u64,
    /// The same stream's next entry; itself while there is none.
    next: u32,
}

/// The last accesses of all streams together.
#[derive(Debug)]
pub struct Log {
    entries: Vec<Entry>,
    /// Entries ever written.
    written: usize,
}

impl Log {
    /// An empty log of so many accesses.
    pub fn new(length: usize) -> Self {
        Self {
            entries: vec![Entry::default(); length],
            written: 0,
        }
    }

    /// The page at `place`, if that is an entry of `stream`.
    pub fn page(&self, place: u32, stream: u64) -> Option<u64> {
        let entry = self.entries.get(place as usize)?;
        (entry.stream == stream).then_some(entry.page)
    }

    /// What followed `place` in `stream`: the place and its page.
    pub fn after(&self, place: u32, stream: u64) -> Option<(u32, u64)> {
        let entry = self.entries.get(place as usize)?;
        let page = self.page(entry.next, stream)?;
        (entry.next != place && entry.stream == stream).then_some((entry.next, page))
    }

    /// Where the next access is written.
    pub fn end(&self) -> u32 {
        (self.written % self.entries.len()) as u32
    }

    /// Writes an access of `stream`, whose newest one before is at `newest`.
    pub fn append(&mut self, stream: u64, page: u64, newest: Option<u32>) {
        let place = self.end();
        if let Some(newest) = newest.and_then(|newest| self.entries.get_mut(newest as usize))
            && newest.stream == stream
        {
            newest.next = place;
        }
        if let Some(entry) = self.entries.get_mut(place as usize) {
            *entry = Entry {
                page,
                stream,
                next: place,
            };
        }
        self.written += 1;
    }
}
