// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reduces accesses to touches of whole pages, and of those to the ones that
//! are news: as a small translation buffer sees them, the pages touched last
//! are left out, but for the first write to a page that was only read.

use super::Record;
use crate::trace::PAGE_SHIFT;

/// The pages touched last, latest first.
pub struct RecentPages {
    /// Page, and whether a write to it was seen since it came.
    pages: Vec<(u64, bool)>,
    capacity: usize,
}

impl RecentPages {
    /// Remembers `capacity` pages.
    pub fn new(capacity: usize) -> Self {
        Self {
            pages: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// The touches of `record` that are news, each of one page.
    pub fn filter(&mut self, record: &Record) -> impl Iterator<Item = Record> {
        let (write, stream, time_ns) = (record.write, record.stream, record.time_ns);
        record.pages().filter_map(move |page| {
            self.touch(page, write).then_some(Record {
                time_ns,
                stream,
                write,
                offset: page << PAGE_SHIFT,
                bytes: 1 << PAGE_SHIFT,
            })
        })
    }

    /// Whether this touch is news.
    fn touch(&mut self, page: u64, write: bool) -> bool {
        let place = self.pages.iter().position(|&(known, _)| known == page);
        let known = place.map(|place| self.pages.remove(place));
        let written = known.is_some_and(|(_, written)| written);
        self.pages.truncate(self.capacity.saturating_sub(1));
        self.pages.insert(0, (page, write || written));
        known.is_none() || (write && !written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(capacity: usize, pages: &[(u64, bool)]) -> Vec<(u64, bool)> {
        let mut recent = RecentPages::new(capacity);
        let mut news = Vec::new();
        for &(page, write) in pages {
            let record = Record {
                time_ns: 0,
                stream: 0,
                write,
                offset: page * 4096 + 8,
                bytes: 8,
            };
            news.extend(
                recent
                    .filter(&record)
                    .map(|it| (it.offset / 4096, it.write)),
            );
        }
        news
    }

    const R: bool = false;
    const W: bool = true;

    #[test]
    fn one_page_back_leaves_the_transitions() {
        let seen = touches(1, &[(1, R), (1, R), (2, R), (2, R), (1, R)]);
        assert_eq!(seen, [(1, R), (2, R), (1, R)]);
    }

    #[test]
    fn what_was_touched_among_the_last_is_left_out() {
        let seen = touches(2, &[(1, R), (2, R), (1, R), (3, R), (1, R), (2, R)]);
        assert_eq!(seen, [(1, R), (2, R), (3, R), (2, R)]);
    }

    #[test]
    fn the_first_write_to_a_page_that_was_read_is_news() {
        let seen = touches(2, &[(1, R), (1, W), (1, W), (1, R)]);
        assert_eq!(seen, [(1, R), (1, W)]);
    }

    #[test]
    fn an_access_across_pages_touches_each() {
        let record = Record {
            time_ns: 3,
            stream: 1,
            write: true,
            offset: 4090,
            bytes: 4100,
        };
        let news: Vec<Record> = RecentPages::new(8).filter(&record).collect();
        let pages: Vec<u64> = news.iter().map(|record| record.offset >> 12).collect();
        assert_eq!(pages, [0, 1]);
        assert!(
            news.iter()
                .all(|it| it.bytes == 4096 && it.write && it.stream == 1)
        );
    }
}
