// SPDX-License-Identifier: MIT OR Apache-2.0
//! Best-Offset (Michaud, "Best-Offset Hardware Prefetching", HPCA '16).
//!
//! One offset D is in use while all offsets of the list are tested in turn:
//! offset d scores when the page X − d of an access X is in the recent
//! requests, that is, when a prefetch by d issued then would be complete now.
//! A phase ends at SCORE_MAX or after ROUND_MAX rounds and its winner becomes
//! D; a winner at or below BAD_SCORE turns prefetching off while learning goes on.

use std::collections::VecDeque;

use augur_memory::{Nanos, PageNumber};

use super::offset_by;
use crate::table::mix;
use crate::{Observation, Prefetcher, Residency};

const OFFSETS: [u8; 26] = [
    1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 25, 27, 30, 32, 36, 40, 45, 48, 50, 54, 60,
];
const RECENT_REQUESTS: usize = 256;
const SCORE_MAX: u8 = 31;
const ROUND_MAX: u32 = 100;
const BAD_SCORE: u8 = 10;
/// Time from asking for a page to having it: a fill of the default profile.
const FILL: Nanos = Nanos(2_342);
/// Fills awaited at most; older ones are recorded early.
const AWAITED: usize = 1024;

/// Best-Offset.
#[derive(Debug)]
pub struct BestOffset {
    degree: u32,
    recent: [u64; RECENT_REQUESTS],
    awaited: VecDeque<(Nanos, u64)>,
    scores: [u8; OFFSETS.len()],
    /// The offset to test next.
    tested: usize,
    round: u32,
    /// The offset in use; `None` when prefetching is off.
    offset: Option<u8>,
}

impl BestOffset {
    /// Best-Offset that asks for X + D … X + `degree`·D.
    pub fn new(degree: u32) -> Self {
        Self {
            degree,
            recent: [u64::MAX; RECENT_REQUESTS],
            awaited: VecDeque::new(),
            scores: [0; OFFSETS.len()],
            tested: 0,
            round: 0,
            offset: Some(1),
        }
    }

    fn place(page: u64) -> usize {
        mix(page) as usize % RECENT_REQUESTS
    }

    fn finish_phase(&mut self) {
        let best = (0..OFFSETS.len())
            .max_by_key(|&i| (self.scores[i], std::cmp::Reverse(i)))
            .unwrap_or(0);
        self.offset = (self.scores[best] > BAD_SCORE).then_some(OFFSETS[best]);
        self.scores = [0; OFFSETS.len()];
        self.tested = 0;
        self.round = 0;
    }

    fn learn(&mut self, page: u64) {
        let base = page.wrapping_sub(u64::from(OFFSETS[self.tested]));
        if self.recent[Self::place(base)] == base {
            self.scores[self.tested] += 1;
            if self.scores[self.tested] >= SCORE_MAX {
                self.finish_phase();
                return;
            }
        }
        self.tested += 1;
        if self.tested == OFFSETS.len() {
            self.tested = 0;
            self.round += 1;
            if self.round >= ROUND_MAX {
                self.finish_phase();
            }
        }
    }
}

impl Prefetcher for BestOffset {
    fn observe(
        &mut self,
        observation: &Observation,
        _residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let page = observation.page.0;
        while let Some(&(ready, base)) = self.awaited.front() {
            if ready > observation.time && self.awaited.len() < AWAITED {
                break;
            }
            self.recent[Self::place(base)] = base;
            self.awaited.pop_front();
        }
        self.learn(page);
        self.awaited.push_back((observation.time + FILL, page));
        if let Some(offset) = self.offset {
            wanted.extend(
                (1..=i64::from(self.degree))
                    .filter_map(|i| offset_by(observation.page, i * i64::from(offset))),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::asked;

    #[test]
    fn it_learns_the_stride_of_a_stream() {
        let mut best_offset = BestOffset::new(2);
        let pages: Vec<u64> = (0..4000).map(|i| i * 5).collect();
        asked(&mut best_offset, &pages);
        assert_eq!(best_offset.offset.map(|d| d % 5), Some(0));
    }

    #[test]
    fn it_turns_itself_off_on_a_random_stream() {
        let mut best_offset = BestOffset::new(2);
        let pages: Vec<u64> = (0..6000).map(|i| mix(i) >> 20).collect();
        asked(&mut best_offset, &pages);
        assert_eq!(best_offset.offset, None);
    }
}
