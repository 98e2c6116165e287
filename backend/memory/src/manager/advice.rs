// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs say of their memory before they use it.
//!
//! Advice changes which windows are there and how large they are, never what
//! an access finds. All that can be asked for is bounded: pieces of ranges and
//! wishes per context, and the visible frames that pins keep.

use super::{Manager, MemoryError, touched_pages};
use crate::{ContextId, DeviceAddress, Nanos, PageNumber, Replacement, WindowState};

/// Pieces of advised ranges that a context may have.
const MAX_PIECES: usize = 256;
/// Ranges that wait to be mapped for a context, at most.
const MAX_WISHES: usize = 64;
/// All pins together keep at most this part of the aperture, those of one
/// context half of it.
const PINNED_PART: u64 = 4;
/// Demand windows that are mapped behind a fault in a sequential range.
const SEQUENTIAL_WINDOWS: u64 = 8;

/// What a program says of a range of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: forgets SEQUENTIAL and RANDOM.
    Normal,
    /// It is used soon: map it ahead, as far as there is room.
    WillNeed,
    /// It is used in ascending order: a fault maps more behind itself.
    Sequential,
    /// It is used in no order: a fault maps one page, and nothing is predicted.
    Random,
    /// Windows that lie in it are not taken back.
    Pin,
    /// They may be taken back again.
    Unpin,
}

/// In which order a range is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Sequential,
    Random,
}

/// Pages that are to be mapped as soon as there are frames for them.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub context: ContextId,
    first: u64,
    end: u64,
}

impl<R: Replacement> Manager<R> {
    /// Takes advice for a range that lies in one object.
    ///
    /// # Errors
    /// [`MemoryError::NoObject`] for other ranges, [`MemoryError::NoMemory`] when a
    /// pin would keep more of the aperture than pins may or the context has given
    /// too much advice, [`MemoryError::NoContext`], [`MemoryError::ContextFailed`].
    pub fn advise(
        &mut self,
        id: ContextId,
        address: DeviceAddress,
        bytes: u64,
        advice: Advice,
        now: Nanos,
    ) -> Result<(), MemoryError> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        if context.failed {
            return Err(MemoryError::ContextFailed);
        }
        let (first, pages) = touched_pages(address, bytes).ok_or(MemoryError::NoObject)?;
        let object = self
            .object_at(context, first)
            .ok_or(MemoryError::NoObject)?;
        let object_end = object.first_page.0 + object.pages;
        let (first, end) = (first.0, first.0 + pages);
        if end > object_end {
            return Err(MemoryError::NoObject);
        }
        // Demand windows are kept whole.
        let unit = u64::from(self.config.demand_window.0);
        let kept_first = (first / unit * unit).max(object.first_page.0);
        let kept_end = end.div_ceil(unit).saturating_mul(unit).min(object_end);
        match advice {
            Advice::Normal => self.set_pattern(id, first, end, None),
            Advice::Sequential => self.set_pattern(id, first, end, Some(Pattern::Sequential)),
            Advice::Random => self.set_pattern(id, first, end, Some(Pattern::Random)),
            Advice::WillNeed => {
                self.wish(id, first, end, now);
                Ok(())
            }
            Advice::Pin => {
                self.set_pinned(id, kept_first, kept_end, true, now)?;
                self.wish(id, kept_first, kept_end, now);
                Ok(())
            }
            Advice::Unpin => self.set_pinned(id, kept_first, kept_end, false, now),
        }
    }

    /// Visible frames that pins may keep: all of them, and those of a context.
    fn pinned_limits(&self) -> (u64, u64) {
        let all = u64::from(self.config.aperture.0) / PINNED_PART;
        (all, all / 2)
    }

    fn set_pattern(
        &mut self,
        id: ContextId,
        first: u64,
        end: u64,
        pattern: Option<Pattern>,
    ) -> Result<(), MemoryError> {
        let context = self.contexts.get_mut(&id).ok_or(MemoryError::NoContext)?;
        if context.patterns.len() + 2 > MAX_PIECES {
            return Err(MemoryError::NoMemory);
        }
        context.patterns.set(first, end, pattern);
        Ok(())
    }

    fn set_pinned(
        &mut self,
        id: ContextId,
        first: u64,
        end: u64,
        keep: bool,
        now: Nanos,
    ) -> Result<(), MemoryError> {
        let (all, own) = self.pinned_limits();
        let context = self.contexts.get_mut(&id).ok_or(MemoryError::NoContext)?;
        let mut pinned = context.pinned.clone();
        pinned.set(first, end, keep.then_some(()));
        let (before, after) = (context.pinned.pages(), pinned.pages());
        let others = self.pinned_frames - before;
        if keep && (pinned.len() > MAX_PIECES || after > own || others + after > all) {
            return Err(MemoryError::NoMemory);
        }
        context.pinned = pinned;
        self.pinned_frames = others + after;
        self.settle_pins(id, first, end, keep, now);
        Ok(())
    }

    /// Marks the windows that are there. One that reaches out of the pinned range
    /// would keep more than was asked for: it is taken back, and comes smaller.
    fn settle_pins(&mut self, id: ContextId, first: u64, end: u64, keep: bool, now: Nanos) {
        let mut page = first;
        while let Some((found, slot)) = self
            .contexts
            .get(&id)
            .and_then(|context| context.table.next_mapped(PageNumber(page), end))
        {
            let window = &self.windows[slot.0 as usize];
            let window_first = window.first_page.0;
            let window_end = window_first + u64::from(window.pages().0);
            let inside = self.is_pinned(id, window_first, window_end);
            let window = &mut self.windows[slot.0 as usize];
            window.kept = inside;
            if keep && !inside && window.state == WindowState::Live && window.pins == 0 {
                self.start_revoke(slot, now);
            }
            page = window_end.max(found.0 + 1);
        }
    }

    /// Whether a window of these pages is not taken back.
    pub(super) fn is_pinned(&self, id: ContextId, first: u64, end: u64) -> bool {
        self.contexts
            .get(&id)
            .is_some_and(|context| context.pinned.covers(first, end))
    }

    /// In which order the context says that it uses a page.
    pub(super) fn pattern(&self, id: ContextId, page: PageNumber) -> Option<Pattern> {
        self.contexts.get(&id)?.patterns.get(page.0)
    }

    /// A demand fault was served by a window that ends before `end`.
    pub(super) fn follow_sequence(
        &mut self,
        id: ContextId,
        page: PageNumber,
        end: u64,
        now: Nanos,
    ) {
        if self.pattern(id, page) == Some(Pattern::Sequential) {
            let pages = SEQUENTIAL_WINDOWS * u64::from(self.config.demand_window.0);
            self.wish(id, end, end.saturating_add(pages), now);
        }
    }

    fn wish(&mut self, context: ContextId, first: u64, end: u64, now: Nanos) {
        let own = self.wishes.iter().filter(|wish| wish.context == context);
        if own.count() < MAX_WISHES {
            self.wishes.push_back(Wish {
                context,
                first,
                end,
            });
            self.serve_wishes(now);
        }
    }

    /// Maps what was wished for, as far as there are frames; demand comes first.
    pub(super) fn serve_wishes(&mut self, now: Nanos) {
        let mut index = 0;
        while self.waiting.is_empty()
            && let Some(&wish) = self.wishes.get(index)
        {
            let (first, pages) = (PageNumber(wish.first), wish.end - wish.first);
            let mapped = self.map_span(wish.context, first, pages, u8::MAX, false, now);
            // What is left waits for frames that are coming, or is dropped.
            let left = match mapped {
                Ok(mapped) => mapped.left,
                Err(_) => None,
            };
            match left {
                Some((page, super::Refused::NoFrames)) => {
                    let missing = (wish.end - page.0).min(u64::from(self.config.aperture.0 / 8));
                    if !self.make_room_ahead(wish.context, missing as u32, now) {
                        self.wishes.remove(index);
                        continue;
                    }
                    self.wishes[index].first = page.0;
                    index += 1;
                }
                _ => {
                    self.wishes.remove(index);
                }
            }
        }
    }

    /// The pages are no object's any more.
    pub(super) fn forget_advice(&mut self, id: ContextId, first: u64, end: u64) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        context.patterns.set(first, end, None);
        let before = context.pinned.pages();
        context.pinned.set(first, end, None);
        self.pinned_frames -= before - context.pinned.pages();
        self.wishes
            .retain(|wish| wish.context != id || wish.end <= first || wish.first >= end);
    }
}
