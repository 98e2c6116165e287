// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which window goes when frames are needed.

use crate::{Class, Nanos, Slot, Weights};

/// An order of the windows in the aperture.
///
/// The manager calls it for every change; implementations must take constant or
/// logarithmic time and hold state for each slot at most.
pub trait Replacement: Send {
    /// A window was filled; `demand` says whether a fault asked for it.
    fn mapped(&mut self, slot: Slot, demand: bool, now: Nanos);
    /// The guest, an engine or DMA used the window.
    fn touched(&mut self, slot: Slot, now: Nanos);
    /// The window is not a candidate any more.
    fn unmapped(&mut self, slot: Slot);
    /// The window to give up, among those for which `eligible` answers true.
    fn victim(&mut self, eligible: &mut dyn FnMut(Slot) -> bool) -> Option<Slot>;
    /// Whether a window may leave soon, unless it is said to be needed. Orders that do
    /// not care have none.
    fn is_old(&self, slot: Slot) -> bool {
        let _ = slot;
        false
    }
    /// What the owner expects of a window's return, from now until it is unmapped.
    /// Orders that do not care ignore it.
    fn classify(&mut self, slot: Slot, class: Class) {
        let _ = (slot, class);
    }
    /// What the return of windows of each class costs.
    fn weigh(&mut self, weights: &Weights) {
        let _ = weights;
    }
    /// The next window that is close to being given up and should be known to be
    /// used or not by then. Orders that do not care have none.
    fn next_to_watch(&mut self) -> Option<Slot> {
        None
    }
}
