// SPDX-License-Identifier: MIT OR Apache-2.0
//! Futures that wait for descriptors, with any runtime or none: one thread of
//! the process polls all descriptors that futures wait for and wakes them.
//!
//! The thread starts with the first future and lives as long as the process; a
//! forked child has none and must make its futures after an `exec`. Nothing
//! here knows what the descriptors stand for.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::error::Error;
use crate::kernel;

/// A descriptor that will be readable.
#[derive(Debug)]
pub(crate) struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    ready: bool,
    /// The future was dropped.
    abandoned: bool,
    waker: Option<Waker>,
}

impl Readiness {
    /// Hands the descriptor to the polling thread.
    pub(crate) fn of(descriptor: OwnedFd) -> Result<Self, Error> {
        let state = Arc::new(Mutex::new(State::default()));
        let reactor = Reactor::of_process()?;
        lock(&reactor.arrivals).push(Entry {
            descriptor,
            state: Arc::clone(&state),
        });
        reactor.nudge();
        Ok(Self(state))
    }

    /// [`Future::poll`].
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.ready {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.abandoned = true;
        let nudge = !state.ready;
        drop(state);
        // The thread closes the descriptor.
        if nudge && let Some(reactor) = REACTOR.get() {
            reactor.nudge();
        }
    }
}

struct Entry {
    descriptor: OwnedFd,
    state: Arc<Mutex<State>>,
}

/// What the polling thread and the others share.
struct Reactor {
    arrivals: Mutex<Vec<Entry>>,
    /// Readable when there is something new.
    doorbell: File,
}

static REACTOR: OnceLock<Arc<Reactor>> = OnceLock::new();

impl Reactor {
    fn of_process() -> Result<&'static Self, Error> {
        if let Some(reactor) = REACTOR.get() {
            return Ok(reactor);
        }
        static STARTING: Mutex<()> = Mutex::new(());
        let _starting = lock(&STARTING);
        if let Some(reactor) = REACTOR.get() {
            return Ok(reactor);
        }
        let reactor = Arc::new(Reactor {
            arrivals: Mutex::new(Vec::new()),
            doorbell: kernel::event()?.into(),
        });
        let own = Arc::clone(&reactor);
        thread::Builder::new()
            .name("augur-futures".into())
            .spawn(move || own.run())
            .map_err(Error::Futures)?;
        Ok(REACTOR.get_or_init(|| reactor))
    }

    fn nudge(&self) {
        // Full only after 2^64 - 1 nudges, and then it is readable anyway.
        let _ = (&self.doorbell).write(&1_u64.to_ne_bytes());
    }

    fn run(&self) {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let descriptors = entries.iter().map(|entry| entry.descriptor.as_fd());
            let readable = kernel::poll(descriptors.chain([self.doorbell.as_fd()]));
            let mut number = 0;
            entries.retain(|entry| {
                let mut state = lock(&entry.state);
                state.ready = readable.get(number).copied().unwrap_or(false);
                number += 1;
                let keep = !state.ready && !state.abandoned;
                let waker = if keep { None } else { state.waker.take() };
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
                keep
            });
            if readable.last() == Some(&true) {
                // It is readable, so this does not wait.
                let _ = (&self.doorbell).read(&mut [0; 8]);
            }
            entries.append(&mut lock(&self.arrivals));
        }
    }
}

/// Whoever panicked while holding a lock of this module left it consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Wakes the thread that waits, and counts.
    struct Unpark(thread::Thread, AtomicUsize);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.unpark();
        }
    }

    fn ring(event: &File) {
        let _ = (&*event).write(&1_u64.to_ne_bytes()).expect("it has room");
    }

    fn event() -> (File, OwnedFd) {
        let event = kernel::event().expect("an event");
        (event.try_clone().expect("a copy").into(), event)
    }

    #[test]
    fn futures_are_woken_when_their_own_descriptor_is_readable() {
        let (first, first_descriptor) = event();
        let (second, second_descriptor) = event();
        let wait = Readiness::of(first_descriptor).expect("a future");
        let other = Readiness::of(second_descriptor).expect("a future");
        let waker = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
        let context_waker = Waker::from(Arc::clone(&waker));
        let mut context = Context::from_waker(&context_waker);
        let mut future = pin!(std::future::poll_fn(|context| wait.poll(context)));
        assert_eq!(future.as_mut().poll(&mut context), Poll::Pending);
        ring(&first);
        while future.as_mut().poll(&mut context).is_pending() {
            thread::park();
        }
        assert_eq!(other.poll(&mut context), Poll::Pending);
        ring(&second);
        while other.poll(&mut context).is_pending() {
            thread::park();
        }
        assert!(waker.1.load(Ordering::SeqCst) >= 1);
    }

    #[test]
    fn a_dropped_future_gives_its_descriptor_back() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let future = Readiness::of(reader.into()).expect("a future");
        drop(future);
        // The last reader is gone when writing fails.
        let mut writer = writer;
        while writer.write(&[0]).is_ok() {
            // Take the byte's readiness out of the question: nobody reads it,
            // and a future that is ready is dropped as well.
            thread::yield_now();
        }
    }
}
