// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapping ahead of use: windows that nobody has asked for yet, within bounds
//! that keep a wrong prediction cheap.
//!
//! The frames of windows that were mapped ahead and not used yet are limited in
//! all and per context; the reserve of demand faults is not touched; and a
//! prediction takes frames from another context only while that one holds more
//! than its share.

use thiserror::Error;

use super::advice::Pattern;
use super::fault::largest_block;
use super::{FillPriority, GUARANTEED_WINDOWS, MAX_WINDOW_ORDER, Manager, MemoryError};
use crate::{ContextId, Nanos, PageNumber, Replacement, Slot, WindowRef, WindowState};

/// Why a region was not mapped ahead.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// The context or address does not exist, or the context has failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A page of the region has a window already.
    #[error("a page of the region has a window")]
    Mapped,
    /// A command in flight writes there.
    #[error("a command in flight writes the region")]
    InUse,
    /// No visible frames of that size are free.
    #[error("no visible frames are free")]
    NoFrames,
    /// As much as may be is mapped ahead and not used yet.
    #[error("too much is mapped ahead and not used yet")]
    Quota,
    /// The region is not a power of two of pages, up to 2 MiB, aligned to its size.
    #[error("the region is not an aligned power of two")]
    BadSize,
}

/// What became of a span that was to be mapped ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Windows whose fill was started.
    pub windows: u32,
    /// Their frames.
    pub frames: u32,
    /// The first page that was left, and why; `None` when nothing was.
    pub left: Option<(PageNumber, Refused)>,
}

impl<R: Replacement> Manager<R> {
    /// Maps `2^order` pages before anything touches them, for owners that keep
    /// the bounds themselves.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn map_ahead(
        &mut self,
        id: ContextId,
        first: PageNumber,
        order: u8,
        now: Nanos,
    ) -> Result<WindowRef, Refused> {
        let pages = 1u64 << order.min(MAX_WINDOW_ORDER);
        if order > MAX_WINDOW_ORDER || !first.0.is_multiple_of(pages) {
            return Err(Refused::BadSize);
        }
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        if context.failed {
            return Err(MemoryError::ContextFailed.into());
        }
        let object = self
            .object_at(context, first)
            .ok_or(MemoryError::NoObject)?;
        if first.0 + pages > object.first_page.0 + object.pages {
            return Err(MemoryError::NoObject.into());
        }
        if !context.table.is_unmapped(first, pages) {
            return Err(Refused::Mapped);
        }
        if self.written_in_flight(id, first, pages) {
            return Err(Refused::InUse);
        }
        let frame = self.visible.allocate(order).ok_or(Refused::NoFrames)?;
        self.start_fill(id, first, order, frame, FillPriority::Ahead, now)
            .ok_or(Refused::Memory(MemoryError::NoObject))
    }

    /// Maps what is not mapped of `pages` pages from `first` on, in windows as
    /// large as alignment, object and free frames allow and of at most
    /// `2^largest` pages. Pages outside objects and pages that a command in
    /// flight writes are left out.
    ///
    /// # Errors
    /// [`Refused::Memory`] when the context does not exist or has failed.
    pub fn map_span_ahead(
        &mut self,
        id: ContextId,
        first: PageNumber,
        pages: u64,
        largest: u8,
        now: Nanos,
    ) -> Result<Mapped, Refused> {
        self.map_span(id, first, pages, largest, true, now)
    }

    /// The same; `predicted` ones leave out what is used in random order.
    pub(super) fn map_span(
        &mut self,
        id: ContextId,
        first: PageNumber,
        pages: u64,
        largest: u8,
        predicted: bool,
        now: Nanos,
    ) -> Result<Mapped, Refused> {
        let mut mapped = Mapped {
            windows: 0,
            frames: 0,
            left: None,
        };
        let end = first.0.saturating_add(pages);
        let mut page = first.0;
        while let Some((start, run_end)) = self.next_unmapped_run(id, page, end)? {
            let (pattern, run_end) = match self.contexts.get(&id) {
                Some(context) if predicted => (
                    context.patterns.get(start),
                    run_end.min(context.patterns.next_change(start)),
                ),
                _ => (None, run_end),
            };
            if pattern == Some(Pattern::Random) {
                page = run_end;
                continue;
            }
            let order = largest_block(start, run_end).min(largest);
            let at = PageNumber(start);
            match self.map_block_ahead(id, at, order, now) {
                Ok(taken) => {
                    mapped.windows += 1;
                    mapped.frames += 1 << taken;
                    page = start + (1 << taken);
                }
                Err(Refused::InUse) => page = start + (1 << order),
                Err(reason) => {
                    mapped.left = Some((at, reason));
                    break;
                }
            }
        }
        Ok(mapped)
    }

    /// Starts to free frames for a prediction of `frames`, as far as it may take
    /// them. Answers whether frames are coming.
    pub fn make_room_ahead(&mut self, id: ContextId, frames: u32, now: Nanos) -> bool {
        let mut wanted = self.config.reserve.0 + frames;
        let mut have = self.visible.free_frames().0 + self.coming;
        let share = self.share();
        // A demand fault wants its frames in one piece: where free ones lie apart, as many
        // are freed besides, which is one window or brings neighbours together.
        if self.coming == 0 && !self.has_demand_run() {
            wanted = wanted.max(have + self.config.demand_window.0);
        }
        while have < wanted {
            let Some(slot) = self.victim_for_prediction(id, share, now) else {
                break;
            };
            have += self.windows[slot.0 as usize].pages().0;
            self.start_revoke(slot, now);
        }
        self.coming > 0
    }

    /// Starts to take back windows that were mapped ahead for the context and not
    /// used for long, the least recent first, until their frames are `frames`.
    /// Answers whether any was found.
    pub fn give_up_unused(&mut self, id: ContextId, frames: u32, now: Nanos) -> bool {
        let settled = self.settled();
        let mut found = 0;
        while found < frames {
            let Manager {
                replacement,
                windows,
                ..
            } = self;
            let Some(slot) = replacement.victim(&mut |slot| {
                let window = &windows[slot.0 as usize];
                window.state == WindowState::Live
                    && window.pins == 0
                    && !window.kept
                    && window.context == id
                    && window.ahead
                    && !window.used
                    && Some(window.asked_after) <= settled
            }) else {
                break;
            };
            found += self.windows[slot.0 as usize].pages().0;
            self.start_revoke(slot, now);
        }
        found > 0
    }

    /// Whether all pages of objects among `pages` pages from `first` on have windows.
    pub fn is_visible(&self, id: ContextId, first: PageNumber, pages: u64) -> bool {
        let run = self.next_unmapped_run(id, first.0, first.0.saturating_add(pages));
        matches!(run, Ok(None))
    }

    /// The first run of pages at or behind `page` and before `end` that lies in
    /// one object and has no window.
    pub(super) fn next_unmapped_run(
        &self,
        id: ContextId,
        mut page: u64,
        end: u64,
    ) -> Result<Option<(u64, u64)>, Refused> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        if context.failed {
            return Err(MemoryError::ContextFailed.into());
        }
        while page < end {
            let Some(object) = self.object_at(context, PageNumber(page)) else {
                let next = context.objects.range(page..).next();
                match next {
                    Some((&start, _)) if start < end => page = start,
                    _ => return Ok(None),
                }
                continue;
            };
            let stop = end.min(object.first_page.0 + object.pages);
            match context.table.next_mapped(PageNumber(page), stop) {
                Some((mapped, slot)) if mapped.0 == page => {
                    let window = &self.windows[slot.0 as usize];
                    page = (window.first_page.0 + u64::from(window.pages().0)).max(page + 1);
                }
                Some((mapped, _)) => return Ok(Some((page, mapped.0))),
                None => return Ok(Some((page, stop))),
            }
        }
        Ok(None)
    }

    /// Maps an unmapped block within an object; a smaller one at the same start
    /// when there is no free run of frames of that size. Answers the order.
    fn map_block_ahead(
        &mut self,
        id: ContextId,
        first: PageNumber,
        order: u8,
        now: Nanos,
    ) -> Result<u8, Refused> {
        if self.written_in_flight(id, first, 1 << order) {
            return Err(Refused::InUse);
        }
        let largest = self.visible.largest_order().ok_or(Refused::NoFrames)?;
        let order = order.min(largest);
        self.within_quota(id, 1 << order)?;
        if self.visible.free_frames().0 < self.config.reserve.0 + (1 << order) {
            return Err(Refused::NoFrames);
        }
        let frame = self.visible.allocate(order).ok_or(Refused::NoFrames)?;
        if !self.has_demand_run() {
            self.visible.release(frame, order);
            return Err(Refused::NoFrames);
        }
        self.start_fill(id, first, order, frame, FillPriority::Ahead, now)
            .map(|_| order)
            .ok_or(Refused::Memory(MemoryError::NoObject))
    }

    /// What was mapped ahead when no more frames had come to use than these, and is not
    /// used yet, has had its time. `None` is less than any.
    fn settled(&self) -> Option<u64> {
        let probation = u64::from(self.config.probation.0);
        self.counters.came_to_use.checked_sub(probation)
    }

    /// Whether what is free has as large a piece as a demand fault finds in the reserve.
    fn has_demand_run(&self) -> bool {
        let kept = self.config.reserve.min(self.config.demand_window);
        let order = kept.0.checked_ilog2().map(|order| order as u8);
        self.visible.largest_order() >= order
    }

    /// Whether the context may have `frames` more that are mapped ahead and not
    /// used yet.
    pub(super) fn within_quota(&self, id: ContextId, frames: u32) -> Result<(), Refused> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        let sharing = self.contexts_with_windows().max(1);
        let all = self.counters.speculative_frames + u64::from(frames);
        if all > u64::from(self.config.speculative.0)
            || context.speculative_frames + frames > (self.config.speculative.0 / sharing).max(1)
        {
            return Err(Refused::Quota);
        }
        Ok(())
    }

    /// Visible frames of each context if those that have any had as many.
    fn share(&self) -> u32 {
        (self.config.aperture.0 - self.config.header.0) / self.contexts_with_windows().max(1)
    }

    fn contexts_with_windows(&self) -> u32 {
        let holding = |context: &&super::Context| context.windows > 0;
        self.contexts.values().filter(holding).count() as u32
    }

    fn victim_for_prediction(&mut self, id: ContextId, share: u32, now: Nanos) -> Option<Slot> {
        let guaranteed = GUARANTEED_WINDOWS * self.config.demand_window.0;
        let settled = self.settled();
        let Manager {
            replacement,
            windows,
            contexts,
            ..
        } = self;
        replacement.victim(&mut |slot| {
            let window = &windows[slot.0 as usize];
            let holds = contexts
                .get(&window.context)
                .map_or(0, |context| context.window_frames);
            window.state == WindowState::Live
                && window.pins == 0
                && !window.kept
                && window.lease_until <= now
                && (!window.ahead || window.used || Some(window.asked_after) <= settled)
                && if window.context == id {
                    holds > guaranteed
                } else {
                    holds > guaranteed.max(share)
                }
        })
    }

    /// The window was used. Answers whether that is the first known use of a
    /// window that was mapped ahead.
    pub(super) fn mark_used(&mut self, slot: Slot) -> bool {
        let window = &mut self.windows[slot.0 as usize];
        if !window.ahead || window.used || window.orphan || window.state == WindowState::Free {
            return false;
        }
        window.used = true;
        let (id, frames) = (window.context, window.pages().0);
        self.counters.ahead_used += 1;
        self.counters.came_to_use += u64::from(frames);
        self.leave_speculation(id, frames);
        true
    }

    /// The window leaves the page table.
    pub(super) fn settle_speculation(&mut self, slot: Slot) {
        let window = &self.windows[slot.0 as usize];
        if window.ahead && !window.used {
            let (id, frames) = (window.context, window.pages().0);
            self.counters.ahead_unused += 1;
            self.leave_speculation(id, frames);
        }
    }

    fn leave_speculation(&mut self, id: ContextId, frames: u32) {
        self.counters.speculative_frames -= u64::from(frames);
        if let Some(context) = self.contexts.get_mut(&id) {
            context.speculative_frames -= frames;
        }
    }
}
