// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same streams by the card's scheduler on threads of this process, exact to
//! the byte: as the card dispatches, but with work that only takes its time.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{CommandList, Unit};
use augur_scheduler::policy::Policy;
use augur_scheduler::scheduler::{Config, ContextId, Engine, Scheduler, SubmitError, Work};

/// Instructions of one list: a lock is held while one is analysed.
const LIST: usize = 64;
/// Instructions that may be queued before the thread that submits works as well,
/// as it does under OpenMP.
const QUEUED: usize = 4096;
/// How long a worker without work looks on before it sleeps.
const LOOKS_ON: Duration = Duration::from_micros(50);
/// Instructions that a worker takes at once, and their time: the card's own figures.
const BATCH: usize = 32;
const BATCH_NS: u64 = 8_000;

/// What a worker has taken, and what becomes of it.
type Batch = Vec<(Work, Outcome)>;

struct State {
    scheduler: Scheduler,
    context: ContextId,
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
        self.scheduler.finish_all(batch, Nanos(0));
        batch.clear();
        while self.scheduler.pop_ended().is_some() {}
    }

    /// Takes what a worker does next: its share of what is ready.
    fn fill(&mut self, worker: usize, batch: &mut Batch) {
        let ready = self.scheduler.ready_count(Unit::Compute);
        let share = ready.div_ceil(self.idle + 1).min(BATCH);
        let mut nanos = 0;
        let engine = Engine::Compute(worker);
        self.scheduler.take_while(engine, Nanos(0), |work| {
            nanos += work.cost.0;
            batch.push((work, Outcome::Done));
            batch.len() < share && nanos < BATCH_NS
        });
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
                let costs = batch.iter().map(|(work, _)| work.cost);
                costs.for_each(|cost| spin(Duration::from_nanos(cost.0)));
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
        let length = list.len();
        let full = |state: &State| state.scheduler.pending(state.context) + length > QUEUED;
        let mut state = self.lock();
        while full(&state) {
            drop(state);
            self.work(0, full);
            state = self.lock();
        }
        let context = state.context;
        state.scheduler.submit(context, list, &[], Nanos(0))?;
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
