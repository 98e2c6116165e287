// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the manager tells of itself: windows, contexts, counters.

use super::Manager;
use crate::window::frame_of;
use crate::{
    ApertureOffset, ContextId, DeviceAddress, Frames, Nanos, Replacement, Slot, WindowRef,
    WindowState,
};

/// A window as the driver knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowReport {
    /// Slot and generation.
    pub window: WindowRef,
    /// Its context.
    pub context: ContextId,
    /// First device address.
    pub address: DeviceAddress,
    /// Where it starts in the aperture.
    pub aperture: ApertureOffset,
    /// Bytes.
    pub bytes: u64,
    /// Whether a demand fault asked for it.
    pub demand: bool,
    /// Whether it was mapped before anything touched it.
    pub ahead: bool,
    /// Whether it is known to have been used.
    pub used: bool,
    /// Its state.
    pub state: WindowState,
}

/// What a context holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextReport {
    /// Objects.
    pub objects: u64,
    /// Bytes of the objects.
    pub object_bytes: u64,
    /// Windows.
    pub windows: u64,
    /// Bytes of the windows.
    pub window_bytes: u64,
    /// Demand faults so far.
    pub faults: u64,
    /// Whether the context has failed.
    pub failed: bool,
}

/// Totals since the manager was made, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Objects now.
    pub objects: u64,
    /// Pages of objects now.
    pub object_frames: u64,
    /// The most that there ever were at one time.
    pub peak_object_frames: u64,
    /// Objects made so far.
    pub objects_made: u64,
    /// Windows now.
    pub windows: u64,
    /// Frames of windows now.
    pub window_frames: u64,
    /// Frames of all windows that came to use so far: of those on demand, and of those
    /// mapped ahead at their first use.
    pub came_to_use: u64,
    /// Frames in quarantine now.
    pub quarantined_frames: u64,
    /// Demand faults that asked for a window.
    pub faults: u64,
    /// Time from demand faults to the publication of their windows.
    pub fault_time: Nanos,
    /// Windows published.
    pub maps: u64,
    /// Revokes started.
    pub revokes: u64,
    /// Windows dropped without a copy.
    pub clean_drops: u64,
    /// Bytes copied from home to visible frames.
    pub filled_bytes: u64,
    /// Bytes zeroed in visible frames.
    pub zeroed_bytes: u64,
    /// Bytes copied home.
    pub written_home_bytes: u64,
    /// Windows mapped ahead.
    pub maps_ahead: u64,
    /// Those that were used.
    pub ahead_used: u64,
    /// Those that left the aperture without use.
    pub ahead_unused: u64,
    /// Faults on windows that were being filled ahead.
    pub late: u64,
    /// Frames of windows mapped ahead and not used yet, now.
    pub speculative_frames: u64,
    /// Windows watched, to see whether they are used again.
    pub watched: u64,
    /// Those that were.
    pub watched_used: u64,
    /// Relocations that took effect.
    pub relocations: u64,
    /// Their frames.
    pub relocated_frames: u64,
    /// Relocations that did not, because something used the pages meanwhile.
    pub relocations_spoiled: u64,
    /// Acknowledgements of windows that were not being revoked.
    pub stale_acks: u64,
}

impl<R: Replacement> Manager<R> {
    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Visible frames that are free.
    pub fn free_visible(&self) -> Frames {
        self.visible.free_frames()
    }

    /// Home frames that are free.
    pub fn free_home(&self) -> u64 {
        self.home.free_frames()
    }

    /// A context, or `None` when it does not exist.
    pub fn context(&self, id: ContextId) -> Option<ContextReport> {
        let context = self.contexts.get(&id)?;
        Some(ContextReport {
            objects: context.objects.len() as u64,
            object_bytes: context.object_frames << crate::PAGE_SHIFT,
            windows: u64::from(context.windows),
            window_bytes: Frames(context.window_frames).bytes(),
            faults: context.faults,
            failed: context.failed,
        })
    }

    /// The first context with an id of at least `from`.
    pub fn next_context(&self, from: ContextId) -> Option<ContextId> {
        self.contexts.range(from..).next().map(|(&id, _)| id)
    }

    /// The windows that the driver knows, in order of slots from `from` on.
    pub fn published_windows(&self, from: Slot) -> impl Iterator<Item = WindowReport> + '_ {
        (from.0..self.windows.len() as u32).filter_map(|slot| {
            let report = self.report(Slot(slot))?;
            let known = matches!(
                report.state,
                WindowState::Live | WindowState::Revoking | WindowState::Quarantined
            );
            known.then_some(report)
        })
    }

    /// A window in any state, or `None` for a slot that is not in use.
    pub fn report(&self, slot: Slot) -> Option<WindowReport> {
        let window = self.windows.get(slot.0 as usize)?;
        if window.orphan || window.state == WindowState::Free {
            return None;
        }
        Some(WindowReport {
            window: WindowRef {
                slot,
                generation: window.generation,
            },
            context: window.context,
            address: window.first_page.address(),
            aperture: ApertureOffset(frame_of(slot).offset().0),
            bytes: window.pages().bytes(),
            demand: window.demand,
            ahead: window.ahead,
            used: window.used,
            state: window.state,
        })
    }
}
