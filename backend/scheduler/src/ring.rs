// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is remembered of consecutive instructions, found by sequence.
//!
//! Instructions come at one end and are forgotten at the other, and each is
//! looked up several times in between: the place of an entry is its sequence,
//! counted from an origin, without the upper bits.  It knows nothing of what is
//! remembered.

use crate::graph::Sequence;

/// Room for entries at first.
const FIRST_ROOM: usize = 64;

/// Entries of the instructions from the oldest remembered to the newest.
#[derive(Debug)]
pub struct Ring<T> {
    /// None, or a power of two of them.
    slots: Vec<T>,
    base: Sequence,
    next: Sequence,
}

impl<T: Copy + Default> Ring<T> {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
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
        sequence as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn knows(&self, sequence: Sequence) -> bool {
        sequence.wrapping_sub(self.base) < self.next - self.base
    }

    #[inline]
    pub fn get(&self, sequence: Sequence) -> Option<&T> {
        let place = self.place(sequence);
        self.slots.get(place).filter(|_| self.knows(sequence))
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
        if self.len() >= self.slots.len() {
            self.make_room(1);
        }
        let place = self.place(self.next);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = entry;
        }
        self.next += 1;
    }

    /// Pushes many at once.
    #[inline]
    pub fn extend(&mut self, mut entries: impl ExactSizeIterator<Item = T>) {
        let count = entries.len();
        if self.len() + count > self.slots.len() {
            self.make_room(count);
        }
        let place = self.place(self.next);
        let (start, end) = self.slots.split_at_mut(place);
        for (slot, entry) in end.iter_mut().zip(entries.by_ref()) {
            *slot = entry;
        }
        for (slot, entry) in start.iter_mut().zip(entries) {
            *slot = entry;
        }
        self.next += count as u64;
    }

    /// Calls `change` with the entries from `sequence`, which is remembered, on.
    #[inline]
    pub fn for_each_since(&mut self, sequence: Sequence, change: impl FnMut(&mut T)) {
        let count = (self.next - sequence) as usize;
        let place = self.place(sequence);
        let (start, end) = self.slots.split_at_mut(place);
        end.iter_mut().chain(start).take(count).for_each(change);
    }

    /// Makes room for so many more.
    #[cold]
    fn make_room(&mut self, more: usize) {
        let room = (self.len() + more).next_power_of_two().max(FIRST_ROOM);
        let mut slots = vec![T::default(); room];
        for sequence in self.base..self.next {
            let old = self.slots.get(self.place(sequence));
            let place = sequence as usize & (room - 1);
            if let (Some(slot), Some(&entry)) = (slots.get_mut(place), old) {
                *slot = entry;
            }
        }
        self.slots = slots;
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
