// SPDX-License-Identifier: MIT OR Apache-2.0
//! The learning thread: the only owner of the predictor.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use augur_memory::{Access as Bytes, ContextId, Frames, Nanos, PAGE_SHIFT, PageNumber};
use augur_predictor::{Config, Costs, Mode, Observation, Predictor, Prefetcher as _, Stream};

use super::ahead::Mapper;
use super::budget::Budget;
use super::inbox::{Access, Lesson};
use super::intent::Readback;
use super::pace::Pace;
use super::residency::Aperture;
use super::touches::Touches;
use super::trainer::{self, School, Trained};
use super::unit::UnitSize;
use crate::config::PredictorMode;
use crate::log_limit::{tell_of_guest, warn_of_guest};
use crate::shared::{Shared, Totals};

/// What a fault costs the guest beside its fill: the request, the event, and two
/// changes of threads.
const FAULT: Nanos = Nanos(60_000);
/// What a first touch of a window that was mapped ahead costs the guest.
const FIRST_TOUCH: Nanos = Nanos(2_000);
/// Bytes that a fill moves in a microsecond.
const FILL_BYTES_PER_US: u64 = 5_000;
/// Units that a stream may always be looked ahead: news of touches are up to 2 ms old,
/// in which a program goes through several.
const LEAST_STEPS: u8 = 16;
/// The start of a result that is mapped ahead, in largest windows.
const RESULT_WINDOWS: u64 = 2;
/// Batches of labelled candidates that wait for the trainer.
const BATCHES: usize = 2;
/// Windows that are watched for one that leaves the aperture, and for all that leave
/// between two sleeps.
const WATCHED: usize = 2;
const WATCHED_AT_ONCE: usize = 16;
/// Lessons between two looks at which contexts still exist.
const HOUSEKEEPING: u32 = 4096;

/// The predictor with what it works on.
struct Learner<'a> {
    shared: &'a Shared,
    unit: UnitSize,
    predictor: Predictor,
    mapper: Mapper,
    readback: Readback,
    school: School<'a>,
    /// Contexts that the predictor knows of.
    seen: BTreeSet<ContextId>,
    touches: Touches,
    pace: Pace,
    /// Windows that left the aperture since the last watch.
    gone: usize,
    lessons: u32,
    /// It took more than its share: what is known to be overtaken is learned from only.
    hurried: bool,
}

/// Learns until the inbox is closed.
pub(crate) fn run(shared: &Shared) {
    let trained = Trained::default();
    thread::scope(|scope| {
        let (training, told) = sync_channel(BATCHES);
        let trainer = thread::Builder::new().name("trainer".to_owned());
        let trained = &trained;
        let train = move || trainer::run(&told, trained);
        if let Err(error) = trainer.spawn_scoped(scope, train) {
            log::error!("the network is not trained: {error}");
        }
        Learner::new(shared, School::new(training, trained)).work();
    });
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
    fn new(shared: &'a Shared, school: School<'a>) -> Self {
        let (unit, visible) = {
            let core = shared.core();
            let config = core.manager.config();
            (
                UnitSize::of(config.demand_window.0),
                Frames(config.aperture.0 - config.header.0),
            )
        };
        let largest = (shared.config.ahead_window_bytes >> PAGE_SHIFT).max(unit.pages());
        let predictor = Predictor::new(Config {
            // What contexts say for themselves is told to it with their accesses.
            mode: match shared.config.predictor {
                PredictorMode::Classic => Mode::Classic,
                PredictorMode::Off | PredictorMode::Full => Mode::Full,
            },
            frames: (u64::from(visible.0) / unit.pages()) as u32,
            least_steps: LEAST_STEPS,
            costs: costs(unit),
            seed: 1,
        });
        let mut learner = Learner {
            shared,
            unit,
            predictor,
            mapper: Mapper::new(unit, largest.ilog2() as u8),
            readback: Readback::default(),
            school,
            seen: BTreeSet::new(),
            touches: Touches::default(),
            pace: Pace::default(),
            gone: 0,
            lessons: 0,
            hurried: false,
        };
        learner.school.begin(None, &learner.predictor);
        learner
    }

    /// Learns until the inbox is closed, and leaves what was learned.
    fn work(mut self) {
        let prediction = &self.shared.prediction;
        let mut lessons = Vec::new();
        let mut budget = Budget::new();
        let mut rest = Duration::ZERO;
        loop {
            let sleep = self.pace.sleep(prediction.is_curious(), self.shared.now());
            let sleep = sleep.saturating_sub(rest);
            if !prediction.inbox.take(sleep, &mut lessons) {
                break;
            }
            let start = self.shared.now();
            self.exchange_models();
            if prediction.is_curious() && self.read_touches() {
                self.pace.touched(start);
            }
            if !lessons.is_empty() {
                self.pace.told(start);
            }
            self.learn_all(&mut lessons);
            self.watch();
            self.school.exchange(&mut self.predictor);
            self.tell_fallback();
            Totals::add(
                &prediction.totals.learning_ns,
                (self.shared.now() - start).0,
            );
            rest = budget.rest(self.school.trainer_time());
            self.hurried = !rest.is_zero();
            thread::sleep(rest);
        }
        self.exchange_models();
        if let Some(model) = self.predictor.export_model(None) {
            match model.to_bytes() {
                Ok(file) => prediction.leave_last_model(file),
                Err(error) => log::error!("what was learned cannot be written: {error}"),
            }
        }
    }

    /// Installs models that were pushed and makes copies of those that are wanted.
    fn exchange_models(&mut self) {
        let models = &self.shared.prediction.models;
        for (owner, model) in models.take_installs() {
            let info = model.info();
            if self.predictor.install_model(owner, model) {
                tell_of_guest(format_args!(
                    "a model of generation {} with checksum {:016x} predicts for {}",
                    info.generation,
                    info.checksum,
                    owner.map_or_else(|| "the card".to_owned(), |context| context.to_string())
                ));
            } else {
                warn_of_guest(format_args!("too many contexts have a model of their own"));
                continue;
            }
            self.seen.extend(owner);
            self.school.begin(owner, &self.predictor);
        }
        models.make_copies(|owner| self.predictor.export_model(owner));
    }

    /// Watches windows next in turn to be given up, where others have left: the driver
    /// takes them out of page tables, and what is used again stays longer. The events
    /// go with the next others: nobody is woken for them.
    fn watch(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        if gone == 0 || !self.shared.prediction.zaps.load(Ordering::Relaxed) {
            return;
        }
        let now = self.shared.now();
        let mut core = self.shared.core();
        for window in core.manager.watch((WATCHED * gone).min(WATCHED_AT_ONCE)) {
            core.events.zap(&window, now);
        }
    }

    /// Says in the counters whether predictions are believed.
    fn tell_fallback(&self) {
        let totals = &self.shared.prediction.totals;
        let (nothing, next) = self.predictor.falls();
        let fallback = match self.predictor.fallen_back_to() {
            None => 0,
            Some(0) => 1,
            Some(units) => units,
        };
        totals
            .fallbacks_to_nothing
            .store(nothing, Ordering::Relaxed);
        totals.fallbacks_to_next.store(next, Ordering::Relaxed);
        totals.fallback.store(fallback, Ordering::Relaxed);
    }

    /// Maps what found no frames before.
    fn retry(&mut self) {
        self.mapper.retry(self.shared);
        self.tell_mapped();
    }

    /// Tells the predictor how much of what it expected was mapped.
    fn tell_mapped(&mut self) {
        let units = self.mapper.take_mapped();
        if units > 0 {
            self.predictor.mapped_ahead(units);
        }
    }

    /// Learns from a batch and empties it.
    fn learn_all(&mut self, lessons: &mut Vec<(ContextId, Lesson)>) {
        let mut overtaken = self.overtaken(lessons);
        for (context, lesson) in lessons.drain(..) {
            self.learn(context, lesson, overtaken.pop() == Some(true));
        }
        // What has left made room, and what is used is no speculation any more: another
        // may take its place.
        self.retry();
    }

    /// For each lesson of a batch, the last one first, whether it is an access that a
    /// later one of the same stream has overtaken. Empty while there is time for all.
    fn overtaken(&self, lessons: &[(ContextId, Lesson)]) -> Vec<bool> {
        if !self.hurried {
            return Vec::new();
        }
        let mut later = BTreeSet::new();
        let mut is_overtaken = |(context, lesson): &(ContextId, Lesson)| match lesson {
            Lesson::Access(access) => self
                .stream(*context, access.first)
                .is_some_and(|stream| !later.insert(stream)),
            Lesson::Gone { .. } | Lesson::Declared { .. } => false,
        };
        lessons.iter().rev().map(&mut is_overtaken).collect()
    }

    fn learn(&mut self, context: ContextId, lesson: Lesson, overtaken: bool) {
        match lesson {
            Lesson::Access(access) => self.access(context, access, overtaken),
            Lesson::Gone { first, pages, used } => {
                for unit in self.unit.covering(first, pages) {
                    self.predictor.unmapped(context, unit, used);
                }
                self.gone += 1;
            }
            Lesson::Declared { first, pages } => self.declared(context, first, pages),
        }
        self.lessons += 1;
        if self.lessons >= HOUSEKEEPING {
            self.lessons = 0;
            let core = self.shared.core();
            self.readback.keep(|id| core.contexts.contains_key(&id));
            self.mapper.keep(|id| core.contexts.contains_key(&id));
            let (predictor, school) = (&mut self.predictor, &mut self.school);
            self.seen.retain(|&id| {
                let exists = core.contexts.contains_key(&id);
                if !exists {
                    predictor.forget(id);
                    school.end(Some(id));
                }
                exists
            });
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

    fn access(&mut self, context: ContextId, access: Access, overtaken: bool) {
        let mode = match self.shared.prediction.mode(context) {
            PredictorMode::Off => return,
            PredictorMode::Classic => Mode::Classic,
            PredictorMode::Full => Mode::Full,
        };
        self.predictor.set_mode(context, Some(mode));
        self.seen.insert(context);
        let Some(stream) = self.stream(context, access.first) else {
            return;
        };
        let mut units = self.unit.covering(access.first, access.pages).peekable();
        while let Some(unit) = units.next() {
            self.readback.used(context, unit);
            let observation = Observation {
                stream,
                page: unit,
                origin: access.origin,
                write: access.write,
                time: access.time,
            };
            let aperture = Aperture {
                shared: self.shared,
                unit: self.unit,
                lag: Nanos(self.shared.now().0.saturating_sub(access.time.0)),
            };
            if overtaken || (self.hurried && units.peek().is_some()) {
                self.predictor.follow(&observation, &aperture);
                self.classify(context, unit);
                continue;
            }
            self.predictor.learn(&observation, &aperture);
            self.classify(context, unit);
            self.keep(context);
            let regions = self.predictor.regions();
            self.mapper.expect(self.shared, unit, &regions);
            self.tell_mapped();
        }
    }

    /// Tells the manager, which chooses victims, what to expect of a unit that was just
    /// used.
    fn classify(&self, context: ContextId, unit: PageNumber) {
        let Some(returns) = self.predictor.returns() else {
            return;
        };
        let (first, class) = (self.unit.first_page(unit), returns.class(context, unit));
        let manager = &mut self.shared.core().manager;
        manager.classify(context, first, class);
        manager.weigh(returns.weights());
    }

    /// Has the windows stay that the predictor expects to be used.
    fn keep(&self, context: ContextId) {
        let kept = self.predictor.kept();
        if kept.is_empty() {
            return;
        }
        let now = self.shared.guest_time();
        let manager = &mut self.shared.core().manager;
        for &unit in kept {
            manager.keep(context, self.unit.first_page(unit), now);
        }
    }

    fn declared(&mut self, context: ContextId, first: PageNumber, pages: u64) {
        let Some(stream) = self.stream(context, first) else {
            return;
        };
        let units: Vec<PageNumber> = self.unit.covering(first, pages).collect();
        self.predictor.declare(stream, &units);
        let start = self.unit.holding(first);
        let maps_ahead = self.predictor.fallen_back_to() != Some(0);
        if self.readback.expect(context, start) && maps_ahead {
            let pages = pages.min(RESULT_WINDOWS << self.mapper.largest());
            self.mapper.map(self.shared, context, first, pages);
            self.tell_mapped();
        }
    }

    /// Reads the touch ring; answers whether anything was in it.
    fn read_touches(&mut self) -> bool {
        let mut touches = std::mem::take(&mut self.touches);
        let mut any = false;
        loop {
            let (some, more) = touches.read(self.shared);
            any |= some;
            self.learn_all(touches.accesses());
            if !more {
                break;
            }
        }
        self.touches = touches;
        any
    }
}

#[cfg(test)]
mod tests {
    use augur_predictor::Origin;

    use super::super::ahead::tests::card;
    use super::*;

    #[test]
    fn objects_and_contexts_are_streams_of_their_own() {
        let (shared, context, first) = card();
        let (other, second, foreign) = {
            let mut core = shared.core();
            let other = core.manager.create_context().unwrap();
            let second = core.manager.create_object(context, 1 << PAGE_SHIFT);
            let foreign = core.manager.create_object(other, 1 << PAGE_SHIFT);
            (other, second.unwrap().1, foreign.unwrap().1)
        };
        let trained = Trained::default();
        let (training, _told) = sync_channel(BATCHES);
        let learner = Learner::new(&shared, School::new(training, &trained));
        let stream = learner.stream(context, first).unwrap();
        let last = PageNumber(first.0 + 16 * 16 - 1);
        assert_eq!(learner.stream(context, last), Some(stream));
        let others = [(context, second), (other, foreign)];
        for (context, address) in others {
            let beside = learner.stream(context, address.page()).unwrap();
            assert_eq!(beside.context, context);
            assert_ne!(beside, stream);
        }
        assert_eq!(learner.stream(context, PageNumber(0)), None, "no object");
    }

    #[test]
    fn a_learner_in_debt_expects_something_after_the_last_news_of_a_stream_only() {
        let (shared, context, first) = card();
        let second = {
            let mut core = shared.core();
            let object = core.manager.create_object(context, 1 << PAGE_SHIFT);
            object.unwrap().1.page()
        };
        let trained = Trained::default();
        let (training, _told) = sync_channel(BATCHES);
        let mut learner = Learner::new(&shared, School::new(training, &trained));
        let access = |first: PageNumber| Access {
            first,
            pages: 1,
            origin: Origin::Fault,
            write: false,
            time: Nanos(0),
        };
        let gone = Lesson::Gone {
            first,
            pages: 1,
            used: true,
        };
        let later = PageNumber(first.0 + 16);
        let lessons = [first, second, later].map(|first| Lesson::Access(access(first)));
        let lessons = lessons.into_iter().chain([gone]);
        let lessons: Vec<_> = lessons.map(|lesson| (context, lesson)).collect();
        assert!(learner.overtaken(&lessons).is_empty(), "there is time");
        learner.hurried = true;
        assert_eq!(learner.overtaken(&lessons), [false, false, false, true]);
    }
}
