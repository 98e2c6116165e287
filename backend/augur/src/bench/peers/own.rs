// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same streams by the card's scheduler on threads of this process, exact to
//! the byte: as the card dispatches, but with work that only takes its time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::CommandList;
use augur_scheduler::policy::Policy;
use augur_scheduler::scheduler::{Config, Engine, ListId, Scheduler, SubmitError};

use crate::bench::schedule::measure::split;

/// Instructions that may be queued.
const QUEUED: usize = 1 << 16;

struct State {
    scheduler: Scheduler,
    /// Nanoseconds of the instructions of lists in flight.
    costs: HashMap<ListId, Arc<[u64]>>,
    sleeping: usize,
    submitted: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.sleeping += 1;
        let mut state = self
            .changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
        state.sleeping -= 1;
        state
    }

    fn changed(&self, state: MutexGuard<'_, State>) {
        let sleeping = state.sleeping;
        drop(state);
        if sleeping > 0 {
            self.changed.notify_all();
        }
    }
}

/// Runs a program once on `workers` threads: until everything was submitted, and
/// until everything had ended.
///
/// # Errors
/// The scheduler refuses it.
pub fn run(
    list: &CommandList,
    policy: Policy,
    workers: usize,
    spins: bool,
) -> Result<(Duration, Duration), SubmitError> {
    let mut scheduler = Scheduler::new(Config {
        compute_engines: workers,
        dma_engines: 1,
        policy,
        limits: Limits::CARD,
        queued_instructions: QUEUED,
    });
    let context = scheduler.add_context(NonZeroU32::MIN);
    let lists = split(list);
    let shared = Shared {
        state: Mutex::new(State {
            scheduler,
            costs: HashMap::new(),
            sleeping: 0,
            submitted: false,
        }),
        changed: Condvar::new(),
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let shared = &shared;
            scope.spawn(move || work(shared, worker, spins));
        }
        let mut result = Ok(());
        for part in lists {
            let costs = part
                .iter()
                .map(|(instruction, _)| instruction.cost.0)
                .collect();
            let mut state = shared.lock();
            while state.scheduler.pending(context) + part.len() > QUEUED {
                state = shared.wait(state);
            }
            result = match state.scheduler.submit(context, part, &[], Nanos(0)) {
                Ok(list) => {
                    state.costs.insert(list, costs);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            shared.changed(state);
            if result.is_err() {
                break;
            }
        }
        let submitted = begun.elapsed();
        let mut state = shared.lock();
        state.submitted = true;
        shared.changed(state);
        result.map(|()| submitted)
    })
    .map(|submitted| (submitted, begun.elapsed()))
}

/// One engine.
fn work(shared: &Shared, worker: usize, spins: bool) {
    let mut state = shared.lock();
    loop {
        let Some(taken) = state.scheduler.take(Engine::Compute(worker), Nanos(0)) else {
            if state.submitted && state.scheduler.is_idle() {
                shared.changed(state);
                return;
            }
            state = shared.wait(state);
            continue;
        };
        let costs = state.costs.get(&taken.list).cloned();
        shared.changed(state);
        if spins {
            let cost = costs.and_then(|costs| costs.get(taken.position as usize).copied());
            spin(Duration::from_nanos(cost.unwrap_or(0)));
        }
        state = shared.lock();
        state.scheduler.finish(&taken, Outcome::Done, Nanos(0));
        while let Some(ended) = state.scheduler.pop_ended() {
            state.costs.remove(&ended.list);
        }
    }
}

fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}
