// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one source of time: real in the card's process, virtual in benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::Nanos;

/// A monotonic clock.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the clock's start.
    fn now(&self) -> Nanos;
}

/// The host's monotonic clock, from the moment of construction.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        SystemClock {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now: AtomicU64,
}

impl VirtualClock {
    /// Moves the clock to `time`; a time in the past changes nothing.
    pub fn advance_to(&self, time: Nanos) {
        self.now.fetch_max(time.0, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::Relaxed))
    }
}
