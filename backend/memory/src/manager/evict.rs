// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unmapping: victims, revokes and their acknowledgements, writing home,
//! quarantine.

use super::{Action, GUARANTEED_WINDOWS, Manager};
use crate::window::frame_of;
use crate::{Frames, Nanos, Replacement, Slot, WindowRef, WindowState};

impl<R: Replacement> Manager<R> {
    /// Takes a live window back, whatever the order of replacement says.
    /// Answers whether the revoke was started: a window that is pinned, not
    /// live, or of an earlier generation is left alone.
    pub fn unmap(&mut self, window: WindowRef, now: Nanos) -> bool {
        let revocable = self
            .window(window)
            .is_some_and(|found| found.state == WindowState::Live && found.pins == 0);
        if revocable {
            self.start_revoke(window.slot, now);
        }
        revocable
    }

    /// The driver has given a window back; `dirty` says that the guest wrote it.
    /// Answers false for a stale acknowledgement, which changes nothing.
    pub fn acknowledged(&mut self, window: WindowRef, dirty: bool, now: Nanos) -> bool {
        let known = self.window(window).copied().filter(|found| {
            matches!(
                found.state,
                WindowState::Revoking | WindowState::Quarantined
            )
        });
        let Some(found) = known else {
            self.counters.stale_acks += 1;
            return false;
        };
        if found.orphan {
            self.free_window(window.slot);
        } else if dirty || found.dirty {
            if found.state == WindowState::Quarantined {
                self.coming += found.pages().0;
                self.counters.quarantined_frames -= u64::from(found.pages().0);
            }
            self.windows[window.slot.0 as usize].state = WindowState::WritingHome;
            self.spoil_relocations(found.context, found.first_page, found.pages().0.into());
            let bytes = found.pages().bytes();
            self.counters.written_home_bytes += bytes;
            let pieces = self.pieces(window, false);
            self.actions.push_back(Action::WriteHome {
                window,
                pieces,
                bytes,
            });
        } else {
            self.counters.clean_drops += 1;
            self.detach(window.slot);
            self.free_window(window.slot);
        }
        self.serve_waiting(now);
        true
    }

    /// The window's bytes are at home.
    pub fn written_home(&mut self, window: WindowRef, now: Nanos) {
        let Some(found) = self.window(window).copied() else {
            return;
        };
        if found.state != WindowState::WritingHome {
            return;
        }
        if found.orphan {
            self.free_window(window.slot);
            self.drop_user(found.object);
        } else {
            if let Some(context) = self.contexts.get_mut(&found.context) {
                context
                    .table
                    .set_home_valid(found.first_page, found.pages().0.into());
            }
            self.detach(window.slot);
            self.free_window(window.slot);
        }
        self.serve_waiting(now);
    }

    /// Lets time pass: puts windows into quarantine whose acknowledgement did
    /// not come, and tries faults again that waited for a lease to end. Time in
    /// which the driver cannot run must not be counted in `now`.
    pub fn tick(&mut self, now: Nanos) {
        while let Some(&(sent, window)) = self.revokes.front() {
            let waiting = self
                .window(window)
                .is_some_and(|found| found.state == WindowState::Revoking);
            if waiting && now - sent < self.config.revoke_timeout {
                break;
            }
            self.revokes.pop_front();
            if waiting {
                self.quarantine(window);
            }
        }
        self.serve_waiting(now);
    }

    /// Whether [`Manager::tick`] has something to wait for.
    pub fn needs_tick(&self) -> bool {
        !self.revokes.is_empty() || !self.waiting.is_empty()
    }

    fn quarantine(&mut self, window: WindowRef) {
        let found = &mut self.windows[window.slot.0 as usize];
        found.state = WindowState::Quarantined;
        let (id, frames) = (found.context, found.pages().0);
        self.coming -= frames;
        self.counters.quarantined_frames += u64::from(frames);
        if let Some(context) = self.contexts.get_mut(&id)
            && !context.failed
        {
            context.failed = true;
            self.actions.push_back(Action::ContextFailed(id));
        }
    }

    /// Evicts until `wanted` visible frames are free or coming.
    pub(super) fn evict_for(&mut self, wanted: u32, now: Nanos) {
        let have = self.visible.free_frames().0 + self.coming;
        if have < wanted {
            self.evict(wanted - have, now);
        }
    }

    /// Evicts when fewer frames than the reserve are free or coming, and then several
    /// windows: each message to the driver and back costs as much as taking one away.
    pub(super) fn refill_reserve(&mut self, now: Nanos) {
        let Frames(reserve) = self.config.reserve;
        if self.visible.free_frames().0 + self.coming < reserve {
            self.evict_for(reserve + self.config.refill.0, now);
        }
    }

    /// Starts to evict windows of at least `frames` together, as far as there
    /// are victims; answers whether any was found.
    pub(super) fn evict(&mut self, frames: u32, now: Nanos) -> bool {
        let mut started = 0;
        while started < frames {
            let Some(slot) = self.victim(now) else { break };
            started += self.windows[slot.0 as usize].pages().0;
            self.start_revoke(slot, now);
        }
        started > 0
    }

    fn victim(&mut self, now: Nanos) -> Option<Slot> {
        let guaranteed = GUARANTEED_WINDOWS * self.config.demand_window.0;
        let Manager {
            replacement,
            windows,
            contexts,
            ..
        } = self;
        replacement.victim(&mut |slot| {
            let window = &windows[slot.0 as usize];
            window.state == WindowState::Live
                && window.pins == 0
                && !window.kept
                && window.lease_until <= now
                && contexts
                    .get(&window.context)
                    .is_none_or(|context| context.window_frames > guaranteed)
        })
    }

    pub(super) fn start_revoke(&mut self, slot: Slot, now: Nanos) {
        self.replacement.unmapped(slot);
        let window = &mut self.windows[slot.0 as usize];
        window.state = WindowState::Revoking;
        // What its acknowledgement says of its use is no answer to a watch.
        window.watched = false;
        let reference = WindowRef {
            slot,
            generation: window.generation,
        };
        self.coming += window.pages().0;
        self.counters.revokes += 1;
        if self.revokes.len() > 2 * self.windows.len() {
            let Manager {
                revokes, windows, ..
            } = self;
            revokes.retain(|(_, window)| {
                let found = &windows[window.slot.0 as usize];
                found.generation == window.generation && found.state == WindowState::Revoking
            });
        }
        self.revokes.push_back((now, reference));
        if let Some(report) = self.report(slot) {
            self.actions.push_back(Action::Revoke(report));
        }
    }

    /// Takes a window out of its context's table and books.
    pub(super) fn detach(&mut self, slot: Slot) {
        self.settle_speculation(slot);
        let window = &self.windows[slot.0 as usize];
        let (first, pages) = (window.first_page, window.pages().0);
        if let Some(context) = self.contexts.get_mut(&window.context) {
            context.table.set_slot(first, pages.into(), None);
            context.windows -= 1;
            context.window_frames -= pages;
        }
        self.counters.windows -= 1;
        self.counters.window_frames -= u64::from(pages);
        if let Some(report) = self.report(slot) {
            self.actions.push_back(Action::Gone(report));
        }
    }

    /// Frees the frames of a window that is out of the table.
    pub(super) fn free_window(&mut self, slot: Slot) {
        let window = &mut self.windows[slot.0 as usize];
        let frames = window.pages();
        let state = std::mem::replace(&mut window.state, WindowState::Free);
        window.orphan = false;
        let order = window.order;
        match state {
            WindowState::Revoking | WindowState::WritingHome => self.coming -= frames.0,
            WindowState::Quarantined => {
                self.counters.quarantined_frames -= u64::from(frames.0);
            }
            WindowState::Live => self.replacement.unmapped(slot),
            WindowState::Free | WindowState::Filling => {}
        }
        self.visible.release(frame_of(slot), order);
    }
}
