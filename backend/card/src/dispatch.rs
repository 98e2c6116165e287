// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists on their way through the scheduler: what stands behind its numbers, and
//! where channels come for work; engines do so in [`engines`].

mod engines;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use augur_abi::Status;
use augur_memory::{ContextId, Nanos};
use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos as SchedulerNanos;
use augur_scheduler::granularity::Decision;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::Unit;
use augur_scheduler::policy::Policy;
use augur_scheduler::scheduler::{
    Config, ContextId as SchedulerContext, Engine, ListId, Scheduler, SubmitError, Work as Taken,
};
use augur_scheduler::totals::Totals;

use self::engines::Engagement;
use crate::ends::{Ended, Ends};
use crate::list::List;

/// Instructions that a context may have queued.
const QUEUED_INSTRUCTIONS: usize = 1 << 16;
/// A command that an engine or channel has taken.
pub(crate) struct Work {
    pub list: Arc<List>,
    /// Index in the list.
    pub command: usize,
    /// When it was taken.
    pub taken_at: Nanos,
    engine: Engine,
    taken: Taken,
}

impl Work {
    /// Who has taken it.
    pub fn engine(&self) -> Engine {
        self.engine
    }
}

/// A transfer that a DMA channel has taken.
pub(crate) struct Ready {
    pub work: Work,
    /// Others are ready as well.
    pub more: bool,
}

/// How the memory of a context is tracked.
#[derive(Clone, Debug)]
pub(crate) struct Tracking {
    /// Units that are tracked.
    pub regions: usize,
    /// Orderings between commands so far.
    pub edges: u64,
    /// Times that a unit was split so far, and merged.
    pub splits: u64,
    /// See `splits`.
    pub merges: u64,
    /// Why, since this was asked for the last time.
    pub decisions: Vec<Decision>,
}

struct State {
    scheduler: Scheduler,
    engagements: Vec<Engagement>,
    contexts: HashMap<ContextId, SchedulerContext>,
    lists: HashMap<ListId, Arc<List>>,
    /// Splits and merges that were told of, for each context.
    decided: HashMap<ContextId, u64>,
    open: bool,
}

/// The scheduler with the lists it orders.
pub(crate) struct Dispatch {
    state: Mutex<State>,
    /// Changes, under the lock, when there is work for engines that look for some.
    signal: AtomicU64,
    /// For each compute engine: there is something for it.
    ready: Vec<Condvar>,
}

fn theirs(time: Nanos) -> SchedulerNanos {
    SchedulerNanos(time.0)
}

impl Dispatch {
    /// A scheduler of that many engines and channels, without contexts.
    pub fn new(compute_engines: usize, dma_channels: usize, policy: Policy) -> Self {
        let config = Config {
            compute_engines,
            dma_engines: dma_channels,
            policy,
            limits: Limits::CARD,
            queued_instructions: QUEUED_INSTRUCTIONS,
        };
        Dispatch {
            state: Mutex::new(State {
                scheduler: Scheduler::new(config),
                engagements: (0..compute_engines).map(|_| Engagement::Working).collect(),
                contexts: HashMap::new(),
                lists: HashMap::new(),
                decided: HashMap::new(),
                open: true,
            }),
            signal: AtomicU64::new(0),
            ready: (0..compute_engines).map(|_| Condvar::new()).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A context that gets engine time in proportion to `weight`.
    pub fn add_context(&self, context: ContextId, weight: NonZeroU32) {
        let mut state = self.lock();
        let known = state.scheduler.add_context(weight);
        state.contexts.insert(context, known);
    }

    /// Gives a context another weight.
    pub fn set_weight(&self, context: ContextId, weight: NonZeroU32) {
        let mut state = self.lock();
        if let Some(&known) = state.contexts.get(&context) {
            state.scheduler.set_weight(known, weight);
        }
    }

    /// Ends a context: what no engine has taken never runs. Answers its lists.
    pub fn remove_context(&self, context: ContextId, now: Nanos) -> Ends {
        let mut state = self.lock();
        state.decided.remove(&context);
        if let Some(known) = state.contexts.remove(&context) {
            state.scheduler.remove_context(known, theirs(now));
        }
        self.settle(state)
    }

    /// Takes a list. Answers the lists that ended by it: an
    /// empty one ends at once. With `keep`, engines are not woken: the caller is
    /// going to ask for an idle one's work, then calls [`Dispatch::wake`].
    ///
    /// # Errors
    /// [`Status::NoContext`], or [`Status::Busy`] when the context has as much
    /// queued as it may.
    pub fn submit(&self, list: &Arc<List>, now: Nanos, keep: bool) -> Result<Ends, Status> {
        let mut state = self.lock();
        let context = *state.contexts.get(&list.context).ok_or(Status::NoContext)?;
        let id = state
            .scheduler
            .submit(context, list.program.instructions.clone(), &[], theirs(now))
            .map_err(|error| match error {
                SubmitError::NoContext => Status::NoContext,
                SubmitError::UnknownList => Status::DeviceError,
                SubmitError::Busy => Status::Busy,
            })?;
        state.lists.insert(id, list.clone());
        if keep {
            return Ok(Ends {
                lists: state.take_ended(),
                transfers_ready: state.scheduler.has_ready(Unit::Dma),
            });
        }
        Ok(self.settle(state))
    }

    /// A command for a DMA channel, if one is ready.
    pub fn take_transfer(&self, channel: usize, now: Nanos) -> Option<Ready> {
        let mut state = self.lock();
        let work = state.take(Engine::Dma(channel), now)?;
        let more = state.scheduler.has_ready(Unit::Dma);
        Some(Ready { work, more })
    }

    /// Tells what became of a command. Answers the lists that ended by it.
    pub fn finish(&self, work: &Work, result: Result<(), Status>, now: Nanos) -> Ends {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(status) => {
                work.list.fail(work.command, status);
                Outcome::Failed
            }
        };
        let mut state = self.lock();
        state.scheduler.finish(&work.taken, outcome, theirs(now));
        self.settle(state)
    }

    /// Commands of a context that have not ended.
    pub fn queued(&self, context: ContextId) -> usize {
        let state = self.lock();
        let known = state.contexts.get(&context);
        known.map_or(0, |&known| state.scheduler.pending(known))
    }

    /// What was done for all contexts so far.
    pub fn totals(&self) -> Totals {
        self.lock().scheduler.totals()
    }

    /// How a context's memory is tracked now.
    pub fn tracking(&self, context: ContextId) -> Option<Tracking> {
        let mut state = self.lock();
        let known = *state.contexts.get(&context)?;
        let analyser = state.scheduler.analyser(known)?;
        let (splits, merges) = analyser.granularity_changes();
        let told = state.decided.get(&context).copied().unwrap_or(0);
        let new = (splits + merges).saturating_sub(told);
        let all = analyser.decisions().count();
        let tracking = Tracking {
            regions: analyser.cells(),
            edges: analyser.graph().edge_total(),
            splits,
            merges,
            decisions: analyser
                .decisions()
                .skip(all.saturating_sub(new as usize))
                .copied()
                .collect(),
        };
        state.decided.insert(context, splits + merges);
        Some(tracking)
    }

    /// Calls `visit` with each range of addresses from `start` to before `end` that is
    /// tracked for a context, unless very many are.
    pub fn regions_beside(
        &self,
        context: ContextId,
        (start, end): (u64, u64),
        mut visit: impl FnMut(u64, u64),
    ) {
        let state = self.lock();
        let known = state.contexts.get(&context);
        if let Some(analyser) = known.and_then(|&known| state.scheduler.analyser(known)) {
            for region in analyser.regions_beside(start, end) {
                visit(region.start(), region.end());
            }
        }
    }

    /// Lets every engine go.
    pub fn close(&self) {
        self.lock().open = false;
        self.signal.fetch_add(1, Ordering::Release);
        self.ready.iter().for_each(Condvar::notify_one);
    }
}

impl State {
    fn take(&mut self, engine: Engine, now: Nanos) -> Option<Work> {
        loop {
            let taken = self.scheduler.take(engine, theirs(now))?;
            match self.lists.get(&taken.list) {
                Some(list) => {
                    let command = taken.position as usize;
                    return Some(Work {
                        list: list.clone(),
                        command,
                        taken_at: now,
                        engine,
                        taken,
                    });
                }
                // A list leaves the table when the scheduler says that it ended.
                None => self.scheduler.finish(&taken, Outcome::Failed, theirs(now)),
            }
        }
    }

    fn take_ended(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(end) = self.scheduler.pop_ended() {
            if let Some(list) = self.lists.remove(&end.list) {
                ended.push(Ended::of(list, &end));
            }
        }
        ended
    }
}
