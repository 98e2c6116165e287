// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long the learning thread sleeps when nobody tells it anything.
//!
//! The touch ring tells nobody that something is in it: it has to be looked at. While
//! programs use what was mapped ahead that is twice in the time between two touches.
//! When nothing comes any more, each sleep is a quarter of the quiet so far, so that a
//! pause costs a few looks however long it lasts, and its end is seen after a quarter
//! more of it at most. News of faults and lists end a sleep at once.

use std::time::Duration;

use augur_memory::Nanos;

/// The shortest sleep: shorter ones would cost more than they bring.
const SHORTEST: Nanos = Nanos(500_000);
/// The longest while programs use what was mapped ahead.
const LONGEST_IN_USE: Nanos = Nanos(2_000_000);
/// The longest.
const LONGEST: Nanos = Nanos(100_000_000);
/// Sleeps in which the quiet so far would pass again.
const PART: u64 = 4;

/// When there was something to see, and how often.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The last touch, and the mean time between touches.
    touched: Nanos,
    between: Nanos,
    /// The last touch or other news.
    news: Nanos,
}

impl Pace {
    /// Touches were in the ring.
    pub fn touched(&mut self, now: Nanos) {
        let passed = (now - self.touched).0.min(2 * LONGEST_IN_USE.0);
        self.between = Nanos((3 * self.between.0 + passed) / 4);
        self.touched = now;
        self.news = now;
    }

    /// The thread was told something.
    pub fn told(&mut self, now: Nanos) {
        self.news = now;
    }

    /// How long to sleep. Nobody looks at the ring when nobody is `curious`.
    pub fn sleep(&self, curious: bool, now: Nanos) -> Duration {
        let in_use = (self.between.0 / 2).clamp(SHORTEST.0, LONGEST_IN_USE.0);
        let quiet = (now - self.news).0 / PART;
        let sleep = if curious {
            quiet.clamp(in_use, LONGEST.0)
        } else {
            LONGEST.0
        };
        Duration::from_nanos(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_ring_is_looked_at_twice_between_two_touches() {
        let mut pace = Pace::default();
        let mut now = Nanos(0);
        for _ in 0..100 {
            now += Nanos(3 * MS);
            pace.touched(now);
        }
        let sleep = pace.sleep(true, now).as_nanos() as u64;
        assert!(sleep.abs_diff(3 * MS / 2) < MS / 100, "{sleep}");
        assert_eq!(pace.sleep(false, now).as_nanos(), u128::from(LONGEST.0));
    }

    #[test]
    fn a_pause_costs_few_looks_and_ends_with_the_next_news() {
        let mut pace = Pace::default();
        let began = Nanos(MS);
        pace.touched(began);
        let (mut now, mut looks) = (began, 0);
        while (now - began).0 < 1_000 * MS {
            let sleep = Nanos(pace.sleep(true, now).as_nanos() as u64);
            assert!(sleep.0 <= LONGEST_IN_USE.0.max((now - began).0 / PART));
            now += sleep;
            looks += 1;
        }
        assert!(looks < 50, "{looks}");
        pace.told(now);
        assert!(pace.sleep(true, now).as_nanos() <= u128::from(LONGEST_IN_USE.0));
    }
}
