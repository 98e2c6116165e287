// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapping: demand faults, faults that wait, and fills.

use super::{
    Action, FillPriority, MAX_WAITING_FAULTS, MAX_WINDOW_ORDER, Manager, MemoryError, Pattern,
    WaitingFault,
};
use crate::{
    ContextId, DeviceAddress, Frame, Nanos, PageNumber, Replacement, Slot, WindowRef, WindowState,
};

/// How many times smaller than asked for a demand window may be, as a power of
/// two, rather than to wait for an eviction.
const ACCEPTED_SHRINK: u8 = 2;

/// What comes of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAnswer {
    /// The window was published before.
    Live(WindowRef),
    /// A window will be published, or the fault will be failed.
    Coming,
}

/// What came of trying to serve a fault.
enum Served {
    /// A window is there or on its way.
    Yes,
    /// There are no frames.
    NoFrames,
    /// The page has to settle first.
    NotYet,
    /// The fault cannot be served.
    Never(MemoryError),
}

impl<R: Replacement> Manager<R> {
    /// A program touched a page that has no window.
    ///
    /// # Errors
    /// [`MemoryError::NoContext`], [`MemoryError::ContextFailed`],
    /// [`MemoryError::NoObject`], [`MemoryError::Busy`].
    pub fn fault(
        &mut self,
        id: ContextId,
        address: DeviceAddress,
        now: Nanos,
    ) -> Result<FaultAnswer, MemoryError> {
        self.fault_on(id, address, false, now)
    }

    /// The same for a program whose driver knows of windows that nobody asked for: all
    /// pages of the object become visible that a demand window of full size would hold.
    /// At the end of an object, and where free frames lie apart, those are several.
    ///
    /// # Errors
    /// As [`Manager::fault`].
    pub fn fault_whole(
        &mut self,
        id: ContextId,
        address: DeviceAddress,
        now: Nanos,
    ) -> Result<FaultAnswer, MemoryError> {
        self.fault_on(id, address, true, now)
    }

    fn fault_on(
        &mut self,
        id: ContextId,
        address: DeviceAddress,
        whole: bool,
        now: Nanos,
    ) -> Result<FaultAnswer, MemoryError> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        if context.failed {
            return Err(MemoryError::ContextFailed);
        }
        let page = address.page();
        self.object_at(context, page).ok_or(MemoryError::NoObject)?;
        if let Some(slot) = context.table.slot(page) {
            let window = &mut self.windows[slot.0 as usize];
            match window.state {
                WindowState::Live => {
                    let window = WindowRef {
                        slot,
                        generation: window.generation,
                    };
                    self.touch(window, now);
                    return Ok(FaultAnswer::Live(window));
                }
                WindowState::Filling => {
                    window.demand = true;
                    self.counters.late += u64::from(window.ahead);
                    self.count_fault(id);
                    self.mark_used(slot);
                    return Ok(FaultAnswer::Coming);
                }
                _ => {}
            }
        }
        let known = self
            .waiting
            .iter()
            .any(|fault| fault.context == id && fault.page == page);
        if !known {
            if context.waiting_faults >= MAX_WAITING_FAULTS {
                return Err(MemoryError::Busy);
            }
            self.count_fault(id);
            if let Some(context) = self.contexts.get_mut(&id) {
                context.waiting_faults += 1;
            }
            self.waiting.push_back(WaitingFault {
                context: id,
                page,
                whole,
                since: now,
            });
        }
        self.serve_waiting(now);
        Ok(FaultAnswer::Coming)
    }

    /// The frames of the window hold its data.
    pub fn filled(&mut self, window: WindowRef, now: Nanos) {
        let lease = self.config.lease;
        let Some(found) = self.windows.get_mut(window.slot.0 as usize) else {
            return;
        };
        if found.generation != window.generation || found.state != WindowState::Filling {
            return;
        }
        if found.orphan {
            let object = found.object;
            self.free_window(window.slot);
            self.drop_user(object);
            self.serve_waiting(now);
            return;
        }
        found.state = WindowState::Live;
        let demand = found.demand;
        if demand {
            found.lease_until = now + lease;
            self.counters.fault_time += now - found.asked_at;
        }
        self.counters.maps += 1;
        self.replacement.mapped(window.slot, demand, now);
        if let Some(report) = self.report(window.slot) {
            self.actions.push_back(Action::Publish(report));
        }
        // Other faults may have waited for this window.
        self.serve_waiting(now);
    }

    /// Whether demand faults wait for frames.
    pub fn faults_wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Serves faults in order, as far as frames go.
    pub(super) fn serve_waiting(&mut self, now: Nanos) {
        let mut index = 0;
        while let Some(&fault) = self.waiting.get(index) {
            match self.serve(fault, now) {
                Served::Yes => {
                    self.waiting.remove(index);
                    self.stop_waiting(fault.context);
                }
                Served::Never(error) => {
                    self.waiting.remove(index);
                    self.stop_waiting(fault.context);
                    self.fail_fault(fault, error);
                }
                Served::NotYet => index += 1,
                // Those behind it are not served before it.
                Served::NoFrames => {
                    let wanted = self.config.demand_window.0 * (self.waiting.len() - index) as u32;
                    self.evict_for(wanted, now);
                    break;
                }
            }
        }
        if self.waiting.is_empty() {
            self.refill_reserve(now);
            self.serve_wishes(now);
        }
    }

    fn serve(&mut self, fault: WaitingFault, now: Nanos) -> Served {
        let Some(context) = self.contexts.get(&fault.context) else {
            return Served::Never(MemoryError::NoContext);
        };
        if context.failed {
            return Served::Never(MemoryError::ContextFailed);
        }
        if let Some(slot) = context.table.slot(fault.page) {
            let window = &mut self.windows[slot.0 as usize];
            return match window.state {
                WindowState::Live => Served::Yes,
                WindowState::Filling => {
                    window.demand = true;
                    self.mark_used(slot);
                    Served::Yes
                }
                _ => Served::NotYet,
            };
        }
        let Some(order) = self.demand_order(fault) else {
            return Served::Never(MemoryError::NoObject);
        };
        let first = aligned(fault.page, order);
        if self.written_in_flight(fault.context, first, 1 << order) {
            return Served::NotYet;
        }
        let Some((frame, order)) = self.take_frames(order, now) else {
            return Served::NoFrames;
        };
        let first = aligned(fault.page, order);
        match self.start_fill(
            fault.context,
            first,
            order,
            frame,
            FillPriority::Demand,
            fault.since,
        ) {
            Some(_) => {
                if fault.whole {
                    self.complete(fault.context, fault.page, now);
                }
                // The next fault should find frames too.
                self.refill_reserve(now);
                self.follow_sequence(fault.context, fault.page, first.0 + (1 << order), now);
                Served::Yes
            }
            None => Served::Never(MemoryError::NoObject),
        }
    }

    /// The largest window up to the demand size around the page that lies in its
    /// object and overlaps no other window.
    fn demand_order(&self, fault: WaitingFault) -> Option<u8> {
        let context = self.contexts.get(&fault.context)?;
        let object = self.object_at(context, fault.page)?;
        let end = object.first_page.0 + object.pages;
        let largest = match context.patterns.get(fault.page.0) {
            Some(Pattern::Random) => 0,
            _ => self.config.demand_window.0.ilog2() as u8,
        };
        (0..=largest).rev().find(|&order| {
            let first = aligned(fault.page, order);
            first.0 >= object.first_page.0
                && first.0 + (1 << order) <= end
                && context.table.is_unmapped(first, 1 << order)
        })
    }

    /// Frames for a demand window: of the order asked for, or a little less.
    /// Smaller pieces are taken only when evicting brings nothing better.
    fn take_frames(&mut self, order: u8, now: Nanos) -> Option<(Frame, u8)> {
        let available = self.visible.largest_order()?.min(order);
        if available + ACCEPTED_SHRINK < order && (self.coming > 0 || self.evict(1 << order, now)) {
            return None;
        }
        self.visible
            .allocate(available)
            .map(|frame| (frame, available))
    }

    /// Fills what of a demand window's place it does not hold, as far as there are free
    /// frames, those of the reserve included: the program is about to use it.
    fn complete(&mut self, id: ContextId, page: PageNumber, now: Nanos) {
        let object = self
            .contexts
            .get(&id)
            .and_then(|context| self.object_at(context, page));
        let Some(object) = object else { return };
        if self.pattern(id, page) == Some(Pattern::Random) {
            return;
        }
        let full = u64::from(self.config.demand_window.0);
        let start = page.0 - page.0 % full;
        let end = (start + full).min(object.first_page.0 + object.pages);
        let mut at = start.max(object.first_page.0);
        while let Ok(Some((first, run_end))) = self.next_unmapped_run(id, at, end) {
            let Some(free) = self.visible.largest_order() else {
                break;
            };
            let order = largest_block(first, run_end).min(free);
            at = first + (1 << order);
            if self.written_in_flight(id, PageNumber(first), 1 << order) {
                continue;
            }
            if self.within_quota(id, 1 << order).is_err() {
                break;
            }
            let Some(frame) = self.visible.allocate(order) else {
                break;
            };
            self.start_fill(
                id,
                PageNumber(first),
                order,
                frame,
                FillPriority::Ahead,
                now,
            );
        }
    }

    pub(super) fn start_fill(
        &mut self,
        id: ContextId,
        first: PageNumber,
        order: u8,
        frame: Frame,
        priority: FillPriority,
        asked_at: Nanos,
    ) -> Option<WindowRef> {
        let kept = self.is_pinned(id, first.0, first.0 + (1 << order));
        self.spoil_relocations(id, first, 1 << order);
        let context = self.contexts.get_mut(&id)?;
        let (_, &object) = context.objects.range(..=first.0).next_back()?;
        let slot = Slot(frame.0);
        let ahead = priority == FillPriority::Ahead;
        context.table.set_slot(first, 1 << order, Some(slot));
        context.windows += 1;
        context.window_frames += 1 << order;
        if ahead {
            context.speculative_frames += 1 << order;
            self.counters.speculative_frames += 1 << order;
            self.counters.maps_ahead += 1;
        }
        self.counters.windows += 1;
        self.counters.window_frames += 1 << order;
        let window = &mut self.windows[slot.0 as usize];
        window.generation = window.generation.wrapping_add(1);
        window.state = WindowState::Filling;
        window.order = order;
        window.dirty = false;
        window.demand = !ahead;
        window.ahead = ahead;
        window.used = !ahead;
        window.watched = false;
        window.orphan = false;
        window.kept = kept;
        window.context = id;
        window.object = object;
        window.first_page = first;
        window.pins = 0;
        window.lease_until = Nanos(0);
        window.asked_at = asked_at;
        window.asked_after = self.counters.came_to_use;
        if !ahead {
            self.counters.came_to_use += u64::from(window.pages().0);
        }
        let bytes = window.pages().bytes();
        let window = WindowRef {
            slot,
            generation: window.generation,
        };
        let pieces = self.pieces(window, true);
        for piece in &pieces {
            if piece.home.is_some() {
                self.counters.filled_bytes += piece.bytes;
            } else {
                self.counters.zeroed_bytes += piece.bytes;
            }
        }
        self.actions.push_back(Action::Fill {
            window,
            priority,
            pieces,
            bytes,
        });
        Some(window)
    }

    pub(super) fn fail_fault(&mut self, fault: WaitingFault, error: MemoryError) {
        self.actions.push_back(Action::FaultFailed {
            context: fault.context,
            page: fault.page,
            error,
        });
    }

    pub(super) fn stop_waiting(&mut self, id: ContextId) {
        if let Some(context) = self.contexts.get_mut(&id) {
            context.waiting_faults = context.waiting_faults.saturating_sub(1);
        }
    }

    fn count_fault(&mut self, id: ContextId) {
        self.counters.faults += 1;
        if let Some(context) = self.contexts.get_mut(&id) {
            context.faults += 1;
        }
    }
}

/// log2 of the pages of the largest aligned block that starts at a page and ends before
/// another.
pub(super) fn largest_block(first: u64, end: u64) -> u8 {
    (first.trailing_zeros() as u8)
        .min((end - first).ilog2() as u8)
        .min(MAX_WINDOW_ORDER)
}

fn aligned(page: PageNumber, order: u8) -> PageNumber {
    PageNumber(page.0 & !((1 << order) - 1))
}
