// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounded channel to the learning thread.
//!
//! Whoever tells never waits: each context has a queue of its own, whose oldest
//! entry makes way for a new one, and the queues are emptied in turn. So a context
//! that floods loses its own history and nobody else's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use augur_memory::{ContextId, Nanos, PageNumber};
use augur_predictor::Origin;

/// What waits of one context, at most.
const QUEUED: usize = 1024;
/// What is taken of one context before it is another's turn.
const TURN: usize = 32;

/// Pages that a context used, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub first: PageNumber,
    pub pages: u64,
    pub origin: Origin,
    pub write: bool,
    pub time: Nanos,
}

/// Something to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    /// Pages were used.
    Access(Access),
    /// A window has left the page table.
    Gone {
        first: PageNumber,
        pages: u64,
        used: bool,
    },
    /// A command list that is queued writes these bytes for somebody else to read.
    Declared { first: PageNumber, pages: u64 },
}

#[derive(Default)]
struct State {
    queues: BTreeMap<ContextId, VecDeque<Lesson>>,
    /// Where the next turn begins.
    next: ContextId,
    waiting: bool,
    dropped: u64,
    closed: bool,
}

/// The channel.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a lesson; the context's oldest one is dropped when there are many.
    pub fn tell(&self, context: ContextId, lesson: Lesson) {
        let mut state = self.lock();
        let queue = state.queues.entry(context).or_default();
        queue.push_back(lesson);
        if queue.len() > QUEUED {
            queue.pop_front();
            state.dropped += 1;
        }
        // A wakeup is a system call: it is made for a thread that sleeps only.
        if std::mem::take(&mut state.waiting) {
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// Ends the thread's sleep, if it sleeps.
    pub fn wake(&self) {
        if std::mem::take(&mut self.lock().waiting) {
            self.arrived.notify_one();
        }
    }

    /// Drops what waits of a context.
    pub fn forget(&self, context: ContextId) {
        self.lock().queues.remove(&context);
    }

    /// Lessons that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits at most `patience` for a lesson and takes some of one context's.
    /// Answers false once closed.
    pub fn take(&self, patience: Duration, out: &mut Vec<(ContextId, Lesson)>) -> bool {
        let mut state = self.lock();
        if state.queues.values().all(VecDeque::is_empty) && !state.closed {
            state.waiting = true;
            state = self
                .arrived
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.waiting = false;
        }
        let from = state.next;
        let turn = state
            .queues
            .range(from..)
            .chain(state.queues.range(..from))
            .find(|(_, queue)| !queue.is_empty())
            .map(|(&context, _)| context);
        if let Some(context) = turn {
            state.next = ContextId(context.0.wrapping_add(1));
            if let Some(queue) = state.queues.get_mut(&context) {
                let count = queue.len().min(TURN);
                out.extend(queue.drain(..count).map(|lesson| (context, lesson)));
                // Contexts come and go; news of one may come after its end.
                if queue.is_empty() {
                    state.queues.remove(&context);
                }
            }
        }
        !state.closed
    }

    /// Lets the thread go.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(page: u64) -> Lesson {
        Lesson::Gone {
            first: PageNumber(page),
            pages: 1,
            used: true,
        }
    }

    #[test]
    fn a_context_that_floods_loses_its_own_history_only() {
        let inbox = Inbox::default();
        inbox.tell(ContextId(2), lesson(7));
        for page in 0..10_000 {
            inbox.tell(ContextId(1), lesson(page));
        }
        assert_eq!(inbox.dropped(), 10_000 - QUEUED as u64);
        let mut taken = Vec::new();
        assert!(inbox.take(Duration::ZERO, &mut taken));
        assert_eq!(taken.len(), TURN);
        let oldest = 10_000 - QUEUED as u64;
        assert_eq!(taken[0], (ContextId(1), lesson(oldest)));
        taken.clear();
        assert!(inbox.take(Duration::ZERO, &mut taken));
        assert_eq!(
            taken,
            [(ContextId(2), lesson(7))],
            "the other context has its turn"
        );
        inbox.forget(ContextId(1));
        taken.clear();
        inbox.close();
        assert!(!inbox.take(Duration::from_secs(9), &mut taken));
        assert!(taken.is_empty());
    }
}
