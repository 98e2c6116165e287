// SPDX-License-Identifier: MIT OR Apache-2.0
//! What waits for DMA channels, by urgency or, to measure what that is worth, in the
//! order in which it came.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use augur_memory::{Frames, HomeCopy, HomeRun, Piece, RelocationId, WindowRef};

use super::part::Part;
use crate::config::DmaOrder;
use crate::dispatch::Work;

/// Jobs that may go before the least urgent one.
pub(super) const TURNS: usize = 16;

const CLASSES: usize = 4;
pub(super) const DEMAND: usize = 0;
pub(super) const AHEAD: usize = 1;
pub(super) const BULK: usize = 2;
const BACKGROUND: usize = 3;

/// Something for a channel to do.
pub(crate) enum DmaJob {
    /// Fill a window that was predicted, from byte `done` on.
    Fill {
        window: WindowRef,
        pieces: Vec<Piece>,
        done: u64,
    },
    /// Copy a window home.
    WriteHome {
        window: WindowRef,
        pieces: Vec<Piece>,
    },
    /// A transfer command, or a part of one.
    Transfer(Part),
    /// Make freed frames read as zero, but for those that are done.
    Scrub { run: HomeRun, done: Frames },
    /// Copy pages to another home; the last come first.
    Relocate {
        relocation: RelocationId,
        copies: Vec<HomeCopy>,
    },
}

impl DmaJob {
    /// How urgent it is.
    fn class(&self) -> usize {
        match self {
            DmaJob::WriteHome { .. } => DEMAND,
            DmaJob::Fill { .. } => AHEAD,
            DmaJob::Transfer(_) => BULK,
            DmaJob::Scrub { .. } | DmaJob::Relocate { .. } => BACKGROUND,
        }
    }
}

struct Jobs {
    classes: [VecDeque<DmaJob>; CLASSES],
    /// Jobs taken since the least urgent that waits had its turn.
    turns: usize,
    open: bool,
}

/// Jobs in the order in which channels take them.
pub(crate) struct DmaQueue {
    order: DmaOrder,
    jobs: Mutex<Jobs>,
    arrived: Condvar,
    /// Jobs of each class that wait.
    waiting: [AtomicUsize; CLASSES],
    /// Channels that wait for a job.
    idle: AtomicUsize,
}

impl DmaQueue {
    /// Nothing waits yet.
    pub fn new(order: DmaOrder) -> Self {
        DmaQueue {
            order,
            jobs: Mutex::new(Jobs {
                classes: Default::default(),
                turns: 0,
                open: true,
            }),
            arrived: Condvar::new(),
            waiting: Default::default(),
            idle: AtomicUsize::new(0),
        }
    }

    /// Channels that wait for something to do.
    pub(super) fn idle(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// Transfers may have become ready.
    pub fn wake(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        self.arrived.notify_all();
    }

    /// Whether jobs are done in the order in which they came. All are of one class
    /// then, so that nothing is more urgent than anything else.
    pub fn in_order_of_arrival(&self) -> bool {
        self.order == DmaOrder::Arrival
    }

    /// In the order of arrival, lets transfers that may start line up before what
    /// comes next.
    pub fn line_up(&self, ready: impl Fn() -> Option<Work>) {
        if self.in_order_of_arrival() {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            self.line_up_in(&mut jobs, &ready);
        }
    }

    fn line_up_in(&self, jobs: &mut Jobs, ready: &impl Fn() -> Option<Work>) {
        while let Some(work) = ready() {
            self.waiting[BULK].fetch_add(1, Ordering::Relaxed);
            jobs.classes[BULK].push_back(DmaJob::Transfer(Part::whole(work)));
        }
    }

    fn class(&self, job: &DmaJob) -> usize {
        if self.in_order_of_arrival() {
            BULK
        } else {
            job.class()
        }
    }

    /// Adds a job, or what is left of one, behind those that are as urgent.
    pub fn push(&self, job: DmaJob) {
        let class = self.class(&job);
        self.waiting[class].fetch_add(1, Ordering::Relaxed);
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .classes[class]
            .push_back(job);
        self.arrived.notify_one();
    }

    /// Puts back what is left of a job, before those that are as urgent: for something
    /// more urgent, if the caller takes the next job and there is any.
    pub(super) fn put_back(&self, job: DmaJob) {
        let class = self.class(&job);
        self.waiting[class].fetch_add(1, Ordering::Relaxed);
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .classes[class]
            .push_front(job);
    }

    /// Takes the fill of a window out of the queue, for a program has touched it:
    /// the pieces, and how many bytes of them are done. `None` when a channel is
    /// at it, or has done it.
    pub fn take_fill(&self, wanted: WindowRef) -> Option<(Vec<Piece>, u64)> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let place = jobs.classes[AHEAD]
            .iter()
            .position(|job| matches!(job, DmaJob::Fill { window, .. } if *window == wanted))?;
        match jobs.classes[AHEAD].remove(place) {
            Some(DmaJob::Fill { pieces, done, .. }) => {
                self.waiting[AHEAD].fetch_sub(1, Ordering::Relaxed);
                Some((pieces, done))
            }
            _ => None,
        }
    }

    pub(super) fn waits(&self, class: usize) -> bool {
        self.waiting[class].load(Ordering::Relaxed) > 0
    }

    /// Moves of windows that wait, into the aperture and home. In the order of arrival
    /// transfers are among them.
    pub fn moves_that_wait(&self) -> usize {
        let classes = if self.in_order_of_arrival() {
            &self.waiting[BULK..=BULK]
        } else {
            &self.waiting[DEMAND..=AHEAD]
        };
        classes
            .iter()
            .map(|waiting| waiting.load(Ordering::Relaxed))
            .sum()
    }

    /// Whether anything waits.
    #[cfg(test)]
    pub(super) fn waits_any(&self) -> bool {
        (0..CLASSES).any(|class| self.waits(class))
    }

    /// Whether something more urgent than a transfer waits.
    pub(super) fn has_urgent(&self) -> bool {
        self.waits(DEMAND) || self.waits(AHEAD)
    }

    /// Waits for the next job; `None` once the queue is closed. `ready` answers a
    /// transfer that may start.
    pub(super) fn pop(&self, ready: impl Fn() -> Option<Work>) -> Option<DmaJob> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !jobs.open {
                return None;
            }
            if self.in_order_of_arrival() {
                self.line_up_in(&mut jobs, &ready);
            }
            jobs.turns += 1;
            let reverse = jobs.turns > TURNS;
            for step in 0..CLASSES {
                let class = if reverse { CLASSES - 1 - step } else { step };
                let mut job = jobs.classes[class].pop_front();
                if job.is_some() {
                    self.waiting[class].fetch_sub(1, Ordering::Relaxed);
                }
                if class == BULK && job.is_none() {
                    job = ready().map(|work| DmaJob::Transfer(Part::whole(work)));
                }
                if job.is_some() {
                    let mut less_urgent = jobs.classes.iter().skip(class + 1);
                    if reverse || less_urgent.all(VecDeque::is_empty) {
                        jobs.turns = 0;
                    }
                    return job;
                }
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            jobs = self
                .arrived
                .wait(jobs)
                .unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Lets every channel go.
    pub fn close(&self) {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open = false;
        self.arrived.notify_all();
    }
}
