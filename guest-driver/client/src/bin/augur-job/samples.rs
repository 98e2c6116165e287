// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's counters over time, while a program works.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use augur_abi::control::CountersResponse;
use augur_client::Device;
use serde::Serialize;

/// Time between two samples of the card's counters.
const INTERVAL: Duration = Duration::from_millis(10);
/// Most samples of one kind of job.
const MOST_SAMPLES: usize = 1000;

/// What the card has counted from a job's begin to one moment.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// Nanoseconds that the card had been worked on.
    pub nanos: u64,
    /// Bytes visible through the aperture at that moment.
    pub window_bytes: u64,
    /// Windows mapped because a program waited for them.
    pub on_demand: u64,
    /// Windows mapped ahead of use.
    pub ahead: u64,
    /// Those of them that were used.
    pub ahead_used: u64,
    /// Windows that were taken back.
    pub evicted: u64,
}

impl Sample {
    fn of(nanos: u64, before: &CountersResponse, now: &CountersResponse) -> Self {
        let ahead = now.maps_ahead - before.maps_ahead;
        Self {
            nanos,
            window_bytes: now.window_bytes,
            on_demand: (now.maps - before.maps).saturating_sub(ahead),
            ahead,
            ahead_used: now.ahead_used - before.ahead_used,
            evicted: now.revokes - before.revokes,
        }
    }
}

/// Adds samples until `stop` is dropped. The card had been worked on for `worked`
/// when they begin, and its counters were at `before` when all of it began.
pub fn sample(
    device: &Device,
    before: &CountersResponse,
    worked: Duration,
    stop: &mpsc::Receiver<()>,
    samples: &mut Vec<Sample>,
) {
    let began = Instant::now();
    while samples.len() < MOST_SAMPLES {
        // A lost card ends the samples; the job itself reports the loss.
        let Ok(now) = device.counters() else {
            break;
        };
        let nanos = (worked + began.elapsed()).as_nanos() as u64;
        samples.push(Sample::of(nanos, before, &now));
        if stop.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
}
