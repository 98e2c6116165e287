// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any interleaving of faults, revokes, moves, commands, frees and resets:
//! no byte is lost, no frame is in two windows, and the books balance.
//!
//! Each page holds one value instead of 4096 bytes. The driver's side keeps its
//! own table of windows, as the kernel driver does; actions of the manager are
//! carried out late and in any order that the contract allows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, HashMap, HashSet};

use augur_memory::{
    Access, Action, Class, Config, ContextId, DeviceAddress, Frames, HomeCopy, HomeRun, Lru,
    Manager, Nanos, ObjectId, PageNumber, Pin, PinError, Weights, WindowRef, WindowReport,
};
use proptest::prelude::*;

const PAGE: u64 = 4096;
const APERTURE: u32 = 65;
const MEMORY: u32 = 65 + 200;
const SPECULATIVE: u32 = 24;

fn config() -> Config {
    Config {
        memory: Frames(MEMORY),
        aperture: Frames(APERTURE),
        header: Frames(1),
        demand_window: Frames(2),
        reserve: Frames(4),
        refill: Frames(4),
        speculative: Frames(SPECULATIVE),
        probation: Frames(8),
        max_contexts: 2,
        max_objects: 8,
        lease: Nanos(20),
        revoke_timeout: Nanos(u64::MAX),
    }
}

#[derive(Clone, Debug)]
enum Step {
    CreateObject {
        context: usize,
        pages: u64,
    },
    DestroyObject {
        object: prop::sample::Index,
    },
    RecreateContext {
        context: usize,
    },
    GuestWrite {
        object: prop::sample::Index,
        page: prop::sample::Index,
        value: u64,
    },
    GuestRead {
        object: prop::sample::Index,
        page: prop::sample::Index,
    },
    EngineStart {
        object: prop::sample::Index,
        page: prop::sample::Index,
        pages: u64,
        write: Option<u64>,
    },
    EngineEnd {
        which: prop::sample::Index,
    },
    MapAhead {
        object: prop::sample::Index,
        page: prop::sample::Index,
        order: u8,
    },
    MapSpan {
        object: prop::sample::Index,
        page: prop::sample::Index,
        pages: u64,
        largest: u8,
    },
    MakeRoom {
        context: usize,
        frames: u32,
    },
    GiveUpUnused {
        context: usize,
        frames: u32,
    },
    Watch {
        most: usize,
    },
    /// What the return of a page's window, and of all of a class, is expected to cost.
    Classify {
        object: prop::sample::Index,
        page: prop::sample::Index,
        class: usize,
        weight: f32,
    },
    /// A report of a touch, true or false.
    Touch {
        slot: u32,
        generation: u32,
    },
    PerformMove {
        which: prop::sample::Index,
    },
    Acknowledge {
        which: prop::sample::Index,
    },
    StaleAcknowledge {
        slot: u32,
        generation: u32,
    },
    Relocate {
        object: prop::sample::Index,
        page: prop::sample::Index,
        pages: u32,
        to: prop::sample::Index,
    },
    Reset,
    Time {
        nanoseconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..2usize, 1..80u64).prop_map(|(context, pages)| Step::CreateObject { context, pages }),
        1 => index().prop_map(|object| Step::DestroyObject { object }),
        1 => (0..2usize).prop_map(|context| Step::RecreateContext { context }),
        60 => (index(), index(), 1..u64::MAX).prop_map(|(object, page, value)| Step::GuestWrite { object, page, value }),
        60 => (index(), index()).prop_map(|(object, page)| Step::GuestRead { object, page }),
        15 => (index(), index(), 1..20u64, prop::option::of(1..u64::MAX))
            .prop_map(|(object, page, pages, write)| Step::EngineStart { object, page, pages, write }),
        15 => index().prop_map(|which| Step::EngineEnd { which }),
        10 => (index(), index(), 0..4u8).prop_map(|(object, page, order)| Step::MapAhead { object, page, order }),
        10 => (index(), index(), 1..40u64, 0..4u8)
            .prop_map(|(object, page, pages, largest)| Step::MapSpan { object, page, pages, largest }),
        5 => (0..2usize, 1..30u32).prop_map(|(context, frames)| Step::MakeRoom { context, frames }),
        3 => (0..2usize, 1..30u32).prop_map(|(context, frames)| Step::GiveUpUnused { context, frames }),
        10 => (0..20usize).prop_map(|most| Step::Watch { most }),
        20 => (index(), index(), 0..Class::COUNT, 0.01..2.0f32)
            .prop_map(|(object, page, class, weight)| Step::Classify { object, page, class, weight }),
        10 => (0..80u32, 0..9u32).prop_map(|(slot, generation)| Step::Touch { slot, generation }),
        60 => index().prop_map(|which| Step::PerformMove { which }),
        50 => index().prop_map(|which| Step::Acknowledge { which }),
        1 => (0..80u32, 0..9u32).prop_map(|(slot, generation)| Step::StaleAcknowledge { slot, generation }),
        20 => (index(), index(), 1..40u32, index())
            .prop_map(|(object, page, pages, to)| Step::Relocate { object, page, pages, to }),
        1 => Just(Step::Reset),
        15 => (1..60u64).prop_map(|nanoseconds| Step::Time { nanoseconds }),
    ]
}

struct DriverWindow {
    report: WindowReport,
    dirty: bool,
}

struct Command {
    pin: Pin,
    object: ObjectId,
    pages: std::ops::Range<u64>,
    write: Option<u64>,
}

struct Object {
    context: ContextId,
    address: u64,
    /// What each page must read as.
    expected: Vec<u64>,
}

struct World {
    manager: Manager<Lru>,
    now: Nanos,
    frames: Vec<u64>,
    contexts: Vec<ContextId>,
    objects: BTreeMap<u64, Object>,
    driver: HashMap<u32, DriverWindow>,
    revoked: Vec<(WindowRef, bool)>,
    moves: Vec<Action>,
    commands: Vec<Command>,
    weights: Weights,
}

impl World {
    fn new() -> Self {
        let mut manager = Manager::new(config(), Lru::new(APERTURE as usize)).unwrap();
        let contexts = (0..2).map(|_| manager.create_context().unwrap()).collect();
        World {
            manager,
            now: Nanos(1),
            frames: vec![0; MEMORY as usize],
            contexts,
            objects: BTreeMap::new(),
            driver: HashMap::new(),
            revoked: Vec::new(),
            moves: Vec::new(),
            commands: Vec::new(),
            weights: [1.0; Class::COUNT],
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.manager.next_action() {
            match action {
                Action::Fill { .. } | Action::WriteHome { .. } | Action::Scrub(_) => {
                    self.moves.push(action)
                }
                Action::Relocate { ref copies, .. } => {
                    // Some of it early, the rest late.
                    self.copy(copies, 0);
                    self.moves.push(action);
                }
                Action::Publish(report) => {
                    for window in self.driver.values() {
                        let (a, b) = (&window.report, &report);
                        assert!(
                            a.aperture.0 + a.bytes <= b.aperture.0
                                || b.aperture.0 + b.bytes <= a.aperture.0,
                            "a frame is in two windows"
                        );
                        assert!(
                            a.context != b.context
                                || a.address.0 + a.bytes <= b.address.0
                                || b.address.0 + b.bytes <= a.address.0,
                            "a page has two windows"
                        );
                    }
                    assert!(
                        report.aperture.0 >= PAGE,
                        "the header is not part of a window"
                    );
                    self.driver.insert(
                        report.window.slot.0,
                        DriverWindow {
                            report,
                            dirty: false,
                        },
                    );
                }
                Action::Revoke(report) => {
                    let window = self
                        .driver
                        .remove(&report.window.slot.0)
                        .expect("the driver knows it");
                    assert_eq!(window.report.window, report.window);
                    self.revoked.push((report.window, window.dirty));
                }
                Action::FaultFailed { .. } | Action::Gone(_) => {}
                Action::ContextFailed(context) => {
                    panic!("{context} failed though the driver has for ever")
                }
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Fill {
                window,
                pieces,
                bytes,
                ..
            } => {
                assert!(pieces.is_empty() || pieces.iter().map(|p| p.bytes).sum::<u64>() == bytes);
                for piece in pieces {
                    for page in 0..piece.bytes / PAGE {
                        let value = piece
                            .home
                            .map_or(0, |home| self.frames[(home.0 / PAGE + page) as usize]);
                        self.frames[(piece.visible.0 / PAGE + page) as usize] = value;
                    }
                }
                self.manager.filled(window, self.now);
            }
            Action::WriteHome { window, pieces, .. } => {
                for piece in pieces {
                    for page in 0..piece.bytes / PAGE {
                        self.frames[(piece.home.unwrap().0 / PAGE + page) as usize] =
                            self.frames[(piece.visible.0 / PAGE + page) as usize];
                    }
                }
                self.manager.written_home(window, self.now);
            }
            Action::Scrub(run) => {
                for frame in run.first.0..run.first.0 + run.count.0 {
                    self.frames[frame as usize] = 0;
                }
                self.manager.scrubbed(run);
            }
            Action::Relocate { relocation, copies } => {
                self.copy(&copies, 1);
                self.manager.relocated(relocation);
            }
            _ => unreachable!("only moves are kept"),
        }
        self.drain();
    }

    /// Copies every other page.
    fn copy(&mut self, copies: &[HomeCopy], from: u64) {
        for copy in copies {
            for page in (from..copy.bytes / PAGE).step_by(2) {
                self.frames[(copy.to.0 / PAGE + page) as usize] =
                    self.frames[(copy.from.0 / PAGE + page) as usize];
            }
        }
    }

    fn busy(&self, object: u64, page: u64) -> bool {
        self.commands
            .iter()
            .any(|c| c.object.0 == object && c.pages.contains(&page))
    }

    /// What the guest does: look for the window, fault when there is none.
    fn guest(&mut self, object: u64, page: u64, write: Option<u64>) {
        if self.busy(object, page) {
            return; // Guest against engine is ordered by completion only.
        }
        let (context, address) = {
            let object = &self.objects[&object];
            (object.context, object.address + page * PAGE)
        };
        let window = self.driver.values_mut().find(|w| {
            w.report.context == context
                && (w.report.address.0..w.report.address.0 + w.report.bytes).contains(&address)
        });
        let Some(window) = window else {
            let (manager, at) = (&mut self.manager, DeviceAddress(address));
            let answer = match write {
                Some(_) => manager.fault_whole(context, at, self.now),
                None => manager.fault(context, at, self.now),
            };
            answer.unwrap();
            self.drain();
            return;
        };
        let frame = (window.report.aperture.0 + address - window.report.address.0) / PAGE;
        let expected = &mut self.objects.get_mut(&object).unwrap().expected[page as usize];
        match write {
            Some(value) => {
                window.dirty = true;
                self.frames[frame as usize] = value;
                *expected = value;
            }
            None => assert_eq!(
                self.frames[frame as usize], *expected,
                "the guest reads what was written"
            ),
        }
    }

    fn engine(&mut self, object: u64, page: u64, pages: u64, write: Option<u64>) {
        let found = &self.objects[&object];
        let pages = pages.min(found.expected.len() as u64 - page);
        if (page..page + pages).any(|page| self.busy(object, page)) {
            return; // The scheduler orders commands on the same bytes.
        }
        let access = Access {
            address: DeviceAddress(found.address + page * PAGE),
            bytes: pages * PAGE,
            write: write.is_some(),
        };
        match self.manager.pin(found.context, &[access], self.now) {
            Ok(pin) => self.commands.push(Command {
                pin,
                object: ObjectId(object),
                pages: page..page + pages,
                write,
            }),
            Err(PinError::Moving) => {}
            Err(error) => panic!("{error}"),
        }
        self.drain();
    }

    fn end_command(&mut self, index: usize) {
        let Command {
            pin,
            object,
            pages,
            write,
        } = self.commands.swap_remove(index);
        let frames: Vec<u64> = pin.segments()[0]
            .iter()
            .flat_map(|s| (s.offset.0 / PAGE)..(s.offset.0 + s.bytes) / PAGE)
            .collect();
        assert_eq!(frames.len() as u64, pages.end - pages.start);
        if let Some(object) = self.objects.get_mut(&object.0) {
            for (page, frame) in pages.zip(frames) {
                let expected = &mut object.expected[page as usize];
                match write {
                    Some(value) => {
                        self.frames[frame as usize] = value;
                        *expected = value;
                    }
                    None => assert_eq!(
                        self.frames[frame as usize], *expected,
                        "the engine reads what was written"
                    ),
                }
            }
        } else if let Some(value) = write {
            // The object was freed meanwhile; its frames must still be its own.
            for frame in frames {
                self.frames[frame as usize] = value;
            }
        }
        self.manager.unpin(pin, self.now);
        self.drain();
    }

    /// Moves pages to some place among the free ones.
    fn relocate(&mut self, object: u64, page: u64, pages: u32, to: prop::sample::Index) {
        let found = &self.objects[&object];
        let runs: Vec<_> = self.manager.free_home_runs().collect();
        let Some(free) = runs.get(to.index(runs.len().max(1))) else {
            return;
        };
        let left = found.expected.len() as u32 - page as u32;
        let to = HomeRun {
            count: Frames(pages.min(left).min(free.count.0)),
            ..*free
        };
        let first = DeviceAddress(found.address + page * PAGE).page();
        let _ = self
            .manager
            .relocate(found.context, ObjectId(object), first, to);
        self.drain();
    }

    /// Every object is at home in frames of its own, and none of them is free.
    fn check_homes(&self) {
        let mut runs: Vec<_> = self.manager.home_parts().map(|part| part.run).collect();
        let pages = self.objects.values().map(|object| object.expected.len());
        let frames = |runs: &[HomeRun]| runs.iter().map(|run| run.count.0 as usize).sum::<usize>();
        assert_eq!(frames(&runs), pages.sum::<usize>());
        runs.extend(self.manager.free_home_runs());
        runs.sort_by_key(|run| run.first.0);
        for pair in runs.windows(2) {
            assert!(pair[0].first.0 + pair[0].count.0 <= pair[1].first.0);
        }
        let scattered = (self.manager.home_parts())
            .filter(|part| part.first != part.start)
            .map(|part| part.object.0);
        assert_eq!(
            scattered.collect::<HashSet<_>>().len() as u64,
            self.manager.scattered_objects()
        );
    }

    fn pick(&self, object: prop::sample::Index, page: prop::sample::Index) -> Option<(u64, u64)> {
        let ids: Vec<u64> = self.objects.keys().copied().collect();
        let id = *ids.get(object.index(ids.len().max(1)))?;
        Some((id, page.index(self.objects[&id].expected.len()) as u64))
    }

    fn forget_windows(&mut self, gone: impl Fn(&WindowReport) -> bool) {
        self.driver.retain(|_, window| !gone(&window.report));
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::CreateObject { context, pages } => {
                if let Ok((id, address, bytes)) = self
                    .manager
                    .create_object(self.contexts[context], pages * PAGE)
                {
                    assert_eq!(bytes, pages * PAGE);
                    self.objects.insert(
                        id.0,
                        Object {
                            context: self.contexts[context],
                            address: address.0,
                            expected: vec![0; pages as usize],
                        },
                    );
                }
            }
            Step::DestroyObject { object } => {
                if let Some((id, _)) = self.pick(object, object) {
                    let object = self.objects.remove(&id).unwrap();
                    let range =
                        object.address..object.address + object.expected.len() as u64 * PAGE;
                    self.forget_windows(|w| {
                        w.context == object.context && range.contains(&w.address.0)
                    });
                    self.manager
                        .destroy_object(object.context, ObjectId(id), self.now)
                        .unwrap();
                }
            }
            Step::RecreateContext { context } => {
                let id = self.contexts[context];
                self.objects.retain(|_, object| object.context != id);
                self.forget_windows(|w| w.context == id);
                self.manager.destroy_context(id, self.now).unwrap();
                self.drain();
                self.contexts[context] = self.manager.create_context().unwrap();
            }
            Step::GuestWrite {
                object,
                page,
                value,
            } => {
                if let Some((id, page)) = self.pick(object, page) {
                    self.guest(id, page, Some(value));
                }
            }
            Step::GuestRead { object, page } => {
                if let Some((id, page)) = self.pick(object, page) {
                    self.guest(id, page, None);
                }
            }
            Step::EngineStart {
                object,
                page,
                pages,
                write,
            } => {
                if let Some((id, page)) = self.pick(object, page) {
                    self.engine(id, page, pages, write);
                }
            }
            Step::EngineEnd { which } => {
                if !self.commands.is_empty() {
                    self.end_command(which.index(self.commands.len()));
                }
            }
            Step::MapAhead {
                object,
                page,
                order,
            } => {
                if let Some((id, page)) = self.pick(object, page) {
                    let object = &self.objects[&id];
                    let page = DeviceAddress(object.address + page * PAGE).page();
                    let _ = self
                        .manager
                        .map_ahead(object.context, page, order, self.now);
                }
            }
            Step::MapSpan {
                object,
                page,
                pages,
                largest,
            } => {
                if let Some((id, page)) = self.pick(object, page) {
                    let object = &self.objects[&id];
                    let first = DeviceAddress(object.address + page * PAGE).page();
                    let before = self.manager.counters().speculative_frames;
                    let mapped = self
                        .manager
                        .map_span_ahead(object.context, first, pages, largest, self.now)
                        .unwrap();
                    let after = self.manager.counters().speculative_frames;
                    assert_eq!(after - before, u64::from(mapped.frames));
                    if mapped.frames > 0 {
                        assert!(after <= u64::from(SPECULATIVE), "the cap holds");
                        let free = self.manager.free_visible();
                        assert!(free >= config().reserve, "the reserve is not touched");
                    }
                }
            }
            Step::MakeRoom { context, frames } => {
                self.manager
                    .make_room_ahead(self.contexts[context], frames, self.now);
            }
            Step::GiveUpUnused { context, frames } => {
                self.manager
                    .give_up_unused(self.contexts[context], frames, self.now);
            }
            Step::Watch { most } => {
                let watched = self.manager.watch(most);
                assert!(watched.len() <= most);
                for report in watched {
                    let known = &self.driver[&report.window.slot.0].report;
                    assert_eq!(
                        known.window, report.window,
                        "the driver has what is watched"
                    );
                }
            }
            Step::Classify {
                object,
                page,
                class,
                weight,
            } => {
                if let Some((id, page)) = self.pick(object, page) {
                    let object = &self.objects[&id];
                    let at = PageNumber(object.address / PAGE + page);
                    let told = Class::new(class).unwrap();
                    self.manager.classify(object.context, at, told);
                    self.weights[class] = weight;
                    self.manager.weigh(&self.weights);
                }
            }
            Step::Touch { slot, generation } => {
                let window = WindowRef {
                    slot: augur_memory::Slot(slot),
                    generation,
                };
                self.manager.touch(window, self.now);
            }
            Step::PerformMove { which } => {
                if !self.moves.is_empty() {
                    let action = self.moves.swap_remove(which.index(self.moves.len()));
                    self.perform(action);
                }
            }
            Step::Acknowledge { which } => {
                if !self.revoked.is_empty() {
                    let (window, dirty) = self.revoked.swap_remove(which.index(self.revoked.len()));
                    self.manager.acknowledged(window, dirty, self.now);
                }
            }
            Step::StaleAcknowledge { slot, generation } => {
                let window = WindowRef {
                    slot: augur_memory::Slot(slot),
                    generation,
                };
                if !self.revoked.iter().any(|(revoked, _)| *revoked == window) {
                    assert!(!self.manager.acknowledged(window, false, self.now));
                }
            }
            Step::Relocate {
                object,
                page,
                pages,
                to,
            } => {
                if let Some((id, page)) = self.pick(object, page) {
                    self.relocate(id, page, pages, to);
                }
            }
            Step::Reset => {
                self.manager.reset(self.now);
                self.driver.clear();
                self.revoked.clear();
                self.objects.clear();
                self.contexts = (0..2)
                    .map(|_| self.manager.create_context().unwrap())
                    .collect();
            }
            Step::Time { nanoseconds } => {
                self.now += Nanos(nanoseconds);
                self.manager.tick(self.now);
            }
        }
        self.drain();
        self.check_speculation();
        self.check_homes();
    }

    /// What is mapped ahead and not used yet is what the books say.
    fn check_speculation(&self) {
        let frames: u64 = (0..APERTURE)
            .filter_map(|slot| self.manager.report(augur_memory::Slot(slot)))
            .filter(|report| report.ahead && !report.used)
            .map(|report| report.bytes / PAGE)
            .sum();
        assert_eq!(self.manager.counters().speculative_frames, frames);
    }

    /// Lets everything under way end.
    fn settle(&mut self) {
        loop {
            self.now += Nanos(100);
            self.manager.tick(self.now);
            self.drain();
            if let Some(action) = self.moves.pop() {
                self.perform(action);
            } else if let Some((window, dirty)) = self.revoked.pop() {
                self.manager.acknowledged(window, dirty, self.now);
                self.drain();
            } else if !self.commands.is_empty() {
                self.end_command(0);
            } else {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_byte_is_lost_and_the_books_balance(steps in prop::collection::vec(step(), 1..1500)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
        // Every page reads as what was last written to it, through a window.
        world.settle();
        let pages: Vec<(u64, u64)> = world.objects.iter()
            .flat_map(|(&id, object)| (0..object.expected.len() as u64).map(move |page| (id, page)))
            .collect();
        for (object, page) in pages {
            let mut patience = 0;
            loop {
                let context = world.objects[&object].context;
                let address = world.objects[&object].address + page * PAGE;
                world.guest(object, page, None);
                let mapped = world.driver.values().any(|w| w.report.context == context
                    && (w.report.address.0..w.report.address.0 + w.report.bytes).contains(&address));
                if mapped {
                    world.guest(object, page, None);
                    break;
                }
                world.settle();
                patience += 1;
                prop_assert!(patience < 5, "a fault is never served");
            }
        }
        // All is given back.
        world.apply(Step::Reset);
        world.settle();
        prop_assert_eq!(world.manager.free_visible(), Frames(APERTURE - 1));
        prop_assert_eq!(world.manager.free_home(), u64::from(MEMORY - APERTURE));
        prop_assert_eq!(world.manager.scrubbing_frames(), 0);
        let counters = world.manager.counters();
        prop_assert_eq!((counters.objects, counters.object_frames), (0, 0));
        prop_assert_eq!((counters.windows, counters.window_frames, counters.quarantined_frames), (0, 0, 0));
        let slots: HashSet<u32> = world.manager.published_windows(augur_memory::Slot(0)).map(|w| w.window.slot.0).collect();
        prop_assert!(slots.is_empty());
    }
}
