// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wakes a worker thread from any other, with one write at most while it
//! sleeps and none while it is awake.
//!
//! Knows nothing of what the worker does.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use vmm_sys_util::event::{
    EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier,
};

/// A doorbell of one worker. See the module's description.
pub struct Doorbell {
    rung: AtomicBool,
    awake: AtomicBool,
    consumer: EventConsumer,
    notifier: EventNotifier,
}

impl Doorbell {
    /// A doorbell that nobody has rung.
    ///
    /// # Errors
    /// When the process has too many descriptors.
    pub fn new() -> io::Result<Self> {
        let (consumer, notifier) =
            new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC)?;
        let (rung, awake) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Doorbell {
            rung,
            awake,
            consumer,
            notifier,
        })
    }

    /// Wakes the worker, or makes it look again before it sleeps.
    pub fn ring(&self) {
        // The worker clears `awake` before it looks at `rung` a last time, and
        // both are sequentially consistent: one of the two sees the other.
        if !self.rung.swap(true, Ordering::SeqCst) && !self.awake.load(Ordering::SeqCst) {
            // Fails only when the counter is full, which wakes the worker too.
            let _ = self.notifier.notify();
        }
    }

    /// Takes the write that has woken the worker.
    pub fn acknowledge(&self) {
        // Fails only when there is none, which is as good.
        let _ = self.consumer.consume();
    }

    /// Whether somebody has rung since the work began that is running now, or since
    /// this was asked last. For the worker.
    pub fn rang(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::SeqCst)
    }

    /// Runs `work` until nobody has rung while it ran.
    pub fn answer(&self, mut work: impl FnMut()) {
        loop {
            self.awake.store(true, Ordering::SeqCst);
            self.rung.store(false, Ordering::SeqCst);
            work();
            self.awake.store(false, Ordering::SeqCst);
            if !self.rung.load(Ordering::SeqCst) {
                return;
            }
        }
    }
}

impl AsRawFd for Doorbell {
    fn as_raw_fd(&self) -> RawFd {
        self.consumer.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_again_when_the_bell_rang_while_it_ran() {
        let bell = Doorbell::new().unwrap();
        let mut runs = 0;
        bell.answer(|| {
            runs += 1;
            if runs < 3 {
                bell.ring();
            }
        });
        assert_eq!(runs, 3);
        assert!(bell.consumer.consume().is_err(), "no write while awake");
    }

    #[test]
    fn a_sleeping_worker_is_woken_once() {
        let bell = Doorbell::new().unwrap();
        bell.ring();
        bell.ring();
        bell.consumer.consume().unwrap();
        assert!(bell.consumer.consume().is_err());
    }
}
