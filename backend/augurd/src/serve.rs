// SPDX-License-Identifier: MIT OR Apache-2.0
//! When the two workers serve which queues, and when they sleep.
//!
//! Each worker has a side: queues whose kicks wake it. One of them may watch
//! (see [`Lookout`](crate::lookout::Lookout)): it looks at the queues of both sides, and
//! serves what is brief of the other one, both a chain at a time by turns. What is not
//! brief is left to the worker whose queue it is, and whoever begins something long
//! himself stops to watch first.
//!
//! Whoever serves a side holds its lock, for a brief request or as its own worker,
//! and looks once more when it has let go. While somebody watches, guests need not
//! kick; whoever stops to watch lets them, and looks once more.
//!
//! What a request is stands in [`requests`](crate::requests).

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use augur_abi::config::{QUEUE_CONTROL, QUEUE_EVENTS, QUEUE_SUBMIT};

use crate::doorbell::Doorbell;
use crate::lookout::Watch;
use crate::queue::{Queue, Taken};
use crate::requests::Request;
use crate::ring::Ring;
use crate::transport::Transport;

/// Chains of one queue that are served before other queues have their turn.
const TURN: usize = 64;

/// The queues of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Control and events.
    Control,
    /// All submit queues.
    Submit,
}

impl Side {
    /// The other worker's.
    pub fn other(self) -> Self {
        match self {
            Side::Control => Side::Submit,
            Side::Submit => Side::Control,
        }
    }

    /// Numbers that its queues have.
    pub fn queues(self) -> Range<u16> {
        match self {
            Side::Control => 0..QUEUE_SUBMIT,
            Side::Submit => QUEUE_SUBMIT..u16::MAX,
        }
    }
}

/// What a worker thread has of its own.
pub struct Worker {
    /// Wakes it.
    pub bell: Arc<Doorbell>,
    /// Held by whoever serves the side: a request that was left to its worker.
    serving: Mutex<Option<Request>>,
}

impl Worker {
    /// A worker that this bell wakes.
    pub fn new(bell: Arc<Doorbell>) -> Self {
        Worker {
            bell,
            serving: Mutex::default(),
        }
    }

    /// The right to serve the side, for its own worker. Others have it for brief
    /// requests only.
    fn serve(&self) -> MutexGuard<'_, Option<Request>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to serve the side for the other worker, unless somebody has it or its
    /// own worker is called.
    fn stand_in(&self) -> Option<MutexGuard<'_, Option<Request>>> {
        let left = match self.serving.try_lock() {
            Ok(left) => left,
            Err(TryLockError::Poisoned(left)) => left.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        left.is_none().then_some(left)
    }
}

impl Transport {
    /// The worker of a side has been woken: serves until there is nothing to do, or
    /// the other one watches. `rings` are the side's.
    pub(crate) fn work(&self, side: Side, rings: &[Ring]) {
        self.note_rings(side, rings);
        let bell = &self.worker(side).bell;
        self.lookout.work_came();
        let mut watch = None;
        loop {
            bell.set_awake(true);
            while self.serve(side, &mut watch) {}
            // Engines and channels that work need the processors more.
            let quiet = !self.card.has_lists();
            if quiet && watch.is_none() {
                watch = self.lookout.watch();
            }
            let look_on = |watch: &Watch<'_>| watch.look_on(|| self.can_serve_any());
            if quiet && watch.as_ref().is_some_and(look_on) {
                self.lookout.work_came();
                continue;
            }
            bell.set_awake(false);
            if watch.is_none() && self.lookout.is_watched() {
                return;
            }
            self.stop_watching(side, &mut watch);
            if !self.is_wanted(side) {
                return;
            }
        }
    }

    /// Serves what there is; says whether there was anything.
    fn serve(&self, side: Side, watch: &mut Option<Watch<'_>>) -> bool {
        let own = self.serve_own(side, watch);
        let other = side.other();
        own | (watch.is_some() && self.has_work(other) && self.serve_others(other))
    }

    /// Serves the worker's own side.
    fn serve_own(&self, side: Side, watch: &mut Option<Watch<'_>>) -> bool {
        let mut left = self.worker(side).serve();
        let mut any = self.prepare(side);
        if let Some(request) = left.take().filter(Request::is_current) {
            self.stop_watching(side, watch);
            self.handle(request);
            any = true;
        }
        let guest = self.card.guest();
        for queue in self.request_queues(side) {
            queue.flush(guest);
            // The other side has its turn as often while nobody else serves it.
            let turn = if watch.is_some() { 1 } else { TURN };
            for _ in 0..turn {
                match queue.take(guest, side.most_readable()) {
                    Taken::Chain(chain, bytes) => {
                        let request = Request::new(side, queue, chain, bytes);
                        if !request.is_brief() {
                            self.stop_watching(side, watch);
                        }
                        self.handle(request);
                    }
                    Taken::Refused => {}
                    Taken::Nothing => break,
                }
                any = true;
            }
        }
        any
    }

    /// Serves what is brief of a side that is not the worker's own.
    fn serve_others(&self, side: Side) -> bool {
        let worker = self.worker(side);
        let Some(mut left) = worker.stand_in() else {
            return false;
        };
        let mut any = self.prepare(side);
        let guest = self.card.guest();
        for queue in self.request_queues(side) {
            queue.flush(guest);
            match queue.take(guest, side.most_readable()) {
                Taken::Chain(chain, bytes) => {
                    let request = Request::new(side, queue, chain, bytes);
                    if !request.is_brief() {
                        *left = Some(request);
                        worker.bell.call();
                        return true;
                    }
                    self.handle(request);
                }
                Taken::Refused => {}
                Taken::Nothing => continue,
            }
            any = true;
        }
        any
    }

    /// What comes before a side's requests; says whether there was anything.
    fn prepare(&self, side: Side) -> bool {
        if self.worker(side).bell.answer() {
            self.start_queues(side);
        }
        // First what happened before the request that is answered next.
        side == Side::Control && self.deliver_events()
    }

    /// Stops to watch: the guest has to kick, the other worker for what it finds.
    fn stop_watching(&self, side: Side, watch: &mut Option<Watch<'_>>) {
        let other = side.other();
        if watch.take().is_some() && self.is_wanted(other) {
            self.worker(other).bell.call();
        }
    }

    /// Lets the guest kick for what comes to a side; whether there is something
    /// already.
    fn is_wanted(&self, side: Side) -> bool {
        let guest = self.card.guest();
        let mut wanted = self.worker(side).bell.is_rung();
        for queue in self.request_queues(side) {
            wanted |= queue.enable_kicks(guest);
        }
        wanted
    }

    /// Whether there is work at either side that nobody does.
    fn can_serve_any(&self) -> bool {
        let can_serve = |side| self.has_work(side) && self.worker(side).stand_in().is_some();
        can_serve(Side::Control) || can_serve(Side::Submit)
    }

    /// Whether there is something to do for a side's worker.
    pub(crate) fn has_work(&self, side: Side) -> bool {
        let guest = self.card.guest();
        self.worker(side).bell.is_rung()
            || self
                .request_queues(side)
                .any(|queue| queue.claims_a_chain(guest))
    }

    /// The queues of a side that requests come by, as far as they were seen.
    fn request_queues(&self, side: Side) -> impl Iterator<Item = &Arc<Queue>> {
        let numbers = match side {
            Side::Control => QUEUE_CONTROL..QUEUE_EVENTS,
            Side::Submit => QUEUE_SUBMIT..u16::MAX,
        };
        self.seen_queues(numbers)
    }
}
