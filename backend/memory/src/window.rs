// SPDX-License-Identifier: MIT OR Apache-2.0
//! Windows: extents that have visible frames.

use crate::{ContextId, Frame, Frames, Nanos, ObjectId, PageNumber, Slot};

/// Where a window is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowState {
    /// The slot is not in use.
    Free,
    /// Frames are set aside and being filled; the driver does not know of it.
    Filling,
    /// Published to the driver.
    Live,
    /// Taken back; the driver's acknowledgement is awaited.
    Revoking,
    /// Acknowledged as dirty; being copied to its home frames.
    WritingHome,
    /// The acknowledgement did not come in time: the frames are not used again
    /// until it does, or the driver's life ends.
    Quarantined,
}

/// A window slot. The slot's number is the window's first frame.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub generation: u32,
    pub state: WindowState,
    /// log2 of the number of pages.
    pub order: u8,
    /// Written by an engine or DMA since it was filled.
    pub dirty: bool,
    /// A demand fault wants it.
    pub demand: bool,
    /// It was mapped before anything touched it.
    pub ahead: bool,
    /// The guest, a command or a fault used it.
    pub used: bool,
    /// Its next use will be reported although it was used before.
    pub watched: bool,
    /// Its object is gone; the frames are freed at the next change of state.
    pub orphan: bool,
    pub context: ContextId,
    pub object: ObjectId,
    pub first_page: PageNumber,
    /// The program pinned all of its pages.
    pub kept: bool,
    /// Commands in flight that use it.
    pub pins: u32,
    /// Not a victim before.
    pub lease_until: Nanos,
    /// When the fault or prediction asked for it.
    pub asked_at: Nanos,
    /// Visible frames that had come to use by then.
    pub asked_after: u64,
}

impl Window {
    pub const FREE: Window = Window {
        generation: 0,
        state: WindowState::Free,
        order: 0,
        dirty: false,
        demand: false,
        ahead: false,
        used: false,
        watched: false,
        orphan: false,
        kept: false,
        context: ContextId(0),
        object: ObjectId(0),
        first_page: PageNumber(0),
        pins: 0,
        lease_until: Nanos(0),
        asked_at: Nanos(0),
        asked_after: 0,
    };

    /// Pages of the window.
    pub fn pages(&self) -> Frames {
        Frames(1 << self.order)
    }
}

/// The frame at which the window of a slot starts.
pub(crate) fn frame_of(slot: Slot) -> Frame {
    Frame(slot.0)
}
