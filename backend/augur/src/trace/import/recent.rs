// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reduces accesses to touches of whole pages, and of those to the ones that
//! are news: as a small translation buffer sees them, the pages touched last
//! are left out, but for the first write to a page that was only read.

use std::collections::VecDeque;

use super::{ReadError, Record, Source};
use crate::trace::PAGE_SHIFT;

/// The news of a source.
pub struct Recent {
    source: Box<dyn Source>,
    pages: RecentPages,
    /// Time between two touches, where the source has no clock.
    interval_ns: Option<u64>,
    touches: u64,
    waiting: VecDeque<Record>,
}

impl Recent {
    /// The touches of `source` that are not of the last `capacity` pages;
    /// `interval_ns` apart, if the source has no clock.
    pub fn new(source: Box<dyn Source>, capacity: usize, interval_ns: Option<u64>) -> Self {
        Self {
            source,
            pages: RecentPages {
                pages: Vec::with_capacity(capacity),
                capacity,
            },
            interval_ns,
            touches: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl Source for Recent {
    fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            if let Some(mut record) = self.waiting.pop_front() {
                if let Some(interval) = self.interval_ns {
                    record.time_ns = self.touches.saturating_mul(interval);
                }
                self.touches += 1;
                return Ok(Some(record));
            }
            let Some(record) = self.source.next_record()? else {
                return Ok(None);
            };
            for page in record.pages() {
                if self.pages.is_news(page, record.write) {
                    self.waiting.push_back(Record {
                        offset: page << PAGE_SHIFT,
                        bytes: 1 << PAGE_SHIFT,
                        ..record
                    });
                }
            }
        }
    }
}

/// The pages touched last, latest first.
struct RecentPages {
    /// Page, and whether a write to it was seen since it came.
    pages: Vec<(u64, bool)>,
    capacity: usize,
}

impl RecentPages {
    fn is_news(&mut self, page: u64, write: bool) -> bool {
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
    use super::super::tests::settings;
    use super::super::{Format, source};
    use super::*;

    /// Pages and directions of what is left of lackey's lines.
    fn news(capacity: usize, interval_ns: Option<u64>, text: &'static str) -> Vec<Record> {
        let text = Box::new(std::io::Cursor::new(text));
        let source = source(text, Format::Lackey, &settings()).unwrap();
        let mut recent = Recent::new(source, capacity, interval_ns);
        std::iter::from_fn(|| recent.next_record().unwrap()).collect()
    }

    fn touches(capacity: usize, text: &'static str) -> Vec<(u64, bool)> {
        let news = news(capacity, None, text);
        news.iter().map(|it| (it.offset >> 12, it.write)).collect()
    }

    const R: bool = false;
    const W: bool = true;

    #[test]
    fn one_page_back_leaves_the_transitions() {
        let seen = touches(1, " L 1000,8\n L 1ff0,8\n L 2000,8\n L 2008,8\n L 1000,8\n");
        assert_eq!(seen, [(1, R), (2, R), (1, R)]);
    }

    #[test]
    fn what_was_touched_among_the_last_is_left_out() {
        let text = " L 1000,8\n L 2000,8\n L 1000,8\n L 3000,8\n L 1000,8\n L 2000,8\n";
        assert_eq!(touches(2, text), [(1, R), (2, R), (3, R), (2, R)]);
    }

    #[test]
    fn the_first_write_to_a_page_that_was_read_is_news() {
        let seen = touches(2, " L 1000,8\n S 1000,8\n M 1000,8\n L 1000,8\n");
        assert_eq!(seen, [(1, R), (1, W)]);
    }

    #[test]
    fn an_access_across_pages_touches_each() {
        let seen = touches(8, " S 0ffa,4100\n");
        assert_eq!(seen, [(0, W), (1, W)]);
    }

    #[test]
    fn without_a_clock_the_touches_that_are_left_are_an_interval_apart() {
        let text = " L 1000,8\n L 1000,8\n L 2000,8\n";
        let times = |interval| -> Vec<u64> {
            let news = news(1, interval, text);
            news.iter().map(|it| it.time_ns).collect()
        };
        assert_eq!(times(Some(7)), [0, 7]);
        assert_eq!(times(None), [0, 20]);
    }
}
