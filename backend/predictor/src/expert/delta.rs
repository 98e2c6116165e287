// SPDX-License-Identifier: MIT OR Apache-2.0
//! Delta signatures: the last three deltas of a stream, hashed, point to the
//! deltas that followed them; the likeliest path is followed a few steps.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::{Table, mix};

const WAYS: usize = 3;
const STEPS: usize = 4;
/// The count of a delta that followed more than once.
const PROVEN: u8 = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Followers {
    /// Deltas with saturating counts, the likeliest first.
    ways: [(i64, u8); WAYS],
}

impl Followers {
    fn record(&mut self, delta: i64) {
        if let Some(way) = self.ways.iter().position(|&(d, n)| n > 0 && d == delta) {
            self.ways[way].1 = self.ways[way].1.saturating_add(2).min(16);
            if way > 0 && self.ways[way].1 > self.ways[way - 1].1 {
                self.ways.swap(way, way - 1);
            }
        } else {
            let last = &mut self.ways[WAYS - 1];
            last.1 = last.1.saturating_sub(1);
            if last.1 == 0 {
                *last = (delta, 2);
            }
        }
    }
}

/// Proposes along learned sequences of deltas.
#[derive(Debug)]
pub struct DeltaSignature {
    followers: Table<Followers>,
}

impl DeltaSignature {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            followers: Table::new(14),
        }
    }
}

fn signature(deltas: [i64; 3]) -> u64 {
    deltas
        .iter()
        .fold(0, |hash, &delta| mix(hash ^ delta.cast_unsigned()))
}

impl Expert for DeltaSignature {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let delta = |back| moment.recent.delta(back);
        self.followers
            .entry(signature([delta(3), delta(2), delta(1)]))
            .record(delta(0));
        let mut deltas = [delta(2), delta(1), delta(0)];
        let mut page = moment.page;
        for step in 0..STEPS {
            let Some(followers) = self.followers.get(signature(deltas)) else {
                return;
            };
            for (way, &(delta, count)) in followers.ways.iter().enumerate() {
                if count == 0 {
                    continue;
                }
                // What is less likely is told apart, and expected later.
                let unproven = if count < PROVEN { WAYS } else { 0 };
                let rank = (way + unproven) * STEPS + step;
                to.add(page.wrapping_add_signed(delta), me, rank);
            }
            let best = followers.ways[0].0;
            page = page.wrapping_add_signed(best);
            deltas = [deltas[1], deltas[2], best];
        }
    }
}
