// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far ahead pages are mapped: as far as the experts see while aperture and link
//! have room, less and less while the link's queue stands.
//!
//! A page mapped so many steps ahead holds a frame for so many steps of its stream, and
//! all streams do that: together they get a share of the aperture, or what comes early
//! pushes out what is in use.
//!
//! A link that moves all it can gains nothing from being asked sooner, but pages
//! that come early push out pages that are needed first, and these have to be moved
//! again. So the depth is cut while more waits than keeps the link at work, and grows
//! when that is over: additive increase and multiplicative decrease, as TCP does with
//! its window. A queue counts when it stands, which is when it never was short for a
//! while (as in the CoDel queue discipline); a burst that drains changes nothing.

use augur_memory::Nanos;

use crate::decision::Costs;

/// A depth of so many steps is no limit: no expert looks farther.
const UNLIMITED: f32 = 64.0;
/// The depth that the first cut is made from.
const LARGEST: f32 = 32.0;
/// What is left of the depth by a cut.
const CUT: f32 = 0.7;
/// Steps that it grows by in a span in which the queue was short.
const GROWTH: f32 = 1.0;
/// The share of the aperture for pages that are mapped ahead and not needed yet.
const EARLY: f32 = 0.125;
/// As many steps as this are no limit to a stream.
const FAR: f32 = 16.0;
/// How long a queue may stand, in parts of what mapping ahead saves: with less a link
/// could fall idle before a stream has seen a page come and asks for the next ones.
const TARGET: f32 = 0.5;
/// The length of a span, in times of what mapping ahead saves, and the times that the
/// queue must have been seen in it.
const SPAN: f32 = 2.5;
const LOOKS: u32 = 8;

/// The depth.
#[derive(Debug)]
pub struct Depth {
    steps: f32,
    /// Frames for pages that come early.
    room: f32,
    /// Steps that a stream may always look ahead.
    least: f32,
    /// What the queue may stand at, and the length of a span, in nanoseconds.
    target: f32,
    span: f32,
    /// What a move takes the link.
    transfer: f32,
    /// The shortest queue of the span at hand in nanoseconds, how often it was looked
    /// at, and when the span began.
    shortest: f32,
    looks: u32,
    since: Nanos,
}

impl Depth {
    /// No limit yet.
    pub fn new(costs: Costs, frames: u32, least_steps: u8) -> Self {
        let saved = costs.fault - costs.first_touch;
        Self {
            steps: UNLIMITED,
            room: EARLY * frames as f32,
            least: least_steps.into(),
            target: TARGET * saved,
            span: SPAN * saved,
            transfer: costs.transfer,
            shortest: f32::INFINITY,
            looks: 0,
            since: Nanos(0),
        }
    }

    /// So many moves were on the link or waited for it at `now`.
    pub fn look(&mut self, moves: usize, now: Nanos) {
        self.shortest = self.shortest.min(moves as f32 * self.transfer);
        self.looks += 1;
        let passed = now.0.saturating_sub(self.since.0) as f32;
        if passed < self.span || self.looks < LOOKS {
            return;
        }
        self.steps = if self.shortest > self.target {
            (self.steps.min(LARGEST) * CUT).max(1.0)
        } else {
            (self.steps + GROWTH).min(UNLIMITED)
        };
        self.shortest = f32::INFINITY;
        self.looks = 0;
        self.since = now;
    }

    /// Whether a page that one of `streams` expects after `rank` others is mapped already.
    pub fn reaches(&self, rank: u8, streams: f32) -> bool {
        let rank = f32::from(rank);
        let room = (self.room / streams).max(self.least);
        (rank < self.steps || self.steps >= UNLIMITED) && (rank < room || room >= FAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows a queue of `moves(look)` moves every microsecond.
    fn watch(depth: &mut Depth, from: u64, looks: u64, moves: impl Fn(u64) -> usize) {
        for look in 0..looks {
            depth.look(moves(look), Nanos((from + look) * 1000));
        }
    }

    #[test]
    fn a_queue_that_stands_brings_the_next_page_only_and_room_brings_back_all() {
        let mut depth = Depth::new(Costs::default(), 4096, 3);
        assert!(depth.reaches(254, 1.0));
        watch(&mut depth, 0, 1000, |_| 40);
        assert!(depth.reaches(0, 1.0) && !depth.reaches(1, 1.0));
        watch(&mut depth, 1000, 200, |_| 0);
        assert!(
            depth.reaches(2, 1.0) && !depth.reaches(8, 1.0),
            "step by step"
        );
        watch(&mut depth, 1200, 4000, |_| 0);
        assert!(depth.reaches(254, 1.0));
    }

    #[test]
    fn bursts_that_drain_and_a_link_just_kept_at_work_change_nothing() {
        let mut depth = Depth::new(Costs::default(), 4096, 3);
        watch(&mut depth, 0, 2000, |look| (40 - look % 41) as usize);
        watch(&mut depth, 2000, 2000, |_| 15);
        assert!(depth.reaches(254, 1.0));
    }

    #[test]
    fn a_queue_seen_now_and_then_does_not_stand() {
        let mut depth = Depth::new(Costs::default(), 4096, 3);
        for look in 0..u64::from(LOOKS) - 1 {
            depth.look(100, Nanos(look * 1_000_000));
        }
        assert!(depth.reaches(254, 1.0));
    }

    #[test]
    fn streams_share_what_the_aperture_has_for_pages_that_come_early() {
        let depth = Depth::new(Costs::default(), 64, 3);
        assert!(depth.reaches(7, 1.0) && !depth.reaches(8, 1.0));
        assert!(depth.reaches(2, 4.0) && !depth.reaches(3, 4.0));
        assert!(depth.reaches(2, 100.0), "the next pages always");
        let depth = Depth::new(Costs::default(), 64, 6);
        assert!(depth.reaches(5, 4.0) && !depth.reaches(6, 4.0));
        let depth = Depth::new(Costs::default(), 128, 3);
        assert!(depth.reaches(254, 1.0), "no limit where there is room");
    }
}
