// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of the use of live windows.
//!
//! A program uses a window that is in its page table without anybody noticing. So
//! those next in turn to be given up are watched: their owner has the driver take
//! them out of page tables without a revoke, and the next use is reported.

use super::Manager;
use crate::{
    Class, ContextId, Nanos, PageNumber, Replacement, Slot, Weights, WindowRef, WindowReport,
    WindowState,
};

impl<R: Replacement> Manager<R> {
    /// Chooses at most `most` windows whose next use is to be reported with
    /// [`Manager::touch`], and counts on it. Windows that nobody used yet, that are
    /// pinned or not live need no watching.
    pub fn watch(&mut self, most: usize) -> Vec<WindowReport> {
        let mut chosen = Vec::new();
        while chosen.len() < most
            && let Some(slot) = self.replacement.next_to_watch()
        {
            let Some(window) = self.windows.get_mut(slot.0 as usize) else {
                continue;
            };
            if window.state == WindowState::Live && window.pins == 0 && window.used {
                window.watched = true;
                self.counters.watched += 1;
                chosen.extend(self.report(slot));
            }
        }
        chosen
    }

    /// The window that shows an address, and its state.
    pub fn lookup(&self, id: ContextId, page: PageNumber) -> Option<(WindowRef, WindowState)> {
        let slot = self.contexts.get(&id)?.table.slot(page)?;
        let window = self.windows.get(slot.0 as usize)?;
        Some((
            WindowRef {
                slot,
                generation: window.generation,
            },
            window.state,
        ))
    }

    /// Whether a window may leave soon.
    pub fn is_old(&self, slot: Slot) -> bool {
        self.replacement.is_old(slot)
    }

    /// A page is expected to be used soon: its window stays as if it had been used now.
    pub fn keep(&mut self, id: ContextId, page: PageNumber, now: Nanos) {
        if let Some((window, WindowState::Live)) = self.lookup(id, page) {
            self.replacement.touched(window.slot, now);
        }
    }

    /// Says what is expected of the return of the window that shows a page, if there is
    /// one.
    pub fn classify(&mut self, id: ContextId, page: PageNumber, class: Class) {
        if let Some((window, _)) = self.lookup(id, page) {
            self.replacement.classify(window.slot, class);
        }
    }

    /// Says what the return of windows of each class costs: the victims are chosen by it.
    pub fn weigh(&mut self, weights: &Weights) {
        self.replacement.weigh(weights);
    }

    /// The guest is known to have used a window. Answers whether this is the
    /// first known use of a window that was mapped ahead.
    pub fn touch(&mut self, window: WindowRef, now: Nanos) -> bool {
        let Some(found) = self.window(window).copied() else {
            return false;
        };
        if found.state == WindowState::Live {
            self.replacement.touched(window.slot, now);
        }
        if found.watched {
            self.windows[window.slot.0 as usize].watched = false;
            self.counters.watched_used += 1;
        }
        self.mark_used(window.slot)
    }
}
