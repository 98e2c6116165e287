// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is remembered of consecutive instructions, found by sequence.
//!
//! Instructions come at one end and are forgotten at the other, and each is
//! looked up several times in between: the place of an entry is its sequence,
//! counted from an origin, without the upper bits.  It knows nothing of what is
//! remembered.

use crate::graph::Sequence;

/// Room for entries at first.
const FIRST_ROOM: usize = 256;

/// Entries of the instructions from the oldest remembered to the newest.
#[derive(Debug)]
pub struct Ring<T> {
    /// Grows to `room` entries in its first turn.
    slots: Vec<T>,
    /// None, or a power of two.
    room: usize,
    /// The sequence that lies in the first slot, of the first turn.
    origin: Sequence,
    base: Sequence,
    next: Sequence,
}

impl<T: Copy> Ring<T> {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            room: 0,
            origin: 0,
            base: 0,
            next: 0,
        }
    }

    /// The oldest instruction remembered; the next one when none is.
    #[inline]
    pub fn base(&self) -> Sequence {
        self.base
    }

    /// The instruction whose entry is pushed next.
    #[inline]
    pub fn next(&self) -> Sequence {
        self.next
    }

    #[inline]
    pub fn len(&self) -> usize {
        (self.next - self.base) as usize
    }

    #[inline]
    fn place(&self, sequence: Sequence) -> usize {
        sequence.wrapping_sub(self.origin) as usize & self.room.wrapping_sub(1)
    }

    #[inline]
    fn knows(&self, sequence: Sequence) -> bool {
        sequence.wrapping_sub(self.base) < self.next - self.base
    }

    #[inline]
    pub fn get(&self, sequence: Sequence) -> Option<&T> {
        if !self.knows(sequence) {
            return None;
        }
        let place = self.place(sequence);
        self.slots.get(place)
    }

    #[inline]
    pub fn get_mut(&mut self, sequence: Sequence) -> Option<&mut T> {
        if !self.knows(sequence) {
            return None;
        }
        self.known_mut(sequence)
    }

    /// As [`Ring::get_mut`] for one that is remembered for certain: of another
    /// it may be somebody else's entry.
    #[inline]
    pub fn known_mut(&mut self, sequence: Sequence) -> Option<&mut T> {
        debug_assert!(self.knows(sequence), "{sequence}");
        let place = self.place(sequence);
        self.slots.get_mut(place)
    }

    #[inline]
    pub fn push(&mut self, entry: T) {
        if self.len() >= self.room {
            self.reserve(1);
        }
        let place = self.place(self.next);
        match self.slots.get_mut(place) {
            Some(slot) => *slot = entry,
            None => self.slots.push(entry),
        }
        self.next += 1;
    }

    /// Pushes many at once.
    pub fn extend(&mut self, mut entries: impl ExactSizeIterator<Item = T>) {
        let count = entries.len();
        if count == 0 {
            return;
        }
        self.reserve(count);
        let place = self.place(self.next);
        let old = self.slots.get_mut(place..).unwrap_or_default();
        for (slot, entry) in old.iter_mut().zip(entries.by_ref()) {
            *slot = entry;
        }
        let unused = self.room - self.slots.len();
        self.slots.extend(entries.by_ref().take(unused));
        for (slot, entry) in self.slots.iter_mut().zip(entries) {
            *slot = entry;
        }
        self.next += count as u64;
    }

    /// Makes room for so many more.
    fn reserve(&mut self, more: usize) {
        let needed = self.len() + more;
        if needed <= self.room {
            return;
        }
        let room = needed.next_power_of_two().max(FIRST_ROOM);
        let mut slots = Vec::with_capacity(room);
        // From the oldest to the end of the slots, and on from their start.
        let (length, oldest) = (self.len(), self.place(self.base));
        let (start, end) = self.slots.split_at(oldest.min(self.slots.len()));
        let end = end.get(..length).unwrap_or(end);
        slots.extend_from_slice(end);
        slots.extend_from_slice(start.get(..length - end.len()).unwrap_or_default());
        self.slots = slots;
        self.room = room;
        self.origin = self.base;
    }

    /// Forgets all before `sequence`.
    #[inline]
    pub fn forget_before(&mut self, sequence: Sequence) {
        self.base = sequence.clamp(self.base, self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_sequence_however_the_ring_has_turned() {
        let mut ring = Ring::new();
        for sequence in 0..1000u64 {
            let first = ring.next();
            if sequence % 7 == 0 {
                ring.extend((0..sequence as usize % 90).map(|more| (first + more as u64) * 3));
            } else {
                ring.push(first * 3);
            }
            ring.forget_before(ring.next().saturating_sub(50 + sequence / 5));
            if sequence % 100 == 99 {
                ring.forget_before(ring.next());
            }
            for known in ring.base()..ring.next() {
                assert_eq!(ring.get(known).copied(), Some(known * 3));
            }
            assert_eq!(ring.get(ring.next()), None);
            assert_eq!(ring.get(ring.base().wrapping_sub(1)), None);
        }
    }
}
