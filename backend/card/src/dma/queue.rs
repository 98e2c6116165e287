// SPDX-License-Identifier: MIT OR Apache-2.0
//! What waits for DMA channels, by urgency or, to measure what that is worth, in the
//! order in which it came.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use augur_memory::{Frames, HomeCopy, HomeRun, Piece, RelocationId, WindowRef};

use super::part::Part;
use crate::config::DmaOrder;
use crate::dispatch::Ready;

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
    /// Channels that wait for a job; the one that has waited least comes last, and is
    /// woken first: its processor's caches know most of what is moved again.
    asleep: Vec<usize>,
    /// Jobs taken since the least urgent that waits had its turn.
    turns: usize,
    /// Threads that move transfers in channels' places: as many channels may sleep on.
    standing_in: usize,
    open: bool,
}

/// Jobs in the order in which channels take them.
pub(crate) struct DmaQueue {
    order: DmaOrder,
    jobs: Mutex<Jobs>,
    /// For each channel: there is something for it.
    arrived: Vec<Condvar>,
    /// Jobs of each class that wait.
    waiting: [AtomicUsize; CLASSES],
}

impl DmaQueue {
    /// Nothing waits yet for that many channels.
    pub fn new(order: DmaOrder, channels: usize) -> Self {
        DmaQueue {
            order,
            jobs: Mutex::new(Jobs {
                classes: Default::default(),
                asleep: Vec::with_capacity(channels),
                turns: 0,
                standing_in: 0,
                open: true,
            }),
            arrived: (0..channels).map(|_| Condvar::new()).collect(),
            waiting: Default::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Channels that wait for something to do.
    pub(super) fn idle(&self) -> usize {
        self.lock().asleep.len()
    }

    /// Whether all channels wait for something to do.
    pub(super) fn all_idle(&self) -> bool {
        self.idle() == self.arrived.len()
    }

    /// Transfers may have become ready.
    pub fn wake(&self) {
        self.wake_one(&mut self.lock());
    }

    /// There are more transfers than whoever stands in for a channel moves now.
    pub(super) fn wake_beside(&self) {
        self.wake_for_more(&mut self.lock());
    }

    /// Notes that a thread begins to move transfers in a channel's place, or ends.
    pub(super) fn stand_in(&self, begins: bool) {
        let mut jobs = self.lock();
        if begins {
            jobs.standing_in += 1;
        } else {
            jobs.standing_in -= 1;
        }
    }

    /// Wakes a channel for transfers that are ready, but for those whose places are taken.
    fn wake_for_more(&self, jobs: &mut Jobs) {
        if jobs.asleep.len() > jobs.standing_in {
            self.wake_one(jobs);
        }
    }

    /// Wakes a channel, if one sleeps; the others look for jobs by themselves.
    fn wake_one(&self, jobs: &mut Jobs) {
        let channel = jobs.asleep.pop();
        if let Some(arrived) = channel.and_then(|it| self.arrived.get(it)) {
            arrived.notify_one();
        }
    }

    /// Whether jobs are done in the order in which they came. All are of one class
    /// then, so that nothing is more urgent than anything else.
    pub fn in_order_of_arrival(&self) -> bool {
        self.order == DmaOrder::Arrival
    }

    /// In the order of arrival, lets transfers that may start line up before what
    /// comes next.
    pub fn line_up(&self, ready: impl Fn() -> Option<Ready>) {
        if self.in_order_of_arrival() {
            self.line_up_in(&mut self.lock(), &ready);
        }
    }

    fn line_up_in(&self, jobs: &mut Jobs, ready: &impl Fn() -> Option<Ready>) {
        while let Some(Ready { work, .. }) = ready() {
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
        let mut jobs = self.lock();
        jobs.classes[class].push_back(job);
        self.wake_one(&mut jobs);
    }

    /// Puts back what is left of a job, before those that are as urgent: for something
    /// more urgent, if the caller takes the next job and there is any.
    pub(super) fn put_back(&self, job: DmaJob) {
        let class = self.class(&job);
        self.waiting[class].fetch_add(1, Ordering::Relaxed);
        self.lock().classes[class].push_front(job);
    }

    /// Takes the fill of a window out of the queue, for a program has touched it:
    /// the pieces, and how many bytes of them are done. `None` when a channel is
    /// at it, or has done it.
    pub fn take_fill(&self, wanted: WindowRef) -> Option<(Vec<Piece>, u64)> {
        let mut jobs = self.lock();
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

    /// Waits for the channel's next job; `None` once the queue is closed. `ready` answers
    /// a transfer that may start.
    pub(super) fn pop(&self, channel: usize, ready: impl Fn() -> Option<Ready>) -> Option<DmaJob> {
        let arrived = self.arrived.get(channel)?;
        let mut jobs = self.lock();
        while jobs.open {
            if self.in_order_of_arrival() {
                self.line_up_in(&mut jobs, &ready);
            }
            if let Some(job) = self.take(&mut jobs, &ready) {
                return Some(job);
            }
            jobs.asleep.push(channel);
            while jobs.open && jobs.asleep.contains(&channel) {
                jobs = arrived.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            }
        }
        None
    }

    /// Takes what comes next, and wakes another channel if there is more.
    fn take(&self, jobs: &mut Jobs, ready: &impl Fn() -> Option<Ready>) -> Option<DmaJob> {
        jobs.turns += 1;
        let reverse = jobs.turns > TURNS;
        let mut more = false;
        for step in 0..CLASSES {
            let class = if reverse { CLASSES - 1 - step } else { step };
            let mut job = jobs.classes[class].pop_front();
            if job.is_some() {
                self.waiting[class].fetch_sub(1, Ordering::Relaxed);
            } else if class == BULK
                && let Some(found) = ready()
            {
                more = found.more;
                job = Some(DmaJob::Transfer(Part::whole(found.work)));
            }
            if job.is_some() {
                let mut less_urgent = jobs.classes.iter().skip(class + 1);
                if reverse || less_urgent.all(VecDeque::is_empty) {
                    jobs.turns = 0;
                }
                if !jobs.classes.iter().all(VecDeque::is_empty) {
                    self.wake_one(jobs);
                } else if more {
                    self.wake_for_more(jobs);
                }
                return job;
            }
        }
        None
    }

    /// Lets every channel go.
    pub fn close(&self) {
        self.lock().open = false;
        self.arrived.iter().for_each(Condvar::notify_one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use augur_memory::{Frame, Frames, HomeRun};
    use std::sync::mpsc::channel;

    #[test]
    fn the_channel_that_slept_last_is_woken_and_others_only_for_more() {
        let queue = DmaQueue::new(DmaOrder::Urgency, 3);
        let until_asleep = |count| {
            while queue.idle() < count {
                std::thread::yield_now();
            }
        };
        let scrub = || DmaJob::Scrub {
            run: HomeRun {
                first: Frame(1),
                count: Frames(1),
            },
            done: Frames(0),
        };
        std::thread::scope(|scope| {
            let (taken, takers) = channel();
            for number in 0..3 {
                let (taken, queue) = (taken.clone(), &queue);
                scope.spawn(move || {
                    while queue.pop(number, || None).is_some() {
                        taken.send(number).unwrap();
                    }
                });
                until_asleep(number + 1);
            }
            for _ in 0..50 {
                queue.push(scrub());
                assert_eq!(takers.recv(), Ok(2));
                until_asleep(3);
            }
            // Each is told of one.
            (0..300).for_each(|_| queue.push(scrub()));
            assert_eq!(takers.iter().take(300).count(), 300);
            queue.close();
        });
    }
}
