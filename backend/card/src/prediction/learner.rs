// SPDX-License-Identifier: MIT OR Apache-2.0
//! The learning thread: the only owner of the predictor.

use std::sync::atomic::Ordering;
use std::time::Duration;

use augur_memory::{Access as Bytes, ContextId, Frames, Nanos, PAGE_SHIFT, PageNumber};
use augur_predictor::{
    Config, Costs, Mode, Observation, Origin, Predictor, Prefetcher as _, Stream,
};

use super::ahead::Mapper;
use super::inbox::{Access, Lesson};
use super::intent::Readback;
use super::touch_ring::Claim;
use super::unit::UnitSize;
use crate::config::PredictorMode;
use crate::shared::{Shared, Totals};

/// How long the thread sleeps while programs are known to use what was mapped
/// ahead: the touch ring tells nobody that something is in it.
const SHORT: Duration = Duration::from_micros(100);
/// How long it sleeps when windows that were mapped ahead wait to be used.
const LONG: Duration = Duration::from_millis(2);
/// How long it sleeps when there is nothing to see.
const IDLE: Duration = Duration::from_millis(100);
/// Sleeps without news before the next longer ones.
const QUIET: u32 = 100;
/// What a fault costs the guest beside its fill: the request, the event, and two
/// changes of threads.
const FAULT: Nanos = Nanos(60_000);
/// What a first touch of a window that was mapped ahead costs the guest.
const FIRST_TOUCH: Nanos = Nanos(2_000);
/// Bytes that a fill moves in a microsecond.
const FILL_BYTES_PER_US: u64 = 5_000;
/// The start of a result that is mapped ahead, in largest windows.
const RESULT_WINDOWS: u64 = 2;
/// Lessons between two looks at which contexts still exist.
const HOUSEKEEPING: u32 = 4096;

/// The predictor with what it works on.
struct Learner<'a> {
    shared: &'a Shared,
    unit: UnitSize,
    predictor: Predictor,
    mapper: Mapper,
    readback: Readback,
    /// Units wanted after one access.
    wanted: Vec<PageNumber>,
    claims: Vec<Claim>,
    /// Sleeps since the last touch.
    quiet: u32,
    lessons: u32,
}

/// Learns until the inbox is closed.
pub(crate) fn run(shared: &Shared) {
    let mode = match shared.config.predictor {
        PredictorMode::Off => return,
        PredictorMode::Classic => Mode::Classic,
        PredictorMode::Full => Mode::Full,
    };
    let mut learner = Learner::new(shared, mode);
    shared.prediction.listening.store(true, Ordering::Relaxed);
    let mut lessons = Vec::new();
    while shared
        .prediction
        .inbox
        .take(learner.patience(), &mut lessons)
    {
        let start = shared.now();
        let news = learner.read_touches() || !lessons.is_empty();
        for (context, lesson) in lessons.drain(..) {
            learner.learn(context, lesson);
        }
        learner.quiet = if news { 0 } else { learner.quiet + 1 };
        Totals::add(
            &shared.prediction.totals.learning_ns,
            (shared.now() - start).0,
        );
    }
}

fn costs(unit: UnitSize) -> Costs {
    let fill = (unit.pages() << PAGE_SHIFT) * 1_000 / FILL_BYTES_PER_US;
    Costs {
        fault: (FAULT.0 + fill) as f32,
        first_touch: FIRST_TOUCH.0 as f32,
        // Most of the fill is hidden behind the guest's work.
        transfer: fill as f32 / 2.0,
    }
}

impl<'a> Learner<'a> {
    fn new(shared: &'a Shared, mode: Mode) -> Self {
        let (unit, visible) = {
            let core = shared.core();
            let config = core.manager.config();
            (
                UnitSize::of(config.demand_window.0),
                Frames(config.aperture.0 - config.header.0),
            )
        };
        let largest = (shared.config.ahead_window_bytes >> PAGE_SHIFT).max(unit.pages());
        Learner {
            shared,
            unit,
            predictor: Predictor::new(Config {
                mode,
                frames: (u64::from(visible.0) / unit.pages()) as u32,
                costs: costs(unit),
                seed: 1,
            }),
            mapper: Mapper::new(unit, largest.ilog2() as u8),
            readback: Readback::default(),
            wanted: Vec::new(),
            claims: Vec::new(),
            quiet: 0,
            lessons: 0,
        }
    }

    /// How long to sleep when nothing is told.
    fn patience(&self) -> Duration {
        if self.quiet < QUIET {
            SHORT
        } else if self.quiet < 2 * QUIET {
            LONG
        } else {
            IDLE
        }
    }

    fn learn(&mut self, context: ContextId, lesson: Lesson) {
        match lesson {
            Lesson::Access(access) => self.access(context, access),
            Lesson::Gone { first, pages, used } => {
                for unit in self.unit.covering(first, pages) {
                    self.predictor.unmapped(context, unit, used);
                }
                self.mapper.retry(self.shared);
            }
            Lesson::Declared { first, pages } => self.declared(context, first, pages),
        }
        self.lessons += 1;
        if self.lessons >= HOUSEKEEPING {
            self.lessons = 0;
            let core = self.shared.core();
            self.readback.keep(|id| core.contexts.contains_key(&id));
            self.mapper.keep(|id| core.contexts.contains_key(&id));
        }
    }

    /// Accesses to different objects are different streams.
    fn stream(&self, context: ContextId, page: PageNumber) -> Option<Stream> {
        let byte = Bytes {
            address: page.address(),
            bytes: 1,
            write: false,
        };
        let (first, _) = self
            .shared
            .core()
            .manager
            .object_range(context, byte)
            .ok()?;
        Some(Stream {
            context,
            queue: first.page().0 as u32,
        })
    }

    fn access(&mut self, context: ContextId, access: Access) {
        let Some(stream) = self.stream(context, access.first) else {
            return;
        };
        for unit in self.unit.covering(access.first, access.pages) {
            self.readback.used(context, unit);
            let observation = Observation {
                stream,
                page: unit,
                origin: access.origin,
                write: access.write,
                time: access.time,
            };
            let (shared, size) = (self.shared, self.unit);
            let visible = |context: ContextId, unit: PageNumber| {
                let page = size.first_page(unit);
                shared.core().manager.lookup(context, page).is_some()
            };
            self.wanted.clear();
            self.predictor
                .observe(&observation, &visible, &mut self.wanted);
            self.mapper.want(shared, context, unit, &self.wanted);
        }
    }

    fn declared(&mut self, context: ContextId, first: PageNumber, pages: u64) {
        let Some(stream) = self.stream(context, first) else {
            return;
        };
        let units: Vec<PageNumber> = self.unit.covering(first, pages).collect();
        self.predictor.declare(stream, &units);
        let start = self.unit.holding(first);
        if self.readback.expect(context, start) {
            let pages = pages.min(RESULT_WINDOWS << self.mapper.largest());
            self.mapper.map(self.shared, context, first, pages);
        }
    }

    /// Reads the touch ring; answers whether anything was in it.
    fn read_touches(&mut self) -> bool {
        let prediction = &self.shared.prediction;
        let mut any = false;
        loop {
            self.claims.clear();
            let claims = &mut self.claims;
            let read = {
                let mut ring = prediction
                    .ring
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let (Some(ring), Some(guest)) = (ring.as_mut(), self.shared.guest.enter()) else {
                    return any;
                };
                ring.read(&guest, |claim| claims.push(claim))
            };
            Totals::add(&prediction.totals.touches, self.claims.len() as u64);
            Totals::add(&prediction.totals.touches_lost, read.lost);
            Totals::add(&prediction.totals.touches_refused, read.refused);
            any |= !self.claims.is_empty();
            for claim in std::mem::take(&mut self.claims) {
                self.touched(claim);
            }
            if !read.more {
                return any;
            }
        }
    }

    /// Checks what the driver claims against the window table.
    fn touched(&mut self, claim: Claim) {
        let now = self.shared.guest_time();
        let known = {
            let mut core = self.shared.core();
            let report = core.manager.report(claim.window.slot).filter(|report| {
                report.window == claim.window
                    && (claim.first + claim.pages) << PAGE_SHIFT <= report.bytes
            });
            if report.is_some() {
                core.manager.touch(claim.window, now);
            }
            report
        };
        let Some(report) = known else {
            // Most often the window is gone already.
            Totals::add(&self.shared.prediction.totals.touches_refused, 1);
            return;
        };
        let origin = if report.ahead {
            Origin::FirstTouch
        } else {
            Origin::Touch
        };
        let access = Access {
            first: PageNumber(report.address.page().0 + claim.first),
            pages: claim.pages,
            origin,
            write: claim.write,
            time: self.shared.now(),
        };
        self.access(report.context, access);
    }
}
