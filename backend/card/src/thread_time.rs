// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time that a thread has spent on a processor: what a measurement means, and a
//! budget, while other programs want the processors too.

use std::time::Duration;

/// Processor time of the calling thread since it started; zero where the
/// kernel keeps no such clock.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a timespec that the call may write, and nothing else
    // is touched.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if status != 0 {
        return Duration::ZERO;
    }
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
