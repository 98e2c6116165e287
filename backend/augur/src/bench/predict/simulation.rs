// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run: the card's mapping manager and one policy on a virtual clock.
//!
//! Streams touch pages; a touch of a page without a window is a fault and the
//! stream waits. The manager decides what is mapped and evicted, the link
//! moves it, the guest's acknowledgements are immediate. There is no second
//! implementation of any decision that the card takes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use anyhow::bail;
use augur_memory::{
    Action, Config, ContextId, FillPriority, Frames, Manager, MemoryError, Nanos, PageNumber,
    WindowRef, WindowState,
};
use augur_predictor::{Observation, Origin, Stream};

use super::link::{Direction, Link, LinkCost, Transfer};
use super::policy::{Aperture, Order, Policy};
use super::workload::{PAGE_STEP, Workload};

/// Costs of the default card profile.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// A demand fault without its fill.
    pub fault: Nanos,
    /// The first touch of a page mapped ahead.
    pub first_touch: Nanos,
    /// The link.
    pub link: LinkCost,
}

impl Costs {
    /// The default card profile.
    pub const DEFAULT: Self = Self {
        fault: Nanos(20_000),
        first_touch: Nanos(1_000),
        link: LinkCost {
            latency: Nanos(2_000),
            bytes_per_us: 12_000,
            in_flight: 4,
        },
    };
}

/// What the policy gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Observe {
    /// Faults, and first touches of windows mapped ahead.
    FirstTouch,
    /// Faults only.
    Faults,
    /// Every access.
    All,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Page touches.
    pub touches: u64,
    /// Touches of pages that were neither visible nor on their way.
    pub faults: u64,
    /// Touches of pages that a prediction had on the way.
    pub late: u64,
    /// Time that streams waited.
    pub stall: Nanos,
    /// Pages mapped speculatively.
    pub speculated: u64,
    /// Those that were touched before they were unmapped.
    pub used: u64,
    /// Bytes over the link.
    pub moved_bytes: u64,
    /// Bytes of pages mapped and unmapped unused.
    pub wasted_bytes: u64,
}

/// What the simulation remembers of a window slot.
#[derive(Clone, Copy, Default)]
struct SlotState {
    generation: u32,
    page: u32,
    ahead: bool,
    touched: bool,
    dirty: bool,
    /// Its next touch is a refault.
    watched: bool,
    /// Not a victim of a prefetch before.
    leased_until: Nanos,
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    stream: u32,
    access: u32,
    touch: u32,
}

/// A stream that waits for a page.
#[derive(Clone, Copy)]
struct Waiter {
    cursor: Cursor,
    since: Nanos,
    /// Time from the end of the fill to the end of the stall.
    extra: Nanos,
    write: bool,
}

const NO_NUMBER: u32 = u32::MAX;
/// Windows that are watched for one that leaves, at most; the card's figure.
const WATCH_AT_ONCE: usize = 2;
/// Pages that wait for a frame being written home, at most.
const MAX_POSTPONED: usize = 256;

/// A sampling hook: what a picture of the run needs.
pub trait Probe {
    /// A page was touched.
    fn touch(&mut self, now: Nanos, page: PageNumber, origin: Option<Origin>, stall: Nanos);

    /// A touch has ended, after `stall`.
    fn ended(&mut self, _stall: Nanos) {}

    /// A window of a page was made.
    fn mapped(&mut self, _now: Nanos, _page: PageNumber) {}

    /// A page's window was taken away.
    fn unmapped(&mut self, _now: Nanos, _page: PageNumber) {}
}

impl Probe for () {
    fn touch(&mut self, _: Nanos, _: PageNumber, _: Option<Origin>, _: Nanos) {}
}

/// One run in progress.
pub struct Simulation<'a, P> {
    workload: &'a Workload,
    costs: Costs,
    observe: Observe,
    policy: Policy,
    probe: P,
    manager: Manager<Order>,
    /// For each half of the address space, its context and the page at which
    /// its object starts.
    halves: Vec<(ContextId, PageNumber)>,
    link: Link,
    slots: Vec<SlotState>,
    /// The dense number of a page, for pages that the trace touches.
    numbers: std::collections::HashMap<PageNumber, u32, rustc_hash::FxBuildHasher>,
    waiters:
        std::collections::HashMap<(ContextId, PageNumber), Vec<Waiter>, rustc_hash::FxBuildHasher>,
    postponed: VecDeque<(ContextId, PageNumber)>,
    ready: BinaryHeap<Reverse<(Nanos, Cursor)>>,
    outcome: Outcome,
    demanding: bool,
}

/// log2 of the pages of half of the address space, which is one object.
const HALF_SHIFT: u32 = 35;

impl<'a, P: Probe> Simulation<'a, P> {
    /// A run of `workload` with an aperture of `frames` pages.
    ///
    /// # Errors
    /// When the manager refuses its configuration.
    pub fn new(
        workload: &'a Workload,
        frames: Frames,
        costs: Costs,
        observe: Observe,
        policy: Policy,
        probe: P,
    ) -> anyhow::Result<Self> {
        let config = Config {
            memory: Frames(frames.0 + 1),
            aperture: frames,
            header: Frames(0),
            demand_window: Frames(1),
            reserve: Frames(0),
            speculative: frames,
            probation: Nanos(0),
            max_contexts: 2,
            max_objects: 1,
            lease: costs.fault,
            revoke_timeout: Nanos(u64::MAX),
        };
        let mut manager = Manager::new(config, policy.order(frames.0 as usize))?;
        let mut halves = Vec::new();
        for _ in 0..2 {
            let context = manager.create_context()?;
            let bytes = 1_u64 << (HALF_SHIFT + augur_memory::PAGE_SHIFT);
            let (_, address, _) = manager.create_unbacked_object(context, bytes)?;
            halves.push((context, address.page()));
        }
        let mut simulation = Self {
            workload,
            costs,
            observe,
            policy,
            probe,
            manager,
            halves,
            link: Link::new(costs.link),
            slots: vec![SlotState::default(); frames.0 as usize],
            numbers: Default::default(),
            waiters: Default::default(),
            postponed: VecDeque::new(),
            ready: BinaryHeap::new(),
            outcome: Outcome::default(),
            demanding: false,
        };
        for (number, &page) in (0..).zip(&workload.pages) {
            simulation.numbers.insert(page, number);
        }
        for (index, stream) in (0..).zip(&workload.streams) {
            let cursor = Cursor {
                stream: index,
                access: 0,
                touch: 0,
            };
            simulation.ready.push(Reverse((stream.start, cursor)));
        }
        Ok(simulation)
    }

    /// Runs the trace to its end.
    ///
    /// # Errors
    /// When the manager refuses a fault, which a trace cannot cause.
    pub fn run(mut self) -> anyhow::Result<(Outcome, Policy, P)> {
        loop {
            let next_touch = self.ready.peek().map(|Reverse((time, _))| *time);
            match (next_touch, self.link.next_end()) {
                (Some(touch), Some(end)) if end <= touch => self.finish_transfer(),
                (Some(_), _) => self.touch()?,
                (None, Some(_)) => self.finish_transfer(),
                (None, None) => break,
            }
        }
        for slot in &self.slots {
            if slot.ahead && !slot.touched {
                self.outcome.wasted_bytes += Frames(1).bytes();
            }
        }
        Ok((self.outcome, self.policy, self.probe))
    }

    /// The address of a page of the trace in the card.
    fn locate(&self, page: PageNumber) -> (ContextId, PageNumber) {
        let (context, first) = self.halves[(page.0 >> HALF_SHIFT) as usize & 1];
        let within = page.0 & ((1 << HALF_SHIFT) - 1);
        (context, PageNumber(first.0 + within))
    }

    /// The page of the trace at an address of the card.
    fn trace_page(&self, context: ContextId, page: PageNumber) -> Option<PageNumber> {
        let half = self.halves.iter().position(|&(id, _)| id == context)?;
        let within = page.0.checked_sub(self.halves[half].1.0)?;
        Some(PageNumber(((half as u64) << HALF_SHIFT) | within))
    }

    fn touch(&mut self) -> anyhow::Result<()> {
        let Some(Reverse((now, cursor))) = self.ready.pop() else {
            return Ok(());
        };
        let stream = &self.workload.streams[cursor.stream as usize];
        let access = stream.accesses[cursor.access as usize];
        let number = self.workload.touches[(access.first_touch + cursor.touch) as usize];
        let page = self.workload.pages[number as usize];
        let (context, at) = self.locate(page);
        self.outcome.touches += 1;
        self.policy.passing(number);
        let waiter = |extra| Waiter {
            cursor,
            since: now,
            extra,
            write: access.write,
        };
        let origin = match self.manager.lookup(context, at) {
            Some((window, WindowState::Live)) => {
                let slot = &mut self.slots[window.slot.0 as usize];
                let first = slot.ahead && !slot.touched;
                let refault = std::mem::take(&mut slot.watched);
                slot.touched = true;
                slot.dirty |= access.write;
                self.outcome.used += u64::from(first);
                self.policy
                    .retell(self.manager.replacement(), window.slot, number);
                let stall = if first || refault {
                    self.costs.first_touch
                } else {
                    Nanos(0)
                };
                let reported = first && self.observe != Observe::Faults;
                if reported || refault || self.observe == Observe::All {
                    self.manager.touch(window, now);
                }
                self.resume(cursor, now, now + stall);
                match (first, refault) {
                    (true, _) => Some(Origin::FirstTouch),
                    (false, true) => Some(Origin::Touch),
                    (false, false) => None,
                }
            }
            found => {
                let coming_ahead = match found {
                    Some((window, WindowState::Filling)) => {
                        let slot = &mut self.slots[window.slot.0 as usize];
                        let ahead = slot.ahead;
                        self.outcome.used += u64::from(ahead && !slot.touched);
                        slot.touched = true;
                        self.link.promote(window);
                        ahead
                    }
                    _ => false,
                };
                let extra = if coming_ahead {
                    self.outcome.late += 1;
                    self.costs.first_touch
                } else {
                    self.outcome.faults += 1;
                    self.costs.fault
                };
                self.waiters
                    .entry((context, at))
                    .or_default()
                    .push(waiter(extra));
                self.demanding = true;
                match self.manager.fault(context, at.address(), now) {
                    Ok(_) => {}
                    Err(MemoryError::Busy) => bail!("more than 256 streams wait at one time"),
                    Err(error) => return Err(error.into()),
                }
                self.drain(now);
                self.demanding = false;
                Some(if coming_ahead {
                    Origin::FirstTouch
                } else {
                    Origin::Fault
                })
            }
        };
        let seen = match (self.observe, origin) {
            (Observe::Faults, Some(Origin::FirstTouch)) => None,
            (Observe::All, None) => Some(Origin::Touch),
            _ => origin,
        };
        if let Some(origin) = seen {
            let observation = Observation {
                stream: Stream {
                    context,
                    queue: cursor.stream,
                },
                page: at,
                origin,
                write: access.write,
                time: now,
            };
            let mut wanted = self.policy.take_buffer();
            let aperture = Aperture {
                manager: &self.manager,
                link: &self.link,
            };
            self.policy.observe(&observation, &aperture, &mut wanted);
            for &page in &wanted {
                self.prefetch(context, page, now, None);
            }
            self.policy.give_buffer(wanted);
        }
        self.prefetch_in_order_of_use(now);
        self.probe.touch(now, page, origin, Nanos(0));
        Ok(())
    }

    /// The stream goes on after a touch that ended at `end`.
    fn resume(&mut self, cursor: Cursor, since: Nanos, end: Nanos) {
        self.outcome.stall += end - since;
        self.probe.ended(end - since);
        let accesses = &self.workload.streams[cursor.stream as usize].accesses;
        let current = &accesses[cursor.access as usize];
        let next = if cursor.touch + 1 < current.touches {
            Some((
                end + PAGE_STEP,
                Cursor {
                    touch: cursor.touch + 1,
                    ..cursor
                },
            ))
        } else {
            accesses.get(cursor.access as usize + 1).map(|access| {
                (
                    end + access.gap,
                    Cursor {
                        access: cursor.access + 1,
                        touch: 0,
                        ..cursor
                    },
                )
            })
        };
        self.ready.extend(next.map(Reverse));
    }

    /// Maps a page ahead, evicting for it. `needed` is the place of its next
    /// touch where it is known: nothing needed sooner is evicted then. Answers
    /// whether there was room.
    fn prefetch(
        &mut self,
        context: ContextId,
        page: PageNumber,
        now: Nanos,
        needed: Option<u32>,
    ) -> bool {
        if self.manager.lookup(context, page).is_some() || self.trace_page(context, page).is_none()
        {
            return true;
        }
        if self.manager.free_visible().0 == 0 {
            let Self {
                manager,
                slots,
                policy,
                ..
            } = self;
            let victim = augur_memory::Replacement::victim(manager.replacement(), &mut |slot| {
                slots[slot.0 as usize].leased_until <= now
            });
            let Some(slot) = victim else { return false };
            let state = slots[slot.0 as usize];
            if needed.is_some_and(|place| policy.next_use(state.page) <= place) {
                return false;
            }
            let window = WindowRef {
                slot,
                generation: state.generation,
            };
            if !self.manager.unmap(window, now) {
                return false;
            }
            self.drain(now);
            if self.manager.free_visible().0 == 0 {
                // The victim was dirty.
                if self.postponed.len() >= MAX_POSTPONED {
                    self.postponed.pop_front();
                }
                self.postponed.push_back((context, page));
                return true;
            }
        }
        if self.manager.map_ahead(context, page, 0, now).is_ok() {
            self.outcome.speculated += 1;
            self.drain(now);
        }
        true
    }

    /// What `clairvoyant` does after each touch.
    fn prefetch_in_order_of_use(&mut self, now: Nanos) {
        while let Some((number, place)) = self.policy.next_to_prefetch() {
            let (context, page) = self.locate(self.workload.pages[number as usize]);
            if !self.prefetch(context, page, now, Some(place)) {
                return;
            }
            self.policy.prefetched(place);
        }
    }

    /// Watches windows next in turn to be evicted, as the card does when windows
    /// leave the aperture: the driver reports first touches, and these are more.
    fn watch(&mut self) {
        if self.observe == Observe::FirstTouch && self.policy.watches() {
            for report in self.manager.watch(WATCH_AT_ONCE) {
                self.slots[report.window.slot.0 as usize].watched = true;
            }
        }
    }

    /// Does what the manager asks for.
    fn drain(&mut self, now: Nanos) {
        while let Some(action) = self.manager.next_action() {
            match action {
                Action::Fill {
                    window,
                    priority,
                    bytes,
                    ..
                } => {
                    let report = self.manager.report(window.slot);
                    let Some(report) = report else { continue };
                    let number = self
                        .trace_page(report.context, report.address.page())
                        .and_then(|page| self.numbers.get(&page).copied())
                        .unwrap_or(NO_NUMBER);
                    self.slots[window.slot.0 as usize] = SlotState {
                        generation: window.generation,
                        page: number,
                        ahead: priority == FillPriority::Ahead,
                        touched: priority == FillPriority::Demand,
                        dirty: false,
                        watched: false,
                        leased_until: Nanos(0),
                    };
                    self.policy
                        .retell(self.manager.replacement(), window.slot, number);
                    if let Some(&page) = self.workload.pages.get(number as usize) {
                        self.probe.mapped(now, page);
                    }
                    let transfer = Transfer {
                        window,
                        direction: Direction::Fill,
                        bytes,
                    };
                    let urgent = priority == FillPriority::Demand;
                    self.link.enqueue(transfer, urgent, now);
                }
                Action::WriteHome { window, bytes, .. } => {
                    let transfer = Transfer {
                        window,
                        direction: Direction::WriteHome,
                        bytes,
                    };
                    self.link.enqueue(transfer, self.demanding, now);
                }
                Action::Revoke(report) => {
                    let slot = &mut self.slots[report.window.slot.0 as usize];
                    let used = slot.touched;
                    if slot.ahead && !used {
                        self.outcome.wasted_bytes += Frames(1).bytes();
                    }
                    let (dirty, number) = (slot.dirty, slot.page);
                    slot.ahead = false;
                    if let Some(&page) = self.workload.pages.get(number as usize) {
                        self.probe.unmapped(now, page);
                    }
                    self.policy
                        .unmapped(report.context, report.address.page(), number, used);
                    self.manager.acknowledged(report.window, dirty, now);
                    self.watch();
                }
                Action::Publish(_)
                | Action::Scrub(_)
                | Action::Relocate { .. }
                | Action::FaultFailed { .. }
                | Action::ContextFailed(_)
                | Action::Gone(_) => {}
            }
        }
    }

    fn finish_transfer(&mut self) {
        let Some((now, transfer)) = self.link.finish() else {
            return;
        };
        self.outcome.moved_bytes += transfer.bytes;
        match transfer.direction {
            Direction::Fill => self.filled(transfer.window, now),
            Direction::WriteHome => self.manager.written_home(transfer.window, now),
        }
        self.drain(now);
        while self.manager.free_visible().0 > 0
            && let Some((context, page)) = self.postponed.pop_front()
        {
            self.prefetch(context, page, now, None);
        }
    }

    fn filled(&mut self, window: WindowRef, now: Nanos) {
        if let Some(report) = self.manager.report(window.slot)
            && let Some(waiters) = self
                .waiters
                .remove(&(report.context, report.address.page()))
        {
            for waiter in waiters {
                let slot = &mut self.slots[window.slot.0 as usize];
                slot.leased_until = slot.leased_until.max(now + waiter.extra);
                slot.dirty |= waiter.write;
                self.resume(waiter.cursor, waiter.since, now + waiter.extra);
            }
        }
        self.manager.filled(window, now);
    }
}
