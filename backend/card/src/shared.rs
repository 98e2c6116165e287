// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card's threads share.
//!
//! Locks, in the order in which they are taken: [`Shared::core`], then the
//! queues of engines and channels, then the inbox of the learning thread. No lock is held while a thread is inside
//! guest memory's gate waiting for another, while bytes are moved, or across a
//! call to the host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use augur_abi::{CardState, Status};
use augur_memory::{Clock, ContextId, Lru, Manager, Nanos, SystemClock};

use crate::cancel::Cancellation;
use crate::command::Command;
use crate::config::CardConfig;
use crate::device_memory::DeviceMemory;
use crate::dispatch::{Dispatch, Work};
use crate::dma::DmaQueue;
use crate::ends::{Ended, Ends};
use crate::events::EventQueue;
use crate::guest::GuestMemory;
use crate::header;
use crate::hints;
use crate::host::Host;
use crate::placement::Placer;
use crate::power::Power;
use crate::prediction::Prediction;
use crate::program::Programs;
use crate::schedule::ScheduleRecord;
use crate::usage::{self, Usage};

/// A context, beside what the memory manager knows of it.
pub(crate) struct ContextInfo {
    pub process: u32,
    pub priority: u32,
    pub name: [u8; 16],
    pub cancelled: Arc<Cancellation>,
    pub lists: u64,
    pub usage: Arc<Usage>,
    pub dma: Nanos,
    pub transferred_bytes: u64,
}

/// The state under the card's lock.
pub(crate) struct Core {
    pub manager: Manager<Lru>,
    pub contexts: BTreeMap<ContextId, ContextInfo>,
    pub events: EventQueue,
    /// The nonce of this driver life; `None` before HELLO.
    pub life: Option<u64>,
    /// Nonce of a life whose rings were reset: its contexts are still there.
    pub suspended: Option<u64>,
    pub state: CardState,
    pub lives: u64,
    pub power: Power,
    pub placer: Placer,
}

/// Totals that need no lock.
#[derive(Default)]
pub(crate) struct Totals {
    pub lists: AtomicU64,
    pub failed_lists: AtomicU64,
    pub commands: AtomicU64,
    pub compute_ns: AtomicU64,
    pub dma_ns: AtomicU64,
    pub dma_in_bytes: AtomicU64,
    pub dma_out_bytes: AtomicU64,
    pub refused_requests: AtomicU64,
    /// Times that large commands began to be divided, and no longer were.
    pub divisions: AtomicU64,
    pub reunions: AtomicU64,
    /// Commands that others became by being divided, beyond their number.
    pub divided: AtomicU64,
    /// Ranges of objects that engines took hold of, and the runs of device memory in
    /// which they lay.
    pub held_ranges: AtomicU64,
    pub held_runs: AtomicU64,
}

impl Totals {
    pub fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }
}

/// What the card's threads share.
pub(crate) struct Shared {
    pub config: CardConfig,
    pub memory: DeviceMemory,
    pub guest: GuestMemory,
    pub host: Arc<dyn Host>,
    pub clock: SystemClock,
    core: Mutex<Core>,
    /// The memory manager's state has changed.
    changed: Condvar,
    /// Threads that wait for that; it changes under the lock only. Telling nobody
    /// costs as much as a small command.
    waiting: AtomicUsize,
    pub dispatch: Dispatch,
    /// Lists that came more than once.
    pub programs: Programs,
    pub dma: DmaQueue,
    /// What the learning thread is told.
    pub prediction: Prediction,
    /// What engines and channels did, for the host.
    pub schedule: ScheduleRecord,
    pub totals: Totals,
    pub inflight_bytes: AtomicU64,
    pub stopping: AtomicBool,
}

impl Shared {
    pub fn new(
        config: CardConfig,
        memory: DeviceMemory,
        manager: Manager<Lru>,
        host: Arc<dyn Host>,
    ) -> Self {
        let slots = manager.config().aperture.0 as usize;
        Shared {
            core: Mutex::new(Core {
                manager,
                contexts: BTreeMap::new(),
                events: EventQueue::new(config.max_events as usize, slots),
                life: None,
                suspended: None,
                state: CardState::Idle,
                lives: 0,
                power: Power::new(
                    config.power.clone(),
                    config.compute_engines,
                    config.dma_channels,
                ),
                placer: Placer::default(),
            }),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
            dispatch: Dispatch::new(
                config.compute_engines.into(),
                config.dma_channels.into(),
                config.tracking,
            ),
            programs: Programs::default(),
            prediction: Prediction::new(config.predictor),
            dma: DmaQueue::new(config.dma_order, config.dma_channels.into()),
            config,
            memory,
            guest: GuestMemory::new(),
            host,
            clock: SystemClock::start(),
            schedule: ScheduleRecord::default(),
            totals: Totals::default(),
            inflight_bytes: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// The card's clock.
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Time for the memory manager: stands still while the guest is stopped.
    pub fn guest_time(&self) -> Nanos {
        self.guest.running_time()
    }

    /// The state under the lock.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells threads that wait for it that the memory manager's state has changed;
    /// called under its lock.
    pub fn tell_waiting(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until the memory manager's state has changed, `timeout` at most.
    pub fn wait_for_change<'a>(
        &self,
        core: MutexGuard<'a, Core>,
        timeout: Duration,
    ) -> MutexGuard<'a, Core> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (core, _) = self
            .changed
            .wait_timeout(core, timeout)
            .unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        core
    }

    /// Goes on with moving objects.
    pub fn place(&self, core: &mut Core) {
        let Core {
            placer, manager, ..
        } = core;
        placer.advance(manager, self.now());
    }

    /// Notes what the commands of a list use, for those who record.
    pub fn note_commands(&self, context: ContextId, commands: &[Command]) {
        if self.prediction.recorder.is_on() {
            let now = self.now();
            self.prediction
                .list_queued(&self.core().manager, context, commands, now);
        }
    }

    /// A transfer has ended: counts it for its context, and tells of the lists that ended
    /// by it. Answers whether others are ready: no channel is woken for them, as whoever
    /// moved this one takes the next.
    pub fn transfer_ended(&self, work: &Work, result: Result<(), Status>) -> bool {
        work.list.usage.add_commands(1);
        let ends = self.finish(work, result);
        self.tell_lists(ends.lists);
        ends.transfers_ready
    }

    /// A command has ended: tells of the lists that ended by it, and wakes channels.
    pub fn ended(&self, work: &Work, result: Result<(), Status>) {
        let ends = self.finish(work, result);
        self.tell(ends);
    }

    fn finish(&self, work: &Work, result: Result<(), Status>) -> Ends {
        Totals::add(&self.totals.commands, 1);
        let now = self.now();
        if self.schedule.is_on() {
            let span = (work.taken_at, now);
            self.schedule
                .ended(self, work.engine(), &work.list, work.command, span);
        }
        self.dispatch.finish(work, result, now)
    }

    /// Tells of lists that have ended, and wakes channels when there is something
    /// for them.
    pub fn tell(&self, ends: Ends) {
        self.tell_lists(ends.lists);
        if ends.transfers_ready {
            self.dma.wake();
        }
    }

    /// Tells of lists that have ended.
    pub fn tell_lists(&self, lists: Vec<Ended>) {
        for Ended {
            list,
            status,
            command,
            started,
            finished,
        } in lists
        {
            self.inflight_bytes
                .fetch_sub(list.footprint, Ordering::Relaxed);
            let failed = status != Status::Ok;
            let counter = if failed {
                &self.totals.failed_lists
            } else {
                &self.totals.lists
            };
            Totals::add(counter, 1);
            if let Some(info) = self.core().contexts.get_mut(&list.context) {
                info.lists += 1;
            }
            if !failed {
                self.prediction.list_ended(&list);
                usage::judge_division(self, &list);
            }
            list.finish(status, command, started, finished);
        }
    }

    /// Ends the lists of a context that is gone.
    pub fn end_lists(&self, context: ContextId) {
        self.programs.forget(context);
        let ended = self.dispatch.remove_context(context, self.now());
        self.tell(ended);
    }

    /// The guest's rings are gone: ends what is in flight. What contexts have stays
    /// until their life goes on or another begins.
    pub fn suspend_life(&self) {
        let mut core = self.core();
        for info in core.contexts.values_mut() {
            std::mem::take(&mut info.cancelled).end();
        }
        core.suspended = core.life.take().or(core.suspended);
        core.state = CardState::Idle;
        header::state(&self.memory, core.state, core.events.resyncs);
        self.prediction.end_life();
        let contexts: Vec<(ContextId, u32)> = core
            .contexts
            .iter()
            .map(|(&id, info)| (id, info.priority))
            .collect();
        self.carry_out(core);
        for (context, priority) in contexts {
            self.end_lists(context);
            if let Ok(weight) = hints::weight(priority) {
                self.dispatch.add_context(context, weight);
            }
        }
    }

    /// Goes on with a life that was suspended; whether there is one with this nonce.
    pub fn resume_life(&self, nonce: u64) -> bool {
        let mut core = self.core();
        let known = core.suspended == Some(nonce);
        if known {
            core.life = core.suspended.take();
            core.state = CardState::Running;
            header::state(&self.memory, core.state, core.events.resyncs);
        }
        known
    }

    /// Ends every context and everything in flight; the state becomes `state`.
    pub fn end_life(&self, life: Option<u64>, state: CardState) {
        let now = self.guest_time();
        let mut core = self.core();
        let contexts = std::mem::take(&mut core.contexts);
        for info in contexts.values() {
            info.cancelled.end();
        }
        core.manager.reset(now);
        core.events.begin();
        self.prediction.end_life();
        core.life = life;
        core.suspended = None;
        core.state = state;
        header::state(&self.memory, state, core.events.resyncs);
        self.carry_out(core);
        for context in contexts.into_keys() {
            self.prediction.forget(context);
            self.end_lists(context);
        }
    }
}
