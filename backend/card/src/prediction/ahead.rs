// SPDX-License-Identifier: MIT OR Apache-2.0
//! From regions that the predictor expects to windows that are being filled.

use std::collections::VecDeque;

use augur_memory::{ContextId, PageNumber, Refused};
use augur_predictor::Region;

use super::unit::UnitSize;
use crate::shared::Shared;

/// Runs that wait for frames, at most.
const POSTPONED: usize = 64;
/// A run that waits for frames is no prediction any more when one of so many parts of the
/// aperture has come to use since.
const PATIENCE: u64 = 2;
/// Frames are freed for so many of the largest windows at once, and for no more than one
/// of so many parts of the aperture: a revoke is on its way for as long as a program needs
/// for some windows.
const ROOM_WINDOWS: u32 = 2;
const ROOM_PART: u32 = 8;
/// A region shorter than the largest window may wait to grow when it is as far from
/// the access as this many of the largest windows: then moves and notices are few.
const NEAR: u64 = 2;

/// A run that found no frames.
struct Postponed {
    context: ContextId,
    first: PageNumber,
    pages: u64,
    /// Frames that had come to use when it was wanted.
    since: u64,
}

/// Maps runs ahead, and keeps those that wait for frames.
pub(crate) struct Mapper {
    unit: UnitSize,
    /// log2 of the pages of the largest window.
    largest: u8,
    postponed: VecDeque<Postponed>,
}

impl Mapper {
    /// Windows of at most `2^largest` pages of units of that size.
    pub fn new(unit: UnitSize, largest: u8) -> Self {
        Mapper {
            unit,
            largest,
            postponed: VecDeque::new(),
        }
    }

    /// log2 of the pages of the largest window.
    pub fn largest(&self) -> u8 {
        self.largest
    }

    /// Maps what is expected after an access to `unit`, in this order.
    pub fn expect(&mut self, shared: &Shared, unit: PageNumber, regions: &[Region]) {
        for region in regions {
            if !self.may_wait(unit, region) {
                let pages = u64::from(region.pages) * self.unit.pages();
                let first = self.unit.first_page(region.start);
                self.map(shared, region.context, first, pages);
            }
        }
    }

    /// Whether a region is better mapped when more of it is expected: it is proposed
    /// again at the next access.
    fn may_wait(&self, unit: PageNumber, region: &Region) -> bool {
        let largest = ((1u64 << self.largest) / self.unit.pages()).max(1);
        let distance = region.start.0.saturating_sub(unit.0);
        u64::from(region.pages) < largest && distance > NEAR * largest && region.start.0 > unit.0
    }

    /// Maps pages ahead.
    pub fn map(&mut self, shared: &Shared, context: ContextId, first: PageNumber, pages: u64) {
        let since = shared.core().manager.counters().came_to_use;
        self.try_to_map(
            shared,
            Postponed {
                context,
                first,
                pages,
                since,
            },
        );
    }

    /// Frames may have become free.
    pub fn retry(&mut self, shared: &Shared) {
        if self.postponed.is_empty() {
            return;
        }
        let (came_to_use, aperture) = {
            let manager = &shared.core().manager;
            (
                manager.counters().came_to_use,
                u64::from(manager.config().aperture.0),
            )
        };
        for _ in 0..self.postponed.len() {
            let Some(run) = self.postponed.pop_front() else {
                return;
            };
            let fresh = came_to_use - run.since <= aperture / PATIENCE;
            if fresh && !self.try_to_map(shared, run) {
                return;
            }
        }
    }

    /// Forgets the runs of contexts that are gone.
    pub fn keep(&mut self, exists: impl Fn(ContextId) -> bool) {
        self.postponed.retain(|run| exists(run.context));
    }

    /// Answers false when no frames are free, for whatever context.
    fn try_to_map(&mut self, shared: &Shared, mut run: Postponed) -> bool {
        let now = shared.guest_time();
        let mut core = shared.core();
        let manager = &mut core.manager;
        let mapped = manager.map_span_ahead(run.context, run.first, run.pages, self.largest, now);
        let room = (manager.config().aperture.0 / ROOM_PART).min(ROOM_WINDOWS << self.largest);
        let mut found = true;
        if let Ok(mapped) = mapped
            && let Some((first, why)) = mapped.left
        {
            let left = run.pages - (first.0 - run.first.0);
            let frames = u32::try_from(left).unwrap_or(u32::MAX).min(room);
            log::debug!(
                "{}: {left} pages from {first} on are not mapped ahead: {why}",
                run.context
            );
            // The limit has room again when something that was mapped ahead is used.
            let over_limit = why == Refused::Quota;
            let coming = if over_limit {
                manager.give_up_unused(run.context, frames, now);
                true
            } else {
                manager.make_room_ahead(run.context, frames, now)
            };
            if coming {
                run.first = first;
                run.pages = left;
                if self.postponed.len() >= POSTPONED {
                    self.postponed.pop_front();
                }
                self.postponed.push_back(run);
                found = over_limit;
            }
        } else {
            // The next prediction should find frames.
            manager.make_room_ahead(run.context, room, now);
        }
        shared.carry_out(core);
        found
    }
}
