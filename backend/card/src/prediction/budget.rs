// SPDX-License-Identifier: MIT OR Apache-2.0
//! A share of one core, which the learning thread and the trainer keep to together,
//! however much there is to learn from.
//!
//! What it may take accrues while time passes, up to a burst that lets it answer at
//! once after a quiet while. Beyond that it rests, so that news come in batches: to
//! wake up costs as much as an observation. What does not fit its queues meanwhile
//! makes way, the oldest first, and is counted.

use std::time::{Duration, Instant};

use crate::thread_time::thread_time;

/// The share is one of so many parts of a core. The trainer takes a thirtieth at most,
/// most often much less; the rest is the learning thread's.
const PART: u32 = 10;
/// What may be saved up.
const BURST: Duration = Duration::from_millis(3);
/// The shortest rest, in which some news come together.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest rest; what is owed beyond it is owed still.
const LONGEST: Duration = Duration::from_millis(50);

/// What the calling thread and the trainer may take of a processor.
pub(super) struct Budget {
    began: Instant,
    allowance: Allowance,
}

impl Budget {
    /// Begins with a burst.
    pub fn new() -> Self {
        Budget {
            began: Instant::now(),
            allowance: Allowance {
                until: Duration::ZERO,
                spent: thread_time(),
            },
        }
    }

    /// How long the thread has to rest now, where the trainer has spent so much in all.
    pub fn rest(&mut self, trainer: Duration) -> Duration {
        let now = self.began.elapsed() + BURST * PART;
        self.allowance.rest(now, thread_time() + trainer)
    }
}

/// The time at which a thread will have earned what it has spent.
struct Allowance {
    /// That time, and what was spent when it was reckoned.
    until: Duration,
    spent: Duration,
}

impl Allowance {
    /// The rest that is due at `now` to threads that have spent `spent` in all.
    fn rest(&mut self, now: Duration, spent: Duration) -> Duration {
        // More than a burst is not saved up.
        self.until = self.until.max(now.saturating_sub(BURST * PART));
        self.until += spent.saturating_sub(self.spent) * PART;
        self.spent = spent;
        match self.until.saturating_sub(now) {
            Duration::ZERO => Duration::ZERO,
            rest => rest.clamp(SHORTEST, LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_thread_that_always_has_work_keeps_to_its_share() {
        let mut allowance = Allowance {
            until: Duration::ZERO,
            spent: Duration::ZERO,
        };
        let (mut now, mut spent) = (BURST * PART, Duration::ZERO);
        let began = now;
        for turn in 0..1000 {
            // Turns of 10 to 79 us, and one of 20 ms, whose rest is in parts.
            let work = if turn == 500 {
                20 * MS
            } else {
                MS / 100 * (turn % 8) + MS / 100
            };
            now += work;
            spent += work;
            now += allowance.rest(now, spent);
        }
        loop {
            let rest = allowance.rest(now, spent);
            now += rest;
            if rest.is_zero() {
                break;
            }
        }
        assert!(
            spent <= (now - began) / PART + BURST,
            "{spent:?} in {:?}",
            now - began
        );
    }

    #[test]
    fn after_a_quiet_while_it_works_at_once_for_a_burst_and_no_longer() {
        let mut allowance = Allowance {
            until: Duration::ZERO,
            spent: Duration::ZERO,
        };
        let now = 1000 * BURST * PART;
        assert_eq!(allowance.rest(now, BURST / 2), Duration::ZERO);
        assert_eq!(allowance.rest(now, BURST), Duration::ZERO);
        assert_eq!(allowance.rest(now, BURST + MS), PART * MS);
        assert_eq!(allowance.rest(now, BURST + 10 * MS), LONGEST);
    }
}
