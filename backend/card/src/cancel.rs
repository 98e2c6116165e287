// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flags that tell a list to end early: one for each list, raised for one list
//! or for all lists of a context. What a list does is not known here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The flags of a context's lists.
#[derive(Default)]
pub(crate) struct Cancellation {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The context has ended: lists are cancelled when they come.
    ended: bool,
    /// Flags of lists by the number that the driver gave them.
    lists: Vec<(u32, Weak<AtomicBool>)>,
}

impl Cancellation {
    /// The flag of a new list.
    pub fn enlist(&self, number: u32) -> Arc<AtomicBool> {
        let mut state = self.lock();
        let flag = Arc::new(AtomicBool::new(state.ended));
        // What has ended since the last time; lists in flight are bounded.
        state.lists.retain(|(_, flag)| flag.strong_count() > 0);
        state.lists.push((number, Arc::downgrade(&flag)));
        flag
    }

    /// Cancels the lists that have this number; whether there was one.
    pub fn cancel(&self, number: u32) -> bool {
        let state = self.lock();
        let mut found = false;
        for (_, flag) in state.lists.iter().filter(|(known, _)| *known == number) {
            if let Some(flag) = flag.upgrade() {
                flag.store(true, Ordering::Relaxed);
                found = true;
            }
        }
        found
    }

    /// Cancels every list, now and later.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        for (_, flag) in state.lists.drain(..) {
            if let Some(flag) = flag.upgrade() {
                flag.store(true, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_or_all_of_them_are_cancelled() {
        let context = Cancellation::default();
        let (first, second) = (context.enlist(1), context.enlist(2));
        assert!(context.cancel(2) && !context.cancel(3));
        assert!(!first.load(Ordering::Relaxed) && second.load(Ordering::Relaxed));
        drop(second);
        assert!(!context.cancel(2));
        context.end();
        assert!(first.load(Ordering::Relaxed));
        assert!(context.enlist(4).load(Ordering::Relaxed));
    }
}
