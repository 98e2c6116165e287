// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run: the card's mapping manager and one policy on a virtual clock.
//!
//! Streams touch pages; a touch of a page without a window is a fault and the
//! stream waits. The manager decides what is mapped and evicted, the link
//! moves it, the guest's acknowledgements are immediate. There is no second
//! implementation of any decision that the card takes.

mod figures;
mod mapping;
mod streams;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use augur_memory::{Config, ContextId, Frames, Manager, Nanos, PageNumber};

use super::link::Link;
use super::policy::{Order, Policy};
use super::workload::Workload;
pub use figures::{Costs, Observe, Outcome, Probe};

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
            refill: Frames(0),
            speculative: frames,
            probation: Frames(0),
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
}
