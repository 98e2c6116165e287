// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a worker goes on looking for work before it sleeps.
//!
//! Waking a thread costs more than most requests do. A worker whose last idle
//! time was short therefore looks on for a while; one whose guest is quiet
//! sleeps at once, so that an idle card costs nothing. At most one worker of a
//! process looks on at a time: the processors belong to the guest. (KVM's
//! `halt_poll_ns` decides in the same way.)
//!
//! Knows nothing of what work is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Looks between two looks at the clock.
const LOOKS: u32 = 16;

/// When one worker looks on. See the module's description.
pub struct BusyPoll {
    limit: Duration,
    /// Somebody looks on.
    taken: Arc<AtomicBool>,
    began: Instant,
    /// When this worker last ran out of work, in ns since `began`.
    idle_since: AtomicU64,
    /// The last idle time was shorter than the limit.
    worthwhile: AtomicBool,
}

impl BusyPoll {
    /// For two workers of a process: each looks on for at most `limit`, and not
    /// while the other does.
    pub fn pair(limit: Duration) -> [Self; 2] {
        let taken = Arc::new(AtomicBool::new(false));
        [taken.clone(), taken].map(|taken| BusyPoll {
            limit,
            taken,
            began: Instant::now(),
            idle_since: AtomicU64::new(0),
            worthwhile: AtomicBool::new(false),
        })
    }

    /// Notes that there is work again.
    pub fn work_came(&self) {
        let idle = self.now().saturating_sub(self.idle_since());
        self.worthwhile.store(idle <= self.limit, Ordering::Relaxed);
    }

    /// Looks on until `is_work` says that there is some; answers false when it is
    /// time to sleep.
    pub fn look_on(&self, mut is_work: impl FnMut() -> bool) -> bool {
        let began = self.now();
        self.idle_since
            .store(began.as_nanos() as u64, Ordering::Relaxed);
        if !self.worthwhile.load(Ordering::Relaxed) || self.taken.swap(true, Ordering::Acquire) {
            return false;
        }
        let mut found = false;
        while !found && self.now() - began < self.limit {
            for _ in 0..LOOKS {
                found = is_work();
                if found {
                    break;
                }
                std::hint::spin_loop();
            }
        }
        self.taken.store(false, Ordering::Release);
        found
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn idle_since(&self) -> Duration {
        Duration::from_nanos(self.idle_since.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test runs.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_worker_looks_on_after_a_short_idle_time_only() {
        let [worker, _] = BusyPoll::pair(LONG);
        assert!(!worker.look_on(|| true), "nothing is known yet");
        worker.work_came();
        assert!(worker.look_on(|| true));
        let [hasty, _] = BusyPoll::pair(Duration::ZERO);
        hasty.look_on(|| true);
        std::thread::sleep(Duration::from_millis(1));
        hasty.work_came();
        assert!(!hasty.look_on(|| true));
    }

    #[test]
    fn one_worker_at_a_time_looks_on() {
        let [one, other] = BusyPoll::pair(LONG);
        one.work_came();
        other.work_came();
        assert!(one.look_on(|| {
            assert!(!other.look_on(|| true));
            true
        }));
        other.work_came();
        assert!(other.look_on(|| true), "the first has gone on");
    }
}
