// SPDX-License-Identifier: MIT OR Apache-2.0
//! Declared intent: the operands of queued command lists, in the order in
//! which they will be used.

use std::collections::VecDeque;

use super::{Expert, Moment};
use crate::Stream;
use crate::proposal::Proposals;
use crate::table::Table;

/// Pages declared for one stream and not used yet, at most.
const QUEUED: usize = 4096;
/// Pages proposed at an access.
const AHEAD: usize = 16;

/// Proposes what was declared.
#[derive(Debug)]
pub struct Declared {
    streams: Table<VecDeque<u64>>,
}

impl Declared {
    /// Nothing declared.
    pub fn new() -> Self {
        Self {
            streams: Table::new(8),
        }
    }
}

impl Expert for Declared {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let Some(queue) = self.streams.get_mut(moment.stream.key()) else {
            return;
        };
        // Accesses may skip what is visible already.
        if let Some(place) = queue
            .iter()
            .take(AHEAD)
            .position(|&page| page == moment.page)
        {
            queue.drain(..=place);
        }
        for (rank, &page) in queue.iter().take(AHEAD).enumerate() {
            to.add(page, me, rank);
        }
    }

    fn declared(&mut self, stream: Stream, pages: &[u64]) {
        let queue = self.streams.entry(stream.key());
        for &page in pages {
            if queue.len() >= QUEUED {
                return;
            }
            queue.push_back(page);
        }
    }
}
