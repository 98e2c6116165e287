// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log that a guest cannot flood: so many lines a second, the rest counted.
//!
//! Knows nothing of what is logged.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

/// Lines about what a guest did that pass in each [`INTERVAL`].
const LINES_OF_GUEST: u32 = 8;
/// The time after which lines pass again.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts the lines of one second. See the module's description.
#[derive(Debug)]
pub struct LogLimit {
    lines: u32,
    state: Mutex<State>,
}

/// The process's limit on lines that a guest can cause.
static GUEST: LogLimit = LogLimit::new(LINES_OF_GUEST);

/// Writes a warning about something that the guest did, unless there were too
/// many already.
pub fn warn_of_guest(line: fmt::Arguments<'_>) {
    GUEST.log(Level::Warn, line);
}

/// The same for what is no mistake.
pub fn tell_of_guest(line: fmt::Arguments<'_>) {
    GUEST.log(Level::Info, line);
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Lets `lines` lines pass in each second.
    pub const fn new(lines: u32) -> Self {
        Self {
            lines,
            state: Mutex::new(State {
                began: None,
                passed: 0,
                suppressed: 0,
            }),
        }
    }

    /// Writes a line, unless there were too many already or nobody wants lines of
    /// this level.
    pub fn log(&self, level: Level, line: fmt::Arguments<'_>) {
        if !log::log_enabled!(level) {
            return;
        }
        match self.admit(Instant::now()) {
            Some(0) => log::log!(level, "{line}"),
            Some(suppressed) => {
                log::log!(
                    level,
                    "{line} ({suppressed} lines before this one were suppressed)"
                );
            }
            None => {}
        }
    }

    /// Whether a line may be written at `now`; `Some(n)` says that it may and
    /// that `n` lines before it were suppressed.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = state
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= INTERVAL);
        if fresh {
            state.began = Some(now);
            state.passed = 0;
        }
        if state.passed >= self.lines {
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
        let limit = LogLimit::new(8);
        let start = Instant::now();
        let admitted = (0..1000).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(admitted, 8);
        let suppressed = 1000 - 8;
        assert_eq!(limit.admit(start + INTERVAL), Some(suppressed));
        assert_eq!(limit.admit(start + INTERVAL), Some(0));
    }
}
