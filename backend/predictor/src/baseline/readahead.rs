// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux' on-demand readahead (`mm/readahead.c`, `ondemand_readahead`), with
//! one `file_ra_state` for each stream and requests of one page.
//!
//! The degree is `ra_pages`, the largest window.

use augur_memory::PageNumber;

use crate::table::Table;
use crate::{Observation, Origin, Prefetcher, Residency, Stream};

/// Pages of one request: the card sees one page at a time.
const REQUEST: u64 = 1;

/// `struct file_ra_state`.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start: u64,
    size: u64,
    async_size: u64,
    /// `prev_pos`, in pages; `None` before the first access.
    previous: Option<u64>,
}

/// Linux' readahead.
#[derive(Debug)]
pub struct Readahead {
    max: u64,
    windows: Table<Window>,
}

impl Readahead {
    /// Readahead with windows of at most `max` pages.
    pub fn new(max: u32) -> Self {
        Self {
            max: u64::from(max.max(1)),
            windows: Table::new(10),
        }
    }

    /// `get_init_ra_size`.
    fn first_size(&self) -> u64 {
        let size = REQUEST.next_power_of_two();
        let size = if size <= self.max / 32 {
            size * 4
        } else if size <= self.max / 4 {
            size * 2
        } else {
            self.max
        };
        size.min(self.max)
    }

    /// `get_next_ra_size`.
    fn next_size(&self, size: u64) -> u64 {
        if size < self.max / 16 {
            4 * size
        } else if size <= self.max / 2 {
            2 * size
        } else {
            self.max
        }
    }

    /// Pages before `page` that are visible, without a gap, at most `max`
    /// (`count_history_pages`).
    fn history(&self, stream: Stream, page: u64, residency: &dyn Residency) -> u64 {
        (1..=self.max)
            .take_while(|&back| {
                page.checked_sub(back)
                    .is_some_and(|before| residency.is_visible(stream.context, PageNumber(before)))
            })
            .count() as u64
    }

    /// The window for an access to `page`, or `None` where nothing is read
    /// ahead (`ondemand_readahead`).
    fn advance(
        &self,
        mut window: Window,
        stream: Stream,
        page: u64,
        missed: bool,
        residency: &dyn Residency,
    ) -> Option<Window> {
        let marker = window.start + window.size - window.async_size;
        if window.size > 0 && (page == marker || page == window.start + window.size) {
            window.start += window.size;
            window.size = self.next_size(window.size);
            window.async_size = window.size;
        } else if !missed {
            return None;
        } else if page == 0
            || window
                .previous
                .is_none_or(|previous| page.wrapping_sub(previous) <= 1)
        {
            window.start = page;
            window.size = self.first_size();
            window.async_size = window.size.saturating_sub(REQUEST);
            if window.async_size == 0 {
                window.async_size = window.size;
            }
        } else {
            let history = self.history(stream, page, residency);
            if history <= REQUEST {
                return None;
            }
            let history = if history >= page {
                history * 2
            } else {
                history
            };
            window.start = page;
            window.size = (history + REQUEST).min(self.max);
            window.async_size = 1;
        }
        if page == window.start && window.size == window.async_size {
            let more = self.next_size(window.size);
            if window.size + more <= self.max {
                window.async_size = more;
                window.size += more;
            } else {
                window.size = self.max;
                window.async_size = self.max >> 1;
            }
        }
        Some(window)
    }
}

impl Prefetcher for Readahead {
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let stream = observation.stream;
        let page = observation.page.0;
        let window = self.windows.get(stream.key()).copied().unwrap_or_default();
        let missed = observation.origin == Origin::Fault;
        let advanced = self.advance(window, stream, page, missed, residency);
        if let Some(next) = advanced {
            let end = next.start.saturating_add(next.size);
            wanted.extend((next.start..end).filter(|&p| p != page).map(PageNumber));
        }
        *self.windows.entry(stream.key()) = Window {
            previous: Some(page),
            ..advanced.unwrap_or(window)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::{asked, touched};

    #[test]
    fn a_sequential_stream_doubles_its_window_up_to_the_largest() {
        // Window 1: 4 pages at 100, marker at 101; then 8 from 104, 16 from
        // 112, 32 from 128.
        let mut readahead = Readahead::new(32);
        assert_eq!(asked(&mut readahead, &[100]), [101, 102, 103]);
        let mut ahead = |page| touched(&mut readahead, page);
        assert_eq!(ahead(101), (104..112).collect::<Vec<_>>());
        assert_eq!(ahead(102), Vec::<u64>::new());
        assert_eq!(ahead(103), Vec::<u64>::new());
        assert_eq!(ahead(104), (112..128).collect::<Vec<_>>());
        assert_eq!(ahead(112), (128..160).collect::<Vec<_>>());
        assert_eq!(ahead(128), (160..192).collect::<Vec<_>>());
    }

    #[test]
    fn a_lone_random_access_reads_nothing_ahead() {
        let mut readahead = Readahead::new(32);
        asked(&mut readahead, &[100]);
        assert_eq!(asked(&mut readahead, &[5000]), Vec::<u64>::new());
        assert_eq!(asked(&mut readahead, &[9000]), Vec::<u64>::new());
    }
}
