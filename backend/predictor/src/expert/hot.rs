// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hot set, as of embedding tables: pages touched often that were evicted,
//! proposed again a few at a time.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::Table;

/// Pages that wait to be proposed, at most.
const WAITING: usize = 256;
/// Touches that make a page hot.
const HOT: u8 = 8;

/// Proposes hot pages that are not visible.
#[derive(Debug)]
pub struct HotSet {
    touches: Table<u8>,
    evicted: std::collections::VecDeque<u64>,
}

impl HotSet {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            touches: Table::new(15),
            evicted: std::collections::VecDeque::new(),
        }
    }
}

impl Expert for HotSet {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let touches = self.touches.entry(moment.page);
        *touches = touches.saturating_add(1);
        if let Some(page) = self.evicted.pop_front()
            && let Some(&touches) = self.touches.get(page)
        {
            to.add(page, me, touches.ilog2().min(7) as usize);
        }
    }

    fn unmapped(&mut self, page: u64, used: bool) {
        match self.touches.get_mut(page) {
            Some(touches) if *touches >= HOT && used => {
                // What stays away cools down.
                *touches -= *touches / 4;
                if self.evicted.len() >= WAITING {
                    self.evicted.pop_front();
                }
                self.evicted.push_back(page);
            }
            _ => {}
        }
    }
}
