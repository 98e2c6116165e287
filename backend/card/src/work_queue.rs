// SPDX-License-Identifier: MIT OR Apache-2.0
//! A queue that threads wait on, until it is closed.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// First in, first out.
pub(crate) struct WorkQueue<T> {
    state: Mutex<(VecDeque<T>, bool)>,
    arrived: Condvar,
}

impl<T> WorkQueue<T> {
    /// An empty, open queue.
    pub fn new() -> Self {
        WorkQueue {
            state: Mutex::new((VecDeque::new(), true)),
            arrived: Condvar::new(),
        }
    }

    /// Adds an item.
    pub fn push(&self, item: T) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .push_back(item);
        self.arrived.notify_one();
    }

    /// Waits for an item; `None` once the queue is closed.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !state.1 {
                return None;
            }
            if let Some(item) = state.0.pop_front() {
                return Some(item);
            }
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets every waiting thread go.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = false;
        self.arrived.notify_all();
    }
}
