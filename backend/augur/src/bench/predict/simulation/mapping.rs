// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the manager asks for, and what the policy wants mapped ahead.

use augur_memory::{Action, ContextId, FillPriority, Frames, Nanos, PageNumber, WindowRef};

use super::{Observe, Probe, Simulation, SlotState};
use crate::bench::predict::link::{Direction, Transfer};

/// The number of a page that the trace does not touch.
const NO_NUMBER: u32 = u32::MAX;
/// Windows that are watched for one that leaves, at most; the card's figure.
const WATCH_AT_ONCE: usize = 2;
/// Pages that wait for a frame being written home, at most.
const MAX_POSTPONED: usize = 256;

impl<P: Probe> Simulation<'_, P> {
    /// Maps a page ahead, evicting for it. `needed` is the place of its next
    /// touch where it is known: nothing needed sooner is evicted then. Answers
    /// whether there was room.
    pub(super) fn prefetch(
        &mut self,
        context: ContextId,
        page: PageNumber,
        now: Nanos,
        needed: Option<u32>,
    ) -> bool {
        if self.manager.lookup(context, page).is_some() || self.trace_page(context, page).is_none()
        {
            return true;
        }
        if self.manager.free_visible().0 == 0 {
            let Self {
                manager,
                slots,
                policy,
                ..
            } = self;
            let victim = augur_memory::Replacement::victim(manager.replacement(), &mut |slot| {
                slots[slot.0 as usize].leased_until <= now
            });
            let Some(slot) = victim else { return false };
            let state = slots[slot.0 as usize];
            if needed.is_some_and(|place| policy.next_use(state.page) <= place) {
                return false;
            }
            let window = WindowRef {
                slot,
                generation: state.generation,
            };
            if !self.manager.unmap(window, now) {
                return false;
            }
            self.drain(now);
            if self.manager.free_visible().0 == 0 {
                // The victim was dirty.
                if self.postponed.len() >= MAX_POSTPONED {
                    self.postponed.pop_front();
                }
                self.postponed.push_back((context, page));
                return true;
            }
        }
        if self.manager.map_ahead(context, page, 0, now).is_ok() {
            self.outcome.speculated += 1;
            self.policy.mapped_ahead();
            self.drain(now);
        }
        true
    }

    /// What `clairvoyant` does after each touch.
    pub(super) fn prefetch_in_order_of_use(&mut self, now: Nanos) {
        while let Some((number, place)) = self.policy.next_to_prefetch() {
            let (context, page) = self.locate(self.workload.pages[number as usize]);
            if !self.prefetch(context, page, now, Some(place)) {
                return;
            }
            self.policy.prefetched(place);
        }
    }

    /// Watches windows next in turn to be evicted, as the card does when windows
    /// leave the aperture: the driver reports first touches, and these are more.
    fn watch(&mut self) {
        if self.observe == Observe::FirstTouch && self.policy.watches() {
            for report in self.manager.watch(WATCH_AT_ONCE) {
                self.slots[report.window.slot.0 as usize].watched = true;
            }
        }
    }

    /// Does what the manager asks for.
    pub(super) fn drain(&mut self, now: Nanos) {
        while let Some(action) = self.manager.next_action() {
            match action {
                Action::Fill {
                    window,
                    priority,
                    bytes,
                    ..
                } => {
                    let report = self.manager.report(window.slot);
                    let Some(report) = report else { continue };
                    let number = self
                        .trace_page(report.context, report.address.page())
                        .and_then(|page| self.numbers.get(&page).copied())
                        .unwrap_or(NO_NUMBER);
                    self.slots[window.slot.0 as usize] = SlotState {
                        generation: window.generation,
                        page: number,
                        ahead: priority == FillPriority::Ahead,
                        touched: priority == FillPriority::Demand,
                        dirty: false,
                        watched: false,
                        leased_until: Nanos(0),
                    };
                    self.policy
                        .retell(self.manager.replacement(), window.slot, number);
                    if let Some(&page) = self.workload.pages.get(number as usize) {
                        self.probe.mapped(now, page);
                    }
                    let transfer = Transfer {
                        window,
                        direction: Direction::Fill,
                        bytes,
                    };
                    let urgent = priority == FillPriority::Demand;
                    self.link.enqueue(transfer, urgent, now);
                }
                Action::WriteHome { window, bytes, .. } => {
                    let transfer = Transfer {
                        window,
                        direction: Direction::WriteHome,
                        bytes,
                    };
                    self.link.enqueue(transfer, self.demanding, now);
                }
                Action::Revoke(report) => {
                    let slot = &mut self.slots[report.window.slot.0 as usize];
                    let used = slot.touched;
                    if slot.ahead && !used {
                        self.outcome.wasted_bytes += Frames(1).bytes();
                    }
                    let (dirty, number) = (slot.dirty, slot.page);
                    slot.ahead = false;
                    if let Some(&page) = self.workload.pages.get(number as usize) {
                        self.probe.unmapped(now, page);
                    }
                    self.policy
                        .unmapped(report.context, report.address.page(), number, used);
                    self.manager.acknowledged(report.window, dirty, now);
                    self.watch();
                }
                Action::Publish(_)
                | Action::Scrub(_)
                | Action::Relocate { .. }
                | Action::FaultFailed { .. }
                | Action::ContextFailed(_)
                | Action::Gone(_) => {}
            }
        }
    }

    pub(super) fn finish_transfer(&mut self) {
        let Some((now, transfer)) = self.link.finish() else {
            return;
        };
        self.outcome.moved_bytes += transfer.bytes;
        match transfer.direction {
            Direction::Fill => self.filled(transfer.window, now),
            Direction::WriteHome => self.manager.written_home(transfer.window, now),
        }
        self.drain(now);
        while self.manager.free_visible().0 > 0
            && let Some((context, page)) = self.postponed.pop_front()
        {
            self.prefetch(context, page, now, None);
        }
    }

    fn filled(&mut self, window: WindowRef, now: Nanos) {
        if let Some(report) = self.manager.report(window.slot)
            && let Some(waiters) = self
                .waiters
                .remove(&(report.context, report.address.page()))
        {
            for waiter in waiters {
                let slot = &mut self.slots[window.slot.0 as usize];
                slot.leased_until = slot.leased_until.max(now + waiter.extra);
                slot.dirty |= waiter.write;
                self.resume(waiter.cursor, waiter.since, now + waiter.extra);
            }
        }
        self.manager.filled(window, now);
    }
}
