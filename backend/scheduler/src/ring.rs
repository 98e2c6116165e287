// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is remembered of consecutive instructions, found by sequence.
//!
//! Instructions come at one end and are forgotten at the other, and each is
//! looked up several times in between: the place of an entry is its sequence
//! without the upper bits.  It knows nothing of what is remembered.

use crate::graph::Sequence;

/// Entries of the instructions from the oldest remembered to the newest.
#[derive(Debug)]
pub struct Ring<T> {
    /// None, or a power of two.
    slots: Vec<T>,
    base: Sequence,
    next: Sequence,
}

impl<T: Copy> Ring<T> {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            base: 0,
            next: 0,
        }
    }

    /// The oldest instruction remembered; the next one when none is.
    pub fn base(&self) -> Sequence {
        self.base
    }

    /// The instruction whose entry is pushed next.
    pub fn next(&self) -> Sequence {
        self.next
    }

    pub fn len(&self) -> usize {
        (self.next - self.base) as usize
    }

    fn place(&self, sequence: Sequence) -> usize {
        sequence as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    pub fn get(&self, sequence: Sequence) -> Option<&T> {
        if sequence.wrapping_sub(self.base) >= self.next - self.base {
            return None;
        }
        let place = self.place(sequence);
        self.slots.get(place)
    }

    #[inline]
    pub fn get_mut(&mut self, sequence: Sequence) -> Option<&mut T> {
        if sequence.wrapping_sub(self.base) >= self.next - self.base {
            return None;
        }
        let place = self.place(sequence);
        self.slots.get_mut(place)
    }

    #[inline]
    pub fn push(&mut self, entry: T) {
        if self.len() >= self.slots.len() {
            self.reserve(1, entry);
        }
        let place = self.place(self.next);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = entry;
        }
        self.next += 1;
    }

    /// Pushes many at once.
    pub fn extend(&mut self, entries: impl ExactSizeIterator<Item = T> + Clone) {
        let Some(filler) = entries.clone().next() else {
            return;
        };
        let count = entries.len();
        self.reserve(count, filler);
        let place = self.place(self.next);
        let (wrapped, tail) = self.slots.split_at_mut(place);
        let mut entries = entries;
        for (slot, entry) in tail.iter_mut().zip(entries.by_ref()) {
            *slot = entry;
        }
        for (slot, entry) in wrapped.iter_mut().zip(entries) {
            *slot = entry;
        }
        self.next += count as u64;
    }

    /// Makes room for so many more; `filler` lies where nothing is.
    fn reserve(&mut self, more: usize, filler: T) {
        let needed = self.len() + more;
        if needed <= self.slots.len() {
            return;
        }
        let mut slots = vec![filler; needed.next_power_of_two().max(64)];
        let mask = slots.len() - 1;
        for sequence in self.base..self.next {
            if let (Some(&entry), Some(slot)) =
                (self.get(sequence), slots.get_mut(sequence as usize & mask))
            {
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
