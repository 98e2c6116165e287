// SPDX-License-Identifier: MIT OR Apache-2.0
//! One context: its lists, their analysis, and what of them is ready.
//!
//! It knows nothing of other contexts and nothing of when a list as a whole
//! has ended; that is [`crate::scheduler`]'s.

mod intake;
mod queues;

use std::collections::VecDeque;
use std::num::NonZeroU32;

use crate::analyser::Analyser;
use crate::clock::Nanos;
use crate::flying::{Latest, Taken};
use crate::graph::{Outcome, Sequence};
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
        if self.analyser.has_released() {
            // The first in program order is taken first from what is near.
            self.analyser.sort_released();
            self.make_ready(by);
        }
    }

    /// Makes ready what was released, and ends what must not run.
    fn make_ready(&mut self, by: Releaser) {
        loop {
            let (ready, doomed) = (&mut self.ready, &mut self.doomed);
            self.analyser.drain_released(|release, attributes, level| {
                if release.poisoned {
                    doomed.push(release.sequence);
                } else {
                    ready.push(release.sequence, attributes, level, by);
                }
            });
            let Some(sequence) = self.doomed.pop() else {
                return;
            };
            self.end_doomed(sequence);
        }
    }

    /// Ends what must not run.
    #[cold]
    fn end_doomed(&mut self, sequence: Sequence) {
        let Some((attributes, _)) = self.analyser.graph().place(sequence) else {
            return;
        };
        let (cost, list) = (attributes.cost, attributes.list);
        let instruction = self.analyser.lists().instruction(list, sequence);
        self.poisoned.extend(instruction);
        if self.analyser.end(sequence, Outcome::Failed) {
            self.pending -= 1;
            self.ready.end_work(cost);
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

    /// Calls `more` with what an engine runs next and its cost, which is charged, one after the
    /// other, until it answers that it wants no more or none may run.
    #[inline(always)]
    pub fn take_while(
        &mut self,
        unit: Unit,
        engine: usize,
        mut more: impl FnMut(Taken, Nanos) -> bool,
    ) {
        let analyser = &mut self.analyser;
        let (mut latest, mut taken, mut service) = (Latest::NONE, 0, 0);
        self.ready.pop_while(unit, engine, |sequence| {
            let Some((work, cost)) = analyser.take(sequence, &mut latest) else {
                return true;
            };
            taken += 1;
            service += u128::from(cost.0.max(1));
            more(work, cost)
        });
        self.running += taken;
        self.served += service * u128::from(self.rate);
    }

    /// Ends instructions that were taken by one engine, and makes ready, near it, what waited for
    /// nothing else.  `ended` is told of each that had not ended before.
    #[inline(always)]
    pub fn finish(
        &mut self,
        done: &[(Work, Outcome)],
        by: Releaser,
        mut ended: impl FnMut(&Work, Outcome),
    ) {
        let before = self.analyser.graph().in_flight();
        for (work, outcome) in done {
            if self.analyser.end(work.sequence, *outcome) {
                self.ready.end_work(work.cost);
                ended(work, *outcome);
            }
        }
        let count = before - self.analyser.graph().in_flight();
        self.pending -= count;
        self.running -= count;
        self.make_ready(by);
        self.analyser.forget_ended();
    }
}
