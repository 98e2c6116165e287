// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same streams by the card's scheduler on threads of this process, exact to
//! the byte: as the card dispatches, but with work that only takes its time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{CommandList, Unit};
use augur_scheduler::policy::Policy;
use augur_scheduler::scheduler::{Config, ContextId, Engine, ListId, Scheduler, SubmitError, Work};

/// Instructions of one list: a lock is held while one is analysed.
const LIST: usize = 64;
/// Instructions that may be queued before the thread that submits works as well,
/// as it does under OpenMP.
const QUEUED: usize = 4096;
/// How long a worker without work looks on before it sleeps.
const LOOKS_ON: Duration = Duration::from_micros(50);
/// Instructions that a worker takes at once, and their time: the card's own figures.
const BATCH: usize = 32;
const BATCH_TIME: Duration = Duration::from_micros(8);

/// What a worker has taken, each with its cost.
type Batch = Vec<(Work, Duration)>;

struct State {
    scheduler: Scheduler,
    context: ContextId,
    /// Nanoseconds of the instructions of lists in flight.
    costs: HashMap<ListId, Arc<[u64]>>,
    /// Workers that look for work, and those of them that sleep.
    idle: usize,
    sleeping: usize,
    submitted: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.submitted && self.scheduler.is_idle()
    }

    fn end(&mut self, batch: &mut Batch) {
        for (work, _) in batch.drain(..) {
            self.scheduler.finish(&work, Outcome::Done, Nanos(0));
        }
        while let Some(ended) = self.scheduler.pop_ended() {
            self.costs.remove(&ended.list);
        }
    }

    /// Takes what a worker does next: its share of what is ready.
    fn fill(&mut self, worker: usize, batch: &mut Batch) {
        let ready = self.scheduler.ready_count(Unit::Compute);
        let share = ready.div_ceil(self.idle + 1).min(BATCH);
        let mut time = Duration::ZERO;
        while batch.len() < share
            && time < BATCH_TIME
            && let Some((work, cost)) = self.take(worker)
        {
            time += cost;
            batch.push((work, cost));
        }
    }

    /// The next instruction, with its cost.
    fn take(&mut self, worker: usize) -> Option<(Work, Duration)> {
        let taken = self.scheduler.take(Engine::Compute(worker), Nanos(0))?;
        let costs = self.costs.get(&taken.list);
        let cost = costs.and_then(|costs| costs.get(taken.position as usize));
        Some((taken, Duration::from_nanos(cost.copied().unwrap_or(0))))
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Changes, under the lock, when there is something for workers that look on.
    signal: AtomicU64,
    spins: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a sleeper when there is something for it.
    fn unlock(&self, state: MutexGuard<'_, State>) {
        let over = state.is_over();
        let news = state.idle > 0 && (over || state.scheduler.has_ready(Unit::Compute));
        let wakes = news && state.sleeping > 0;
        if news {
            self.signal.fetch_add(1, Ordering::Release);
        }
        drop(state);
        if wakes && over {
            self.changed.notify_all();
        } else if wakes {
            self.changed.notify_one();
        }
    }

    /// Runs instructions as long as one is ready and `more` holds.
    fn work(&self, worker: usize, more: impl Fn(&State) -> bool) {
        let mut batch = Batch::new();
        loop {
            let mut state = self.lock();
            state.end(&mut batch);
            if more(&state) {
                state.fill(worker, &mut batch);
            }
            self.unlock(state);
            if batch.is_empty() {
                return;
            }
            if self.spins {
                batch.iter().for_each(|(_, cost)| spin(*cost));
            }
        }
    }

    /// Works until everything has ended.
    fn work_all(&self, worker: usize) {
        loop {
            self.work(worker, |_| true);
            let mut state = self.lock();
            state.idle += 1;
            let mut looks_on = true;
            while !state.is_over() && !state.scheduler.has_ready(Unit::Compute) {
                if looks_on {
                    let seen = self.signal.load(Ordering::Relaxed);
                    drop(state);
                    looks_on = self.look_on(seen);
                    state = self.lock();
                    continue;
                }
                state.sleeping += 1;
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.sleeping -= 1;
            }
            state.idle -= 1;
            if state.is_over() {
                self.unlock(state);
                return;
            }
        }
    }

    /// Looks on until the signal is another than was `seen`, or for long enough;
    /// answers which.
    fn look_on(&self, seen: u64) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < LOOKS_ON {
            if self.signal.load(Ordering::Acquire) != seen {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Submits a list, working as long as too much is queued.
    fn submit(&self, list: CommandList) -> Result<(), SubmitError> {
        let costs = list.iter().map(|(it, _)| it.cost.0).collect();
        let length = list.len();
        let full = |state: &State| state.scheduler.pending(state.context) + length > QUEUED;
        let mut state = self.lock();
        while full(&state) {
            drop(state);
            self.work(0, full);
            state = self.lock();
        }
        let context = state.context;
        let id = state.scheduler.submit(context, list, &[], Nanos(0))?;
        state.costs.insert(id, costs);
        self.unlock(state);
        Ok(())
    }
}

/// Runs a program once on `workers` threads, one of which submits it: until
/// everything was submitted, and until everything had ended.
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
    let lists = list.parts(LIST);
    let shared = Shared {
        state: Mutex::new(State {
            scheduler,
            context,
            costs: HashMap::new(),
            idle: 0,
            sleeping: 0,
            submitted: false,
        }),
        changed: Condvar::new(),
        signal: AtomicU64::new(0),
        spins,
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for worker in 1..workers {
            let shared = &shared;
            scope.spawn(move || shared.work_all(worker));
        }
        let result = lists.into_iter().try_for_each(|part| shared.submit(part));
        let submitted = begun.elapsed();
        let mut state = shared.lock();
        state.submitted = true;
        shared.unlock(state);
        shared.work_all(0);
        result.map(|()| submitted)
    })
    .map(|submitted| (submitted, begun.elapsed()))
}

fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}
