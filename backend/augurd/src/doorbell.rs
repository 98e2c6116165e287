// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wakes a worker thread from any other, with one write at most while it
//! sleeps, and none while it is awake or another one watches.
//!
//! Knows nothing of what the worker does.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vmm_sys_util::event::{
    EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier,
};

/// A doorbell of one worker. See the module's description.
pub struct Doorbell {
    rung: AtomicBool,
    awake: AtomicBool,
    watched: Arc<AtomicBool>,
    consumer: EventConsumer,
    notifier: EventNotifier,
}

impl Doorbell {
    /// A doorbell that nobody has rung. While `watched` is set somebody looks at all
    /// bells, and does so once more after it was cleared.
    ///
    /// # Errors
    /// When the process has too many descriptors.
    pub fn new(watched: Arc<AtomicBool>) -> io::Result<Self> {
        let (consumer, notifier) =
            new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC)?;
        let (rung, awake) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Doorbell {
            rung,
            awake,
            watched,
            consumer,
            notifier,
        })
    }

    /// Wakes the worker, or makes whoever is awake look again before it sleeps.
    pub fn ring(&self) {
        // A worker clears `awake` or `watched` before it looks at `rung` a last
        // time, and all are sequentially consistent: one of the two sees the other.
        let seen = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        if !self.rung.swap(true, Ordering::SeqCst) && !seen(&self.awake) && !seen(&self.watched) {
            self.call();
        }
    }

    /// Wakes the worker itself, whoever else is awake.
    pub fn call(&self) {
        // Fails only when the counter is full, which wakes the worker too.
        let _ = self.notifier.notify();
    }

    /// Takes the write that has woken the worker.
    pub fn acknowledge(&self) {
        // Fails only when there is none, which is as good.
        let _ = self.consumer.consume();
    }

    /// Whether somebody has rung whom nobody has answered.
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst)
    }

    /// Answers whoever has rung; whether somebody had. What it was for is done next.
    pub fn answer(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::SeqCst)
    }

    /// The worker will look at [`Doorbell::is_rung`] before it sleeps, or not any more.
    pub fn set_awake(&self, awake: bool) {
        self.awake.store(awake, Ordering::SeqCst);
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
    fn nobody_is_woken_who_is_awake_or_watched_for() {
        let watched = Arc::new(AtomicBool::new(false));
        let bell = Doorbell::new(watched.clone()).unwrap();
        bell.set_awake(true);
        bell.ring();
        assert!(bell.consumer.consume().is_err(), "no write while awake");
        assert!(bell.is_rung() && bell.answer() && !bell.answer());
        bell.set_awake(false);
        watched.store(true, Ordering::SeqCst);
        bell.ring();
        assert!(bell.consumer.consume().is_err(), "no write while watched");
        bell.call();
        bell.consumer.consume().unwrap();
    }

    #[test]
    fn a_sleeping_worker_is_woken_once() {
        let bell = Doorbell::new(Arc::default()).unwrap();
        bell.ring();
        bell.ring();
        bell.consumer.consume().unwrap();
        assert!(bell.consumer.consume().is_err());
    }
}
