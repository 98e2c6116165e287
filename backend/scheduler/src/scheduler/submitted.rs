// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list from its submission to the end of its last instruction.

use super::{ContextId, ListId};
use crate::clock::Nanos;
use crate::graph::{Outcome, Sequence};

/// What is known of a list that has not ended.
#[derive(Debug)]
pub struct Submitted {
    pub context: ContextId,
    /// Instructions that have not ended.
    pub remaining: u32,
    pub failed: Option<u32>,
    pub started: Option<Nanos>,
    /// Lists that have to end before this one starts.
    pub gates: u32,
    /// Lists that wait for this one.
    pub waiters: Vec<ListId>,
    /// Sequence of the first instruction, and how many are analysed.
    pub first: Sequence,
    pub analysed: u32,
}

impl Submitted {
    /// Notes that some of its instructions have ended, the first at `position`.
    pub fn note_end(&mut self, position: u32, instructions: u32, outcome: Outcome) {
        self.remaining = self.remaining.saturating_sub(instructions);
        if outcome == Outcome::Failed && instructions > 0 {
            self.failed = Some(self.failed.map_or(position, |first| first.min(position)));
        }
    }
}
