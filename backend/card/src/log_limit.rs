// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log that a guest cannot flood: so many lines a second, the rest counted.
//!
//! Knows nothing of what is logged.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that pass in each [`INTERVAL`].
pub const LINES_PER_INTERVAL: u32 = 8;
/// The time after which lines pass again.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Counts the lines of one second. See the module's description.
#[derive(Debug, Default)]
pub struct LogLimit {
    state: Mutex<State>,
}

/// The process's limit on lines that a guest can cause.
static GUEST: LogLimit = LogLimit {
    state: Mutex::new(State {
        began: None,
        passed: 0,
        suppressed: 0,
    }),
};

/// Writes a warning about something that the guest did, unless there were too
/// many already.
pub fn warn_of_guest(line: std::fmt::Arguments<'_>) {
    match GUEST.admit(Instant::now()) {
        Some(0) => log::warn!("{line}"),
        Some(suppressed) => {
            log::warn!("{line} ({suppressed} lines before this one were suppressed)")
        }
        None => {}
    }
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Whether a line may be written at `now`; `Some(n)` says that it may and
    /// that `n` lines before it were suppressed.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = state
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= INTERVAL);
        if fresh {
            state.began = Some(now);
            state.passed = 0;
        }
        if state.passed >= LINES_PER_INTERVAL {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let limit = LogLimit::default();
        let start = Instant::now();
        let admitted = (0..1000).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(admitted, LINES_PER_INTERVAL as usize);
        let suppressed = 1000 - u64::from(LINES_PER_INTERVAL);
        assert_eq!(limit.admit(start + INTERVAL), Some(suppressed));
        assert_eq!(limit.admit(start + INTERVAL), Some(0));
    }
}
