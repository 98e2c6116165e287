// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link between home and visible frames on the virtual clock.
//!
//! A transfer takes a latency and then its bytes at the link's bandwidth;
//! latencies overlap, bytes do not. A few transfers are in flight, the others
//! wait in two queues, those that a program waits for first. The link does
//! not know what it moves.

use std::collections::VecDeque;

use augur_memory::{Nanos, WindowRef};

/// What a move of data costs (docs: the card profile).
#[derive(Clone, Copy, Debug)]
pub struct LinkCost {
    /// Fixed part of a transfer.
    pub latency: Nanos,
    /// Bytes in a microsecond.
    pub bytes_per_us: u64,
    /// Transfers in flight at one time.
    pub in_flight: usize,
}

/// What a transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From home into the window.
    Fill,
    /// From the window home.
    WriteHome,
}

/// A move of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The window.
    pub window: WindowRef,
    /// Which way.
    pub direction: Direction,
    /// How much.
    pub bytes: u64,
}

/// The link.
pub struct Link {
    cost: LinkCost,
    /// Transfers under way with their ends, in order of start and therefore of end.
    active: VecDeque<(Nanos, Transfer)>,
    demand: VecDeque<Transfer>,
    ahead: VecDeque<Transfer>,
    /// When the last byte of those under way has passed.
    busy_until: Nanos,
}

impl Link {
    /// An idle link.
    pub fn new(cost: LinkCost) -> Self {
        Self {
            cost,
            active: VecDeque::new(),
            demand: VecDeque::new(),
            ahead: VecDeque::new(),
            busy_until: Nanos(0),
        }
    }

    /// Queues a transfer at `now`.
    pub fn enqueue(&mut self, transfer: Transfer, urgent: bool, now: Nanos) {
        if urgent {
            self.demand.push_back(transfer);
        } else {
            self.ahead.push_back(transfer);
        }
        self.start(now);
    }

    /// A program waits for `window` now.
    pub fn promote(&mut self, window: WindowRef) {
        if let Some(place) = self.ahead.iter().position(|t| t.window == window)
            && let Some(transfer) = self.ahead.remove(place)
        {
            self.demand.push_back(transfer);
        }
    }

    /// When the next transfer ends.
    pub fn next_end(&self) -> Option<Nanos> {
        self.active.front().map(|&(end, _)| end)
    }

    /// Takes the transfer that ended first and starts the next one.
    pub fn finish(&mut self) -> Option<(Nanos, Transfer)> {
        let (end, transfer) = self.active.pop_front()?;
        self.start(end);
        Some((end, transfer))
    }

    /// Transfers under way or waiting.
    pub fn transfers(&self) -> usize {
        self.active.len() + self.demand.len() + self.ahead.len()
    }

    fn start(&mut self, now: Nanos) {
        while self.active.len() < self.cost.in_flight {
            let Some(transfer) = self.demand.pop_front().or_else(|| self.ahead.pop_front()) else {
                return;
            };
            let first_byte = (now + self.cost.latency).max(self.busy_until);
            let moving = Nanos((transfer.bytes * 1000).div_ceil(self.cost.bytes_per_us));
            self.busy_until = first_byte + moving;
            self.active.push_back((self.busy_until, transfer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use augur_memory::Slot;

    const COST: LinkCost = LinkCost {
        latency: Nanos(2000),
        bytes_per_us: 12_000,
        in_flight: 4,
    };

    fn page(slot: u32) -> Transfer {
        Transfer {
            window: WindowRef {
                slot: Slot(slot),
                generation: 0,
            },
            direction: Direction::Fill,
            bytes: 4096,
        }
    }

    fn ends(link: &mut Link) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| link.finish())
            .map(|(end, transfer)| (end.0, transfer.window.slot.0))
            .collect()
    }

    #[test]
    fn latencies_overlap_and_bytes_do_not() {
        let mut link = Link::new(COST);
        for slot in 0..5 {
            link.enqueue(page(slot), false, Nanos(0));
        }
        assert_eq!(
            ends(&mut link),
            [(2342, 0), (2684, 1), (3026, 2), (3368, 3), (4684, 4)]
        );
    }

    #[test]
    fn what_a_program_waits_for_overtakes_what_was_predicted() {
        let mut link = Link::new(COST);
        for slot in 0..7 {
            link.enqueue(page(slot), false, Nanos(0));
        }
        link.promote(page(6).window);
        link.enqueue(page(9), true, Nanos(0));
        let order: Vec<u32> = ends(&mut link).into_iter().map(|(_, slot)| slot).collect();
        assert_eq!(order, [0, 1, 2, 3, 6, 9, 4, 5]);
    }
}
