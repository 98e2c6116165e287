// SPDX-License-Identifier: MIT OR Apache-2.0
//! One context: its lists, their analysis, and what of them is ready.
//!
//! It knows nothing of other contexts and nothing of when a list as a whole
//! has ended; that is [`crate::scheduler`]'s.

mod intake;
mod queues;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::num::NonZeroU32;

use crate::analyser::Analyser;
use crate::attributes::Attributes;
use crate::clock::Nanos;
use crate::flying::Taken;
use crate::graph::{Outcome, Release, Sequence};
use crate::grouping::Grouping;
use crate::list::Unit;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::scheduler::{Config, Work};
use crate::totals::Totals;
use intake::Queued;
use queues::Queues;

pub use queues::Releaser;

#[derive(Debug)]
pub struct Context {
    analyser: Analyser,
    /// Groups follow the regions only where granularity adapts.
    grouping: Option<Grouping>,
    /// Instructions analysed since all ranks were computed.
    unranked: usize,
    queue: VecDeque<Queued>,
    /// Lists submitted and not ended, and their instructions that have not.
    lists: usize,
    pending: usize,
    running: usize,
    ready: Queues,
    /// Service charged for a nanosecond: 2^32 by the weight.
    rate: u64,
    served: u128,
    /// Released at once, to be made ready in order.
    released: Vec<Release>,
    /// To end without having run, and ended so.
    doomed: Vec<Sequence>,
    poisoned: Vec<Taken>,
}

/// Service charged for a nanosecond.
fn rate(weight: NonZeroU32) -> u64 {
    (1 << 32) / u64::from(weight.get())
}

impl Context {
    pub fn new(config: &Config, weight: NonZeroU32, served: u128) -> Self {
        Self {
            analyser: Analyser::new(config.policy, config.limits),
            grouping: (config.policy == Policy::Adaptive)
                .then(|| Grouping::new(Profile::default().local_bytes)),
            unranked: 0,
            queue: VecDeque::new(),
            lists: 0,
            pending: 0,
            running: 0,
            ready: Queues::new(config.compute_engines, config.dma_engines),
            rate: rate(weight),
            served,
            released: Vec::new(),
            doomed: Vec::new(),
            poisoned: Vec::new(),
        }
    }

    /// Charges for engine time by another weight from now on.
    pub fn set_weight(&mut self, weight: NonZeroU32) {
        self.rate = rate(weight);
    }

    /// Engine time taken, by weight.
    pub fn served(&self) -> u128 {
        self.served
    }

    /// Instructions submitted and not ended.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Whether it wants engines, or will.
    pub fn is_active(&self) -> bool {
        self.pending > 0
    }

    /// A context that has been idle does not save up engine time.
    pub fn catch_up(&mut self, served: u128) {
        if !self.is_active() {
            self.served = self.served.max(served);
        }
    }

    /// What analysis has done so far.
    pub fn analyser(&self) -> &Analyser {
        &self.analyser
    }

    /// What was done for it so far.
    pub fn totals(&self) -> Totals {
        let (splits, merges) = self.analyser.granularity_changes();
        let (near, stolen) = self.ready.taken_near_and_stolen();
        Totals {
            regions: self.analyser.cells() as u64,
            lookups: self.analyser.cells_touched(),
            edges: self.analyser.graph().edge_total(),
            splits,
            merges,
            replayed: self.analyser.replayed(),
            near,
            stolen,
        }
    }

    /// Instructions taken and not finished.
    pub fn running(&self) -> usize {
        self.running
    }

    pub fn has_ready(&self, unit: Unit) -> bool {
        self.ready_count(unit) > 0
    }

    /// Instructions for engines of a kind that may run.
    pub fn ready_count(&self, unit: Unit) -> usize {
        self.ready.len(unit)
    }

    /// Notes that a list has ended.
    pub fn list_ended(&mut self) {
        self.lists = self.lists.saturating_sub(1);
    }

    /// Lifts the hold of held instructions.
    pub fn lift(&mut self, held: std::ops::Range<Sequence>) {
        held.for_each(|sequence| self.analyser.lift(sequence));
    }

    /// Makes ready what analysis has released, near the engine that made room
    /// for it, and ends what must not run: [`Context::take_poisoned`] has it.
    pub fn release(&mut self, by: Releaser) {
        if self.analyser.released().is_empty() {
            return;
        }
        let mut released = std::mem::take(&mut self.released);
        self.analyser.swap_released(&mut released);
        // The first in program order is taken first from what is near.
        if !released.is_sorted_by(|one, next| one.sequence > next.sequence) {
            released.sort_unstable_by_key(|release| Reverse(release.sequence));
        }
        for Release { sequence, poisoned } in released.drain(..) {
            if poisoned {
                self.doomed.push(sequence);
            } else if let Some((attributes, level)) = self.analyser.graph().place(sequence) {
                self.ready.push(sequence, attributes, level, by);
            }
        }
        self.released = released;
        if !self.doomed.is_empty() {
            self.end_doomed(by);
        }
    }

    /// Ends what must not run, and what must not run because of that.
    #[cold]
    fn end_doomed(&mut self, by: Releaser) {
        while let Some(sequence) = self.doomed.pop() {
            let Some((attributes, _)) = self.analyser.graph().place(sequence) else {
                continue;
            };
            let cost = attributes.cost;
            let list = attributes.list;
            let instruction = self.analyser.lists().instruction(list, sequence);
            self.poisoned.extend(instruction);
            self.end(sequence, cost, Outcome::Failed, by);
        }
    }

    /// Whether something has ended without having run.
    #[inline]
    pub fn has_poisoned(&self) -> bool {
        !self.poisoned.is_empty()
    }

    /// What has ended without having run since the last call.
    pub fn take_poisoned(&mut self) -> Vec<Taken> {
        std::mem::take(&mut self.poisoned)
    }

    /// Takes what an engine runs next and charges its cost, which it answers too.
    #[inline]
    pub fn take(&mut self, unit: Unit, engine: usize) -> Option<(Taken, Nanos)> {
        let sequence = self.ready.pop(unit, engine)?;
        let (&Attributes { cost, list, .. }, _) = self.analyser.graph().place(sequence)?;
        self.running += 1;
        self.served += u128::from(cost.0.max(1)) * u128::from(self.rate);
        let taken = self.analyser.lists().take(list, sequence)?;
        Some((taken, cost))
    }

    /// Ends an instruction that was taken, and makes ready what waited for
    /// nothing else, near the engine that ran it; false when it has ended
    /// already.
    #[inline(always)]
    pub fn finish(&mut self, work: &Work, outcome: Outcome, by: Releaser) -> bool {
        let ended = self.end(work.sequence, work.cost, outcome, by);
        self.running -= usize::from(ended);
        if !self.doomed.is_empty() {
            self.end_doomed(by);
        }
        ended
    }

    /// Forgets what has ended before all that has not.
    pub fn forget_ended(&mut self) {
        self.analyser.forget_ended();
    }

    #[inline(always)]
    fn end(&mut self, sequence: Sequence, cost: Nanos, outcome: Outcome, by: Releaser) -> bool {
        let Some(ended) = self.analyser.end(sequence, outcome) else {
            return false;
        };
        self.pending -= 1;
        let (ready, doomed) = (&mut self.ready, &mut self.doomed);
        ready.end_work(cost);
        self.analyser.let_go(ended, |release, attributes, level| {
            if release.poisoned {
                doomed.push(release.sequence);
            } else {
                ready.push(release.sequence, attributes, level, by);
            }
        });
        true
    }
}
