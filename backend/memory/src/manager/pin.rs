// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pins: memory that a command in flight uses stays where it is.

use thiserror::Error;

use super::{Manager, MemoryError, touched_pages};
use crate::window::frame_of;
use crate::{
    ContextId, DeviceAddress, Nanos, ObjectId, PAGE_SHIFT, PageNumber, PhysicalOffset, Replacement,
    Slot, WindowState,
};

/// Bytes that a command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// First byte.
    pub address: DeviceAddress,
    /// Number of bytes, not zero.
    pub bytes: u64,
    /// Whether the command writes them.
    pub write: bool,
}

/// A contiguous part of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub offset: PhysicalOffset,
    /// Number of bytes.
    pub bytes: u64,
}

/// Memory that stays where it is until [`Manager::unpin`].
#[derive(Debug)]
#[must_use = "a pin that is dropped is never given back"]
pub struct Pin {
    id: u64,
    slots: Vec<Slot>,
    objects: Vec<ObjectId>,
    segments: Vec<Vec<Segment>>,
}

impl Pin {
    /// For each access in order, where its bytes are.
    pub fn segments(&self) -> &[Vec<Segment>] {
        &self.segments
    }
}

/// Why memory could not be pinned.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PinError {
    /// A window is between two states: try again after the next change.
    #[error("a window is on the move")]
    Moving,
    /// The context or object does not exist (any more).
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Pages at home that a command in flight writes.
pub(super) struct ActivePin {
    id: u64,
    context: ContextId,
    first: PageNumber,
    pages: u64,
}

impl<R: Replacement> Manager<R> {
    /// First address and bytes of the object that holds the access.
    ///
    /// # Errors
    /// As [`Manager::check_access`].
    pub fn object_range(
        &self,
        id: ContextId,
        access: Access,
    ) -> Result<(DeviceAddress, u64), MemoryError> {
        let object = self.check_access(id, access)?;
        let found = self.objects.get(&object.0).ok_or(MemoryError::NoObject)?;
        Ok((found.first_page.address(), found.pages << PAGE_SHIFT))
    }

    /// Objects of a context that are gone. While the number stays, an access that
    /// was in an object once still is.
    pub fn removed_objects(&self, id: ContextId) -> Option<u64> {
        self.contexts.get(&id).map(|context| context.removed)
    }

    /// Checks that the bytes lie in one object of the context.
    ///
    /// # Errors
    /// [`MemoryError::NoContext`], [`MemoryError::ContextFailed`],
    /// [`MemoryError::NoObject`].
    pub fn check_access(&self, id: ContextId, access: Access) -> Result<ObjectId, MemoryError> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        if context.failed {
            return Err(MemoryError::ContextFailed);
        }
        let (first, pages) =
            touched_pages(access.address, access.bytes).ok_or(MemoryError::NoObject)?;
        let (_, &object) = context
            .objects
            .range(..=first.0)
            .next_back()
            .ok_or(MemoryError::NoObject)?;
        let found = self.objects.get(&object.0).ok_or(MemoryError::NoObject)?;
        let end = found.first_page.0 + found.pages;
        if first.0.checked_add(pages).is_some_and(|last| last <= end) {
            Ok(object)
        } else {
            Err(MemoryError::NoObject)
        }
    }

    /// Holds all the accesses' memory where it is, or none of it.
    ///
    /// # Errors
    /// [`PinError::Moving`] when a window is being filled, revoked or written
    /// home; [`PinError::Memory`] when an access is not in an object.
    pub fn pin(&mut self, id: ContextId, accesses: &[Access], now: Nanos) -> Result<Pin, PinError> {
        let mut objects = Vec::with_capacity(accesses.len());
        for access in accesses {
            objects.push(self.check_access(id, *access)?);
            self.check_settled(id, *access)?;
        }
        let mut pin = Pin {
            id: self.next_pin,
            slots: Vec::new(),
            objects,
            segments: Vec::new(),
        };
        self.next_pin += 1;
        for (index, access) in accesses.iter().enumerate() {
            let object = pin.objects[index];
            if let Some(found) = self.objects.get_mut(&object.0) {
                found.users += 1;
            }
            if access.write
                && !self.relocations.is_empty()
                && let Some((first, pages)) = touched_pages(access.address, access.bytes)
            {
                self.spoil_relocations(id, first, pages);
            }
            let segments = self.pin_access(id, object, *access, &mut pin, now);
            pin.segments.push(segments);
        }
        Ok(pin)
    }

    /// Gives a pin back.
    pub fn unpin(&mut self, pin: Pin, now: Nanos) {
        self.active.retain(|active| active.id != pin.id);
        for slot in pin.slots {
            let window = &mut self.windows[slot.0 as usize];
            window.pins -= 1;
            if window.orphan && window.pins == 0 && window.state == WindowState::Live {
                self.free_window(slot);
            }
        }
        for object in pin.objects {
            self.drop_user(object);
        }
        self.serve_waiting(now);
    }

    /// Whether a command in flight writes any of the pages at home.
    pub(super) fn written_in_flight(&self, id: ContextId, first: PageNumber, pages: u64) -> bool {
        self.active.iter().any(|active| {
            active.context == id
                && active.first.0 < first.0 + pages
                && first.0 < active.first.0 + active.pages
        })
    }

    fn check_settled(&self, id: ContextId, access: Access) -> Result<(), PinError> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        let (first, pages) =
            touched_pages(access.address, access.bytes).ok_or(MemoryError::NoObject)?;
        let end = first.0 + pages;
        let mut page = first;
        while let Some((found, slot)) = context.table.next_mapped(page, end) {
            let window = &self.windows[slot.0 as usize];
            if window.state != WindowState::Live {
                return Err(PinError::Moving);
            }
            page = PageNumber(window.first_page.0 + u64::from(window.pages().0)).max(found);
        }
        Ok(())
    }

    /// Pins one access, which was checked, and says where its bytes are.
    fn pin_access(
        &mut self,
        id: ContextId,
        object: ObjectId,
        access: Access,
        pin: &mut Pin,
        now: Nanos,
    ) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(1);
        let mut address = access.address.0;
        let end = access.address.0 + access.bytes;
        let Some((first, pages)) = touched_pages(access.address, access.bytes) else {
            return segments;
        };
        let end_page = first.0 + pages;
        let (Some(context), Some(found)) =
            (self.contexts.get_mut(&id), self.objects.get(&object.0))
        else {
            return segments;
        };
        while address < end {
            let page = DeviceAddress(address).page();
            let next = context.table.next_mapped(page, end_page);
            if let Some((mapped, slot)) = next
                && mapped == page
            {
                let window = &mut self.windows[slot.0 as usize];
                window.pins += 1;
                window.dirty |= access.write;
                self.replacement.touched(slot, now);
                pin.slots.push(slot);
                let window_start = window.first_page.address().0;
                let stop = end.min(window_start + window.pages().bytes());
                let offset = frame_of(slot).offset().0 + (address - window_start);
                push_segment(&mut segments, offset, stop - address);
                address = stop;
                continue;
            }
            let stop_page = next.map_or(end_page, |(mapped, _)| mapped.0);
            let stop = end.min(stop_page << PAGE_SHIFT);
            let count = stop_page - page.0;
            if access.write {
                context.table.set_home_valid(page, count);
                self.active.push(ActivePin {
                    id: pin.id,
                    context: id,
                    first: page,
                    pages: count,
                });
            }
            let mut into = address - page.address().0;
            found.visit_home(page, count, |_, offset, pages| {
                let bytes = ((pages << PAGE_SHIFT) - into).min(stop - address);
                push_segment(&mut segments, offset.0 + into, bytes);
                address += bytes;
                into = 0;
            });
            // An object without home frames has no segments.
            address = stop;
        }
        segments
    }
}

/// Appends a segment, joined with the one before when they touch.
fn push_segment(segments: &mut Vec<Segment>, offset: u64, bytes: u64) {
    match segments.last_mut() {
        Some(last) if last.offset.0 + last.bytes == offset => last.bytes += bytes,
        _ => segments.push(Segment {
            offset: PhysicalOffset(offset),
            bytes,
        }),
    }
}
