// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects: allocation, freeing, and where their bytes are at home.

use super::{Action, HomeRun, Manager, MemoryError, Piece, pages_of};
use crate::page_table::PageTable;
use crate::{
    ContextId, DeviceAddress, Frame, Frames, Nanos, ObjectId, PAGE_SHIFT, PageNumber,
    PhysicalOffset, Replacement, WindowRef, WindowState,
};

/// Device address zero is never part of an object.
pub(super) const FIRST_PAGE: u64 = 1 << 9;
/// Device addresses have 48 bits.
pub(super) const ADDRESS_SPACE_PAGES: u64 = 1 << (48 - PAGE_SHIFT);
/// Objects start at a multiple of their size's power of two, up to 2 MiB, so
/// that large windows fit them.
const MAX_ALIGNMENT_PAGES: u64 = 1 << super::MAX_WINDOW_ORDER;

/// An allocation in a context.
pub(super) struct Object {
    pub first_page: PageNumber,
    pub pages: u64,
    /// Home frames, each with the object's page at which it starts. Empty for an
    /// object without home frames.
    pub home: Vec<(u64, HomeRun)>,
    /// Pins and moves that use the object's memory.
    pub users: u32,
    /// The object was destroyed: which frames to scrub and which to free at
    /// once, when the last user is gone.
    pub destroyed: Option<Freed>,
}

/// Home frames that are not an object's any more.
pub(super) struct Freed {
    scrub: Vec<HomeRun>,
    clean: Vec<HomeRun>,
}

impl Object {
    /// Where the page is at home, and how many pages follow it there.
    pub fn home_of(&self, page: PageNumber) -> Option<(Frame, u64)> {
        let offset = page.0 - self.first_page.0;
        let index = self
            .home
            .partition_point(|(start, _)| *start <= offset)
            .checked_sub(1)?;
        let (start, run) = self.home.get(index)?;
        let into = offset - start;
        let left = u64::from(run.count.0)
            .checked_sub(into)
            .filter(|&left| left > 0)?;
        Some((Frame(run.first.0 + into as u32), left))
    }

    /// Calls `visit(pages into the run, first byte, pages)` for each contiguous
    /// part of the pages at home.
    pub fn visit_home(
        &self,
        first: PageNumber,
        pages: u64,
        mut visit: impl FnMut(u64, PhysicalOffset, u64),
    ) {
        let mut done = 0;
        while done < pages {
            let Some((frame, left)) = self.home_of(PageNumber(first.0 + done)) else {
                return;
            };
            let count = left.min(pages - done);
            visit(done, frame.offset(), count);
            done += count;
        }
    }

    /// The home frames of the pages: which hold data, and which do not.
    pub fn freed(&self, table: &PageTable, first: PageNumber, pages: u64) -> Freed {
        let mut freed = Freed {
            scrub: Vec::new(),
            clean: Vec::new(),
        };
        if self.home.is_empty() {
            return freed;
        }
        table.home_runs(first, pages, |page, count, valid| {
            let list = if valid {
                &mut freed.scrub
            } else {
                &mut freed.clean
            };
            self.visit_home(page, count, |_, offset, pages| {
                list.push(HomeRun {
                    first: Frame((offset.0 >> PAGE_SHIFT) as u32),
                    count: Frames(pages as u32),
                });
            });
        });
        freed
    }
}

impl<R: Replacement> Manager<R> {
    /// Allocates an object of at least `bytes`; its memory reads as zero.
    ///
    /// # Errors
    /// [`MemoryError::NoContext`], [`MemoryError::BadSize`], or
    /// [`MemoryError::NoMemory`] when home frames, addresses or objects are
    /// exhausted (frames that are still to be scrubbed count as exhausted).
    pub fn create_object(
        &mut self,
        context: ContextId,
        bytes: u64,
    ) -> Result<(ObjectId, DeviceAddress, u64), MemoryError> {
        let pages = pages_of(bytes).ok_or(MemoryError::BadSize)?;
        self.usable_context(context)?;
        let frames = u32::try_from(pages).map_err(|_| MemoryError::NoMemory)?;
        let first_page = self.place(context, pages)?;
        let runs = self
            .home
            .allocate(Frames(frames))
            .ok_or(MemoryError::NoMemory)?;
        let mut start = 0;
        let home = runs
            .into_iter()
            .map(|run| {
                let entry = (start, run);
                start += u64::from(run.count.0);
                entry
            })
            .collect();
        self.insert_object(context, first_page, pages, home)
    }

    /// Makes an address range of at least `bytes` without home frames, whose
    /// data count as written home: for owners that keep no bytes.
    ///
    /// # Errors
    /// As [`Manager::create_object`].
    pub fn create_unbacked_object(
        &mut self,
        context: ContextId,
        bytes: u64,
    ) -> Result<(ObjectId, DeviceAddress, u64), MemoryError> {
        let pages = pages_of(bytes).ok_or(MemoryError::BadSize)?;
        self.usable_context(context)?;
        let first_page = self.place(context, pages)?;
        self.insert_object(context, first_page, pages, Vec::new())
    }

    /// Frees an object. Its windows are gone at once and need no acknowledgement;
    /// its memory is kept until nothing in flight uses it.
    ///
    /// # Errors
    /// [`MemoryError::NoContext`] or [`MemoryError::NoObject`].
    pub fn destroy_object(
        &mut self,
        context: ContextId,
        object: ObjectId,
        now: Nanos,
    ) -> Result<(), MemoryError> {
        let owner = self.contexts.get(&context).ok_or(MemoryError::NoContext)?;
        let first_page = self
            .objects
            .get(&object.0)
            .ok_or(MemoryError::NoObject)?
            .first_page;
        if owner.objects.get(&first_page.0) != Some(&object) {
            return Err(MemoryError::NoObject);
        }
        self.remove_object(context, object);
        self.serve_waiting(now);
        Ok(())
    }

    /// Frames that [`Action::Scrub`] named read as zero now.
    pub fn scrubbed(&mut self, run: HomeRun) {
        self.scrubbing = self.scrubbing.saturating_sub(u64::from(run.count.0));
        self.home.release(run);
    }

    /// Home frames that will be free without anybody freeing anything: those that
    /// wait to be scrubbed, and as many as objects are moved to.
    pub fn scrubbing_frames(&self) -> u64 {
        self.scrubbing + self.relocating_frames()
    }

    fn usable_context(&self, context: ContextId) -> Result<(), MemoryError> {
        let context = self.contexts.get(&context).ok_or(MemoryError::NoContext)?;
        if context.failed {
            return Err(MemoryError::ContextFailed);
        }
        if context.objects.len() >= self.config.max_objects as usize {
            return Err(MemoryError::NoMemory);
        }
        Ok(())
    }

    /// Finds device addresses behind the last object. They are not used again while
    /// the context lives, so that an address of an object that is gone stays wrong;
    /// and an unused page stays between objects, so that an access beyond an end is
    /// noticed.
    fn place(&mut self, id: ContextId, pages: u64) -> Result<PageNumber, MemoryError> {
        let context = self.contexts.get_mut(&id).ok_or(MemoryError::NoContext)?;
        let alignment = pages.next_power_of_two().min(MAX_ALIGNMENT_PAGES);
        let first = context.next_page.next_multiple_of(alignment);
        let end = first
            .checked_add(pages)
            .filter(|&end| end <= ADDRESS_SPACE_PAGES);
        context.next_page = end.ok_or(MemoryError::NoMemory)? + 1;
        Ok(PageNumber(first))
    }

    fn insert_object(
        &mut self,
        id: ContextId,
        first_page: PageNumber,
        pages: u64,
        home: Vec<(u64, HomeRun)>,
    ) -> Result<(ObjectId, DeviceAddress, u64), MemoryError> {
        let object = ObjectId(self.next_object);
        self.next_object += 1;
        let context = self.contexts.get_mut(&id).ok_or(MemoryError::NoContext)?;
        context.objects.insert(first_page.0, object);
        context.object_frames += pages;
        self.scattered += u64::from(home.len() > 1);
        self.counters.objects += 1;
        self.counters.object_frames += pages;
        self.counters.objects_made += 1;
        let peak = &mut self.counters.peak_object_frames;
        *peak = self.counters.object_frames.max(*peak);
        self.objects.insert(
            object.0,
            Object {
                first_page,
                pages,
                home,
                users: 0,
                destroyed: None,
            },
        );
        Ok((object, first_page.address(), pages << PAGE_SHIFT))
    }

    /// Removes an object of the context: the caller has checked that it is one.
    pub(super) fn remove_object(&mut self, id: ContextId, object_id: ObjectId) {
        let Some((first, pages)) = self
            .objects
            .get(&object_id.0)
            .map(|object| (object.first_page, object.pages))
        else {
            return;
        };
        self.remove_windows(id, object_id, first, pages);
        let (Some(context), Some(object)) = (
            self.contexts.get_mut(&id),
            self.objects.get_mut(&object_id.0),
        ) else {
            return;
        };
        context.removed += 1;
        let freed = object.freed(&context.table, first, pages);
        self.scattered -= u64::from(object.home.len() > 1);
        object.destroyed = Some(freed);
        context.table.forget(first, pages);
        context.objects.remove(&first.0);
        context.object_frames -= pages;
        self.forget_advice(id, first.0, first.0 + pages);
        self.counters.objects -= 1;
        self.counters.object_frames -= pages;
        let (waiting, failed): (Vec<_>, Vec<_>) = self.waiting.iter().copied().partition(|fault| {
            fault.context != id || fault.page.0 < first.0 || fault.page.0 >= first.0 + pages
        });
        self.waiting = waiting.into();
        for fault in failed {
            self.stop_waiting(fault.context);
            self.fail_fault(fault, MemoryError::NoObject);
        }
        self.release_if_unused(object_id);
    }

    /// Takes the object's windows out of the table. Those that nothing uses are
    /// freed; the others are freed when what uses them ends.
    fn remove_windows(&mut self, id: ContextId, object: ObjectId, first: PageNumber, pages: u64) {
        let end = first.0 + pages;
        let mut page = first;
        loop {
            let Some((found, slot)) = self
                .contexts
                .get(&id)
                .and_then(|context| context.table.next_mapped(page, end))
            else {
                return;
            };
            let window = self.windows[slot.0 as usize];
            self.detach(slot);
            match window.state {
                WindowState::Live | WindowState::Revoking if window.pins == 0 => {
                    self.free_window(slot);
                }
                WindowState::Filling | WindowState::WritingHome => {
                    if window.state == WindowState::WritingHome
                        && let Some(context) = self.contexts.get_mut(&id)
                    {
                        // The copy puts data there that must be scrubbed.
                        context
                            .table
                            .set_home_valid(window.first_page, window.pages().0.into());
                    }
                    self.windows[slot.0 as usize].orphan = true;
                    if let Some(object) = self.objects.get_mut(&object.0) {
                        object.users += 1;
                    }
                }
                _ => self.windows[slot.0 as usize].orphan = true,
            }
            page = PageNumber(
                found
                    .0
                    .max(window.first_page.0 + u64::from(window.pages().0)),
            );
        }
    }

    /// One user of the object is gone.
    pub(super) fn drop_user(&mut self, object: ObjectId) {
        let Some(found) = self.objects.get_mut(&object.0) else {
            return;
        };
        found.users = found.users.saturating_sub(1);
        if found.users == 0 && !self.relocations.is_empty() {
            self.end_relocations(object);
        }
        self.release_if_unused(object);
    }

    fn release_if_unused(&mut self, id: ObjectId) {
        let unused = self
            .objects
            .get(&id.0)
            .is_some_and(|object| object.users == 0 && object.destroyed.is_some());
        if !unused {
            return;
        }
        let Some(freed) = self
            .objects
            .remove(&id.0)
            .and_then(|object| object.destroyed)
        else {
            return;
        };
        self.give_back(freed);
    }

    pub(super) fn give_back(&mut self, freed: Freed) {
        for run in freed.clean {
            self.home.release(run);
        }
        for run in freed.scrub {
            self.scrub(run);
        }
    }

    /// Frees frames once they read as zero.
    pub(super) fn scrub(&mut self, run: HomeRun) {
        self.scrubbing += u64::from(run.count.0);
        self.actions.push_back(Action::Scrub(run));
    }

    /// The moves between a window's frames and its home.
    pub(super) fn pieces(&self, window: WindowRef, fill: bool) -> Vec<Piece> {
        let Some(found) = self.window(window) else {
            return Vec::new();
        };
        let (Some(context), Some(object)) = (
            self.contexts.get(&found.context),
            self.objects.get(&found.object.0),
        ) else {
            return Vec::new();
        };
        if object.home.is_empty() {
            return Vec::new();
        }
        let visible = crate::window::frame_of(window.slot).offset();
        let mut pieces = Vec::with_capacity(1);
        let mut home_piece = |page: PageNumber, count: u64, valid: bool| {
            let into = page.0 - found.first_page.0;
            if fill && !valid {
                pieces.push(Piece {
                    home: None,
                    visible: PhysicalOffset(visible.0 + (into << PAGE_SHIFT)),
                    bytes: count << PAGE_SHIFT,
                });
                return;
            }
            object.visit_home(page, count, |done, offset, pages| {
                pieces.push(Piece {
                    home: Some(offset),
                    visible: PhysicalOffset(visible.0 + ((into + done) << PAGE_SHIFT)),
                    bytes: pages << PAGE_SHIFT,
                });
            });
        };
        let pages = u64::from(found.pages().0);
        if fill {
            context.table.home_runs(found.first_page, pages, home_piece);
        } else {
            home_piece(found.first_page, pages, true);
        }
        pieces
    }
}
