// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which worker goes on looking for work instead of sleeping, and for how long.
//!
//! Waking a thread costs more than most requests do. When the last idle time was
//! short, one worker therefore *watches*: it looks for a while at all queues, the
//! other worker's too, so that a guest that asks here and there by turns wakes
//! nobody. When the guest is quiet all sleep at once, and an idle card costs
//! nothing. One watches at a time: the processors belong to the guest. (KVM's
//! `halt_poll_ns` decides in the same way.)
//!
//! Knows nothing of what work is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Looks between two looks at the clock.
const LOOKS: u32 = 16;

/// Decides who watches. See the module's description.
pub struct Lookout {
    limit: Duration,
    /// Somebody watches.
    watched: Arc<AtomicBool>,
    began: Instant,
    /// When a worker last ran out of work, in ns since `began`.
    idle_since: AtomicU64,
    /// The last idle time was shorter than the limit.
    worthwhile: AtomicBool,
}

/// Held by the worker that watches.
pub struct Watch<'a>(&'a Lookout);

impl Lookout {
    /// Nobody watches, and whoever does looks for at most `limit` before it sleeps.
    pub fn new(limit: Duration) -> Self {
        Lookout {
            limit,
            watched: Arc::default(),
            began: Instant::now(),
            idle_since: AtomicU64::new(0),
            worthwhile: AtomicBool::new(false),
        }
    }

    /// Whether somebody watches, for those who would have to wake a worker.
    pub fn watched(&self) -> Arc<AtomicBool> {
        self.watched.clone()
    }

    /// Whether somebody watches: who then sleeps need not be woken for anything.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }

    /// Notes that there is work again.
    pub fn work_came(&self) {
        let idle = self.now().saturating_sub(self.idle_since());
        self.worthwhile.store(idle <= self.limit, Ordering::Relaxed);
    }

    /// Begins to watch when there is no work, unless that is not worthwhile or
    /// somebody does.
    pub fn watch(&self) -> Option<Watch<'_>> {
        self.note_idle(self.now());
        let may = self.worthwhile.load(Ordering::Relaxed);
        (may && !self.watched.swap(true, Ordering::SeqCst)).then(|| Watch(self))
    }

    fn note_idle(&self, now: Duration) {
        self.idle_since
            .store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn idle_since(&self) -> Duration {
        Duration::from_nanos(self.idle_since.load(Ordering::Relaxed))
    }
}

impl Watch<'_> {
    /// Looks on until `is_work` says that there is some; answers false when it is
    /// time to sleep.
    pub fn look_on(&self, mut is_work: impl FnMut() -> bool) -> bool {
        let Watch(lookout) = self;
        let began = lookout.now();
        lookout.note_idle(began);
        while lookout.now() - began < lookout.limit {
            for _ in 0..LOOKS {
                if is_work() {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        false
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.watched.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test runs.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn somebody_watches_after_a_short_idle_time_only() {
        let lookout = Lookout::new(LONG);
        assert!(lookout.watch().is_none(), "nothing is known yet");
        lookout.work_came();
        assert!(lookout.watch().unwrap().look_on(|| true));
        let hasty = Lookout::new(Duration::ZERO);
        assert!(hasty.watch().is_none());
        std::thread::sleep(Duration::from_millis(1));
        hasty.work_came();
        assert!(hasty.watch().is_none());
    }

    #[test]
    fn one_worker_at_a_time_watches() {
        let lookout = Lookout::new(LONG);
        lookout.work_came();
        let watch = lookout.watch().unwrap();
        assert!(lookout.is_watched());
        assert!(lookout.watch().is_none());
        assert!(watch.look_on(|| true), "the others' wish changes nothing");
        drop(watch);
        assert!(!lookout.is_watched());
        assert!(lookout.watch().is_some());
    }
}
