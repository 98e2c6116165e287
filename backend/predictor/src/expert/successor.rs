// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page successors: what followed this page, and what followed this pair of
//! pages, in the same stream.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::{Table, mix};

const WAYS: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    pages: [u64; WAYS],
    known: usize,
}

impl Recent {
    fn record(&mut self, page: u64) {
        let place = match self.pages[..self.known].iter().position(|&p| p == page) {
            Some(place) => place,
            None => {
                self.known = (self.known + 1).min(WAYS);
                self.known - 1
            }
        };
        self.pages.copy_within(0..place, 1);
        self.pages[0] = page;
    }
}

/// Proposes successors.
#[derive(Debug)]
pub struct Successors {
    after_page: Table<Recent>,
    after_pair: Table<Recent>,
}

impl Successors {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            after_page: Table::new(16),
            after_pair: Table::new(16),
        }
    }
}

fn pair(first: u64, second: u64) -> u64 {
    mix(first).rotate_left(1) ^ second
}

impl Expert for Successors {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let page = moment.page;
        let Some(last) = moment.recent.page(1) else {
            return;
        };
        self.after_page.entry(last).record(page);
        if let Some(before) = moment.recent.page(2) {
            self.after_pair.entry(pair(before, last)).record(page);
        }
        if let Some(after) = self.after_pair.get(pair(last, page)) {
            for (rank, &next) in after.pages[..after.known].iter().enumerate() {
                to.add(next, me, rank);
            }
        }
        if let Some(after) = self.after_page.get(page) {
            for (rank, &next) in after.pages[..after.known].iter().enumerate() {
                to.add(next, me, WAYS + rank);
            }
        }
    }
}
