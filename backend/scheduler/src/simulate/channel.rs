// SPDX-License-Identifier: MIT OR Apache-2.0
//! Something that bytes pass one after the other: the link, or the card's
//! memory.  Moves overlap their latencies, as many as may be in flight.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Nanos;

/// A shared path with its moves in flight.
#[derive(Debug)]
pub struct Channel {
    bytes_per_ns: f64,
    latency: Nanos,
    free: Nanos,
    slots: BinaryHeap<Reverse<Nanos>>,
    bytes: u64,
}

impl Channel {
    pub fn new(bytes_per_ns: f64, latency: Nanos, in_flight: usize) -> Self {
        Self {
            bytes_per_ns,
            latency,
            free: Nanos(0),
            slots: (0..in_flight).map(|_| Reverse(Nanos(0))).collect(),
            bytes: 0,
        }
    }

    /// When one more move may begin.
    pub fn next_slot(&self) -> Nanos {
        self.slots.peek().map_or(Nanos(0), |&Reverse(at)| at)
    }

    /// When a move of `bytes` that is asked for `now` has arrived.
    pub fn transfer(&mut self, now: Nanos, bytes: u64) -> Nanos {
        self.bytes += bytes;
        let slot = self.slots.pop().map_or(now, |Reverse(free)| free.max(now));
        let ready = slot.plus(self.latency).max(self.free);
        let time = (bytes as f64 / self.bytes_per_ns).ceil() as u64;
        let done = ready.plus(Nanos(time));
        self.free = done;
        self.slots.push(Reverse(done));
        done
    }

    /// Bytes moved so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the last move is over.
    pub fn free(&self) -> Nanos {
        self.free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_overlap_and_bytes_do_not() {
        let mut channel = Channel::new(2.0, Nanos(100), 2);
        assert_eq!(channel.transfer(Nanos(0), 40), Nanos(120));
        assert_eq!(channel.transfer(Nanos(0), 40), Nanos(140));
        // Both are in flight: the third waits for the first.
        assert_eq!(channel.next_slot(), Nanos(120));
        assert_eq!(channel.transfer(Nanos(0), 40), Nanos(240));
        assert_eq!(channel.bytes(), 120);
    }
}
