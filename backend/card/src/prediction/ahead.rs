// SPDX-License-Identifier: MIT OR Apache-2.0
//! From regions that the predictor expects to windows that are being filled.

use std::collections::VecDeque;

use augur_memory::{ContextId, PageNumber, Refused};
use augur_predictor::Region;
use log::Level;

use super::unit::UnitSize;
use crate::log_limit::LogLimit;
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

/// Refusals that are logged in a second; the others are counted. A full aperture
/// refuses all the time.
const REFUSALS: u32 = 1;

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
    /// Frames that were mapped ahead and not told yet.
    frames: u64,
    /// Lines about what was not mapped.
    refusals: LogLimit,
}

impl Mapper {
    /// Windows of at most `2^largest` pages of units of that size.
    pub fn new(unit: UnitSize, largest: u8) -> Self {
        Mapper {
            unit,
            largest,
            postponed: VecDeque::new(),
            frames: 0,
            refusals: LogLimit::new(REFUSALS),
        }
    }

    /// log2 of the pages of the largest window.
    pub fn largest(&self) -> u8 {
        self.largest
    }

    /// Units that were mapped ahead since this was asked last; what is less than a unit
    /// counts with what comes later.
    pub fn take_mapped(&mut self) -> u32 {
        let units = self.frames / self.unit.pages();
        self.frames %= self.unit.pages();
        u32::try_from(units).unwrap_or(u32::MAX)
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
        if let Ok(mapped) = mapped {
            self.frames += u64::from(mapped.frames);
        }
        if let Ok(mapped) = mapped
            && let Some((first, why)) = mapped.left
        {
            let left = run.pages - (first.0 - run.first.0);
            let frames = u32::try_from(left).unwrap_or(u32::MAX).min(room);
            self.refusals.log(
                Level::Info,
                format_args!(
                    "{}: {left} pages from {} on are not mapped ahead: {why}",
                    run.context,
                    first.address()
                ),
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

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;
    use std::fs::File;
    use std::io;
    use std::sync::Arc;

    use augur_memory::{Lru, Manager, Nanos, PAGE_SHIFT};

    use super::*;
    use crate::config::CardConfig;
    use crate::device_memory::DeviceMemory;
    use crate::host::Host;

    const UNIT: u64 = 16;

    struct Nobody;

    impl Host for Nobody {
        fn map_aperture(&self, _: &File, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn events_pending(&self) {}
    }

    /// A card without threads that lets three units be mapped ahead, and an object of 16.
    pub fn card() -> (Shared, ContextId, PageNumber) {
        let config = CardConfig {
            memory_bytes: 64 << 20,
            aperture_bytes: 16 << 20,
            demand_window_bytes: UNIT << PAGE_SHIFT,
            speculative_bytes: (3 * UNIT) << PAGE_SHIFT,
            ..CardConfig::default()
        };
        let sizes = config.manager().unwrap();
        let manager = Manager::new(sizes, Lru::new(sizes.aperture.0 as usize)).unwrap();
        let memory = DeviceMemory::new(config.memory_bytes).unwrap();
        let shared = Shared::new(config, memory, manager, Arc::new(Nobody));
        let mut core = shared.core();
        let context = core.manager.create_context().unwrap();
        let object = core
            .manager
            .create_object(context, (16 * UNIT) << PAGE_SHIFT);
        let first = object.unwrap().1.page();
        drop(core);
        (shared, context, first)
    }

    #[test]
    fn what_is_refused_does_not_count_as_mapped() {
        let (shared, context, first) = card();
        let unit = UnitSize::of(UNIT as u32);
        let mut mapper = Mapper::new(unit, UNIT.ilog2() as u8);
        let expected = |start: u64| Region {
            context,
            start: PageNumber(unit.holding(first).0 + start),
            pages: 1,
            expected_touches: 1.0,
            time_to_use: Nanos(0),
            probability: 1.0,
        };
        let regions: Vec<Region> = [1, 2, 4, 6, 8].map(expected).to_vec();
        mapper.expect(&shared, unit.holding(first), &regions);
        assert_eq!(mapper.take_mapped(), 3);
        assert_eq!(mapper.take_mapped(), 0, "told once");
        assert_eq!(
            shared.core().manager.counters().speculative_frames,
            3 * UNIT
        );
    }
    thread_local! {
        /// What a test's thread has logged.
        static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    struct Kept;

    impl log::Log for Kept {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            LOGGED.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }

        fn flush(&self) {}
    }

    #[test]
    fn what_finds_no_frames_is_logged_with_its_region_and_takes_the_least_valuable() {
        // Another test may have set it.
        let _ = log::set_logger(&Kept);
        log::set_max_level(log::LevelFilter::Info);
        let (shared, context, first) = card();
        let mut mapper = Mapper::new(UnitSize::of(UNIT as u32), UNIT.ilog2() as u8);
        mapper.map(&shared, context, first, 3 * UNIT);
        let next = PageNumber(first.0 + 3 * UNIT);
        mapper.map(&shared, context, next, 2 * UNIT);
        let logged = LOGGED.take();
        let region = format!("{context}: {} pages from {} on ", 2 * UNIT, next.address());
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(logged[0].starts_with(&region), "{logged:?}");
        assert!(logged[0].contains("too much is mapped ahead"), "{logged:?}");
        mapper.map(&shared, context, next, 2 * UNIT);
        assert_eq!(LOGGED.take().len(), 0, "one a second");
        // The guest's own fault is served whatever is mapped ahead.
        let fault = shared
            .core()
            .manager
            .fault(context, next.address(), Nanos(1));
        assert!(fault.is_ok(), "{fault:?}");
    }
}
