// SPDX-License-Identifier: MIT OR Apache-2.0
//! Engines without work of their own, on one thread: what remains is what analysis and
//! scheduling cost this machine.
//!
//! They take and end instructions in batches, as the card's engines do under one lock.

use std::sync::Arc;

use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{CommandList, Unit};
use augur_scheduler::scheduler::{ContextId, Engine, Scheduler, SubmitError, Work};

/// Instructions of one list at most.
pub const LIST: usize = 1024;
/// Instructions that an engine takes at once: the card's own figure.
const BATCH: usize = 32;

/// Engines that do nothing but take and end instructions, in turn.
pub struct IdleEngines {
    count: usize,
    next: usize,
    batch: Vec<(Work, Outcome)>,
}

impl IdleEngines {
    pub fn new(count: usize) -> Self {
        Self {
            count,
            next: 0,
            batch: Vec::with_capacity(BATCH),
        }
    }

    /// Submits a list as soon as the scheduler takes it, ending work until then.
    pub fn submit(
        &mut self,
        scheduler: &mut Scheduler,
        context: ContextId,
        list: impl Into<Arc<CommandList>>,
    ) -> Result<(), SubmitError> {
        let list = list.into();
        while scheduler.pending(context) > 4 * LIST - list.len() && self.end_some(scheduler) {}
        scheduler.submit(context, list, &[], Nanos(0))?;
        Ok(())
    }

    /// Ends all work there is.
    pub fn end_all(&mut self, scheduler: &mut Scheduler) {
        while self.end_some(scheduler) {}
        while scheduler.pop_ended().is_some() {}
    }

    /// Lets the next engine take its share of what is ready and end it at once; false
    /// when nothing is.
    fn end_some(&mut self, scheduler: &mut Scheduler) -> bool {
        let now = Nanos(0);
        self.next += 1;
        if self.next >= self.count {
            self.next = 0;
        }
        let ready = scheduler.ready_count(Unit::Compute);
        let share = ready.div_ceil(self.count).min(BATCH);
        let batch = &mut self.batch;
        scheduler.take_while(Engine::Compute(self.next), now, |work| {
            batch.push((work, Outcome::Done));
            batch.len() < share
        });
        scheduler.finish_all(batch, now);
        let any = !batch.is_empty();
        batch.clear();
        any
    }
}
