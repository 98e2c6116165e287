// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queue of events on their way to the driver: numbered, ordered, bounded.

use std::collections::VecDeque;

use augur_abi::{Event, EventKind, Status};
use augur_memory::{ContextId, MemoryError, Nanos, PageNumber, WindowReport};

use crate::status::status_of;

/// Events that wait for the driver's buffers.
pub(crate) struct EventQueue {
    waiting: VecDeque<Event>,
    limit: usize,
    next: u64,
    /// Times that events were dropped.
    pub resyncs: u32,
    /// Sequence number of the MAP event of each slot's window.
    published: Vec<u64>,
}

impl EventQueue {
    /// An empty queue for at most `limit` events of `slots` windows.
    pub fn new(limit: usize, slots: usize) -> Self {
        EventQueue {
            waiting: VecDeque::new(),
            limit,
            next: 1,
            resyncs: 0,
            published: vec![0; slots],
        }
    }

    /// Starts a driver life: nothing waits, numbers begin at 1.
    pub fn begin(&mut self) {
        self.waiting.clear();
        self.next = 1;
        self.published.fill(0);
    }

    /// Sequence number of the last event.
    pub fn last_sequence(&self) -> u64 {
        self.next - 1
    }

    /// Sequence number with which the slot's present window was published.
    pub fn published(&self, slot: augur_memory::Slot) -> u64 {
        self.published.get(slot.0 as usize).copied().unwrap_or(0)
    }

    /// Takes up to `limit` events.
    pub fn take(&mut self, limit: usize, out: &mut Vec<Event>) {
        let count = limit.min(self.waiting.len());
        out.extend(self.waiting.drain(..count));
    }

    /// Tells that a window is there.
    pub fn map(&mut self, window: &WindowReport, now: Nanos) {
        let flags = if window.demand {
            augur_abi::event::EVENT_DEMAND
        } else {
            0
        };
        if let Some(published) = self.published.get_mut(window.window.slot.0 as usize) {
            *published = self.next;
        }
        self.push(
            Event {
                flags,
                ..window_event(EventKind::Map, window)
            },
            now,
        );
    }

    /// Asks for a window back.
    pub fn revoke(&mut self, window: &WindowReport, now: Nanos) {
        self.push(window_event(EventKind::Revoke, window), now);
    }

    /// Asks to be told whether a window is used again.
    pub fn zap(&mut self, window: &WindowReport, now: Nanos) {
        self.push(window_event(EventKind::Zap, window), now);
    }

    /// Tells that a fault cannot be served.
    pub fn fault_failed(
        &mut self,
        context: ContextId,
        page: PageNumber,
        error: MemoryError,
        now: Nanos,
    ) {
        let event = Event {
            kind: EventKind::FaultFailed.code(),
            context: context.0,
            device_address: page.address().0,
            status: status_of(error).code(),
            ..Event::default()
        };
        self.push(event, now);
    }

    /// Tells that a context has failed.
    pub fn context_failed(&mut self, context: ContextId, status: Status, now: Nanos) {
        let event = Event {
            kind: EventKind::ContextFailed.code(),
            context: context.0,
            status: status.code(),
            ..Event::default()
        };
        self.push(event, now);
    }

    fn push(&mut self, event: Event, now: Nanos) {
        if self.waiting.len() >= self.limit {
            self.waiting.clear();
            self.resyncs = self.resyncs.wrapping_add(1);
            let resync = Event {
                kind: EventKind::Resync.code(),
                ..Event::default()
            };
            self.number(resync, now);
        }
        self.number(event, now);
    }

    fn number(&mut self, mut event: Event, now: Nanos) {
        event.sequence = self.next;
        event.time_ns = now.0;
        self.next += 1;
        self.waiting.push_back(event);
    }
}

fn window_event(kind: EventKind, window: &WindowReport) -> Event {
    Event {
        kind: kind.code(),
        context: window.context.0,
        slot: window.window.slot.0,
        generation: window.window.generation,
        device_address: window.address.0,
        aperture_offset: window.aperture.0,
        // Windows have at most 2 MiB.
        bytes: window.bytes as u32,
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_drops_what_waits_and_says_so_in_order() {
        let mut queue = EventQueue::new(4, 1);
        for context in 0..6 {
            queue.context_failed(ContextId(context), Status::DeviceError, Nanos(0));
        }
        let mut events = Vec::new();
        queue.take(10, &mut events);
        let told: Vec<(u64, u16, u32)> = events
            .iter()
            .map(|e| (e.sequence, e.kind, e.context))
            .collect();
        let failed = EventKind::ContextFailed.code();
        assert_eq!(
            told,
            [
                (5, EventKind::Resync.code(), 0),
                (6, failed, 4),
                (7, failed, 5)
            ]
        );
        assert_eq!(queue.resyncs, 1);
    }
}
