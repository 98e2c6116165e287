// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where compute engines come for work, and what their threads do meanwhile: they end
//! and take commands in batches, look on for a moment when there are none, sleep, and
//! are woken for what there is. Another thread may play the part of one that has nothing
//! to do.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use augur_memory::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::Unit;
use augur_scheduler::scheduler::Engine;

use super::{Dispatch, State, Work, theirs};
use crate::batch::Batch;
use crate::ends::Ends;

/// Commands that an engine takes at once, and their estimate: the other engines get
/// their share first, and what hangs on the first waits for the last.
const BATCH: usize = 32;
const BATCH_NS: u64 = 8_000;
/// How often an engine that has nothing to do looks whether that has changed, before
/// it sleeps: about as long as falling asleep and being woken take.
const LOOKS: u32 = 400;

/// What an engine's own thread does.
#[derive(Default)]
pub(super) enum Engagement {
    /// It executes a command.
    #[default]
    Working,
    /// It looks whether there is one.
    Idle,
    /// It sleeps until there is one.
    Asleep,
    /// It has to stay away: another thread is the engine meanwhile.
    Lent,
    /// Another thread took this for it.
    Handed(Work),
}

impl Dispatch {
    /// Tells engines when there is something for them: those that look for it, then
    /// as many of those that sleep. Threads that wake for nothing cost more than a
    /// small command.
    pub(super) fn settle(&self, mut state: MutexGuard<'_, State>) -> Ends {
        let ends = Ends {
            lists: state.take_ended(),
            transfers_ready: state.scheduler.has_ready(Unit::Dma),
        };
        // Engines that work ask again by themselves.
        let mut ready = state.scheduler.ready_count(Unit::Compute);
        if ready == 0 {
            return ends;
        }
        let looking = state.count(|it| matches!(it, Engagement::Idle));
        if looking > 0 {
            self.signal.fetch_add(1, Ordering::Release);
        }
        ready = ready.saturating_sub(looking);
        let mut woken = 0u64;
        for (engine, engagement) in state.engagements.iter_mut().enumerate() {
            if ready == 0 {
                break;
            }
            if matches!(engagement, Engagement::Asleep) {
                *engagement = Engagement::Idle;
                woken |= 1 << engine;
                ready -= 1;
            }
        }
        drop(state);
        for (engine, condition) in self.ready.iter().enumerate() {
            if woken & (1 << engine) != 0 {
                condition.notify_one();
            }
        }
        ends
    }

    /// Wakes engines when there is something for them. Answers whether there is
    /// something for DMA channels.
    pub fn wake(&self) -> bool {
        self.settle(self.lock()).transfers_ready
    }

    /// A command for a compute engine that has nothing to do, whose part the caller
    /// plays until it has finished the work or handed it over.
    pub fn borrow_compute(&self, now: Nanos) -> Option<(usize, Work)> {
        let mut state = self.lock();
        let engine = state
            .engagements
            .iter()
            .position(|it| matches!(it, Engagement::Idle | Engagement::Asleep))?;
        let work = state.take(Engine::Compute(engine), now)?;
        state.engage(engine, Engagement::Lent);
        Some((engine, work))
    }

    /// Leaves borrowed work to the engine's own thread.
    pub fn hand_over(&self, engine: usize, work: Work) {
        let mut state = self.lock();
        state.engage(engine, Engagement::Handed(work));
        self.signal.fetch_add(1, Ordering::Release);
        drop(state);
        if let Some(ready) = self.ready.get(engine) {
            ready.notify_one();
        }
    }

    /// Gives a borrowed engine back, its work done.
    pub fn give_back(&self, engine: usize) {
        // Its thread sleeps, or looks once more, and is told when there is work.
        self.lock().engage(engine, Engagement::Asleep);
    }

    /// Ends what the engine has taken and takes what it is to do next: nothing when
    /// nothing is ready. Answers the lists that ended.
    pub fn exchange(&self, batch: &mut Batch, now: Nanos) -> Ends {
        let mut state = self.lock();
        state.scheduler.finish_all(batch.outcomes(), theirs(now));
        batch.clear();
        let engine = batch.number();
        let found = state.open && state.fill(batch, now);
        batch.seen = self.signal.load(Ordering::Relaxed);
        let engagement = if found {
            Engagement::Working
        } else {
            Engagement::Idle
        };
        state.engage(engine, engagement);
        self.settle(state)
    }

    /// Waits for something to do after there was nothing; false once closed.
    pub fn wait(&self, batch: &mut Batch, now: impl Fn() -> Nanos) -> bool {
        let engine = batch.number();
        let Some(ready) = self.ready.get(engine) else {
            return false;
        };
        // What the others do may leave something for this one any moment.
        let mut looks = 0;
        while looks < LOOKS && self.signal.load(Ordering::Acquire) == batch.seen {
            std::hint::spin_loop();
            looks += 1;
        }
        let mut state = self.lock();
        loop {
            if !state.open {
                return false;
            }
            match state.engage(engine, Engagement::Working) {
                Some(Engagement::Handed(work)) => {
                    // Its list is there.
                    return batch.push(work.taken, || Some(work.list)).is_ok();
                }
                Some(Engagement::Lent) => {
                    state.engage(engine, Engagement::Lent);
                }
                _ => {
                    if state.fill(batch, now()) {
                        return true;
                    }
                    batch.forget();
                    state.engage(engine, Engagement::Asleep);
                }
            }
            state = ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// Changes what an engine's own thread does; answers what it did before.
    fn engage(&mut self, engine: usize, engagement: Engagement) -> Option<Engagement> {
        let current = self.engagements.get_mut(engine)?;
        Some(std::mem::replace(current, engagement))
    }

    /// Engines whose threads do that.
    fn count(&self, that: impl Fn(&Engagement) -> bool) -> usize {
        self.engagements.iter().filter(|it| that(it)).count()
    }

    /// Takes what an engine does next, some of it ahead; whether there is any.
    fn fill(&mut self, batch: &mut Batch, now: Nanos) -> bool {
        let ready = self.scheduler.ready_count(Unit::Compute);
        let others = (self.engagements.iter().enumerate())
            .filter(|(engine, it)| *engine != batch.number() && !matches!(it, Engagement::Working))
            .count();
        let share = ready.div_ceil(others + 1).min(BATCH);
        let (engine, lists) = (batch.engine(), &self.lists);
        let mut nanos = 0;
        while batch.len() < share && nanos < BATCH_NS {
            let mut unknown = None;
            self.scheduler.take_while(engine, theirs(now), |taken| {
                match batch.push(taken, || lists.get(&taken.list).cloned()) {
                    Ok(estimate) => {
                        nanos += estimate;
                        batch.len() < share && nanos < BATCH_NS
                    }
                    Err(taken) => {
                        unknown = Some(taken);
                        false
                    }
                }
            });
            // A list leaves the table when the scheduler says that it ended.
            let Some(taken) = unknown else {
                break;
            };
            self.scheduler.finish(&taken, Outcome::Failed, theirs(now));
        }
        !batch.is_empty()
    }
}
