// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is remembered of consecutive instructions, found by sequence.
//!
//! Instructions come at one end and are forgotten at the other, and each is
//! looked up several times in between: the place of an entry is its sequence
//! without the upper bits.  It knows nothing of what is remembered.

use crate::graph::Sequence;

/// Room for entries at first.
const FIRST_ROOM: usize = 256;

/// Entries of the instructions from the oldest remembered to the newest.
#[derive(Debug)]
pub struct Ring<T> {
    /// None, or a power of two.
    slots: Vec<T>,
    base: Sequence,
    next: Sequence,
}

/// Where the entry of an instruction lies, if it is remembered; of another it may be
/// somebody else's.
#[inline(always)]
pub fn entry<T>(slots: &mut [T], sequence: Sequence) -> Option<&mut T> {
    let place = place(slots.len(), sequence);
    slots.get_mut(place)
}

#[inline(always)]
fn place(room: usize, sequence: Sequence) -> usize {
    sequence as usize & room.wrapping_sub(1)
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
    fn knows(&self, sequence: Sequence) -> bool {
        sequence.wrapping_sub(self.base) < self.next - self.base
    }

    #[inline]
    pub fn get(&self, sequence: Sequence) -> Option<&T> {
        if !self.knows(sequence) {
            return None;
        }
        self.known(sequence)
    }

    #[inline]
    pub fn get_mut(&mut self, sequence: Sequence) -> Option<&mut T> {
        if !self.knows(sequence) {
            return None;
        }
        entry(&mut self.slots, sequence)
    }

    /// As [`Ring::get`] for one that is remembered for certain: of another
    /// it may be somebody else's entry.
    #[inline]
    pub fn known(&self, sequence: Sequence) -> Option<&T> {
        debug_assert!(self.knows(sequence), "{sequence}");
        self.slots.get(place(self.slots.len(), sequence))
    }

    /// All there is room for, to be looked up by [`entry`].
    #[inline]
    pub fn slots_mut(&mut self) -> &mut [T] {
        &mut self.slots
    }

    #[inline]
    pub fn push(&mut self, new: T) {
        self.reserve(1);
        if let Some(slot) = entry(&mut self.slots, self.next) {
            *slot = new;
        }
        self.next += 1;
    }

    /// Pushes many at once.
    #[inline]
    pub fn extend(&mut self, mut entries: impl ExactSizeIterator<Item = T>) {
        let count = entries.len();
        if count == 0 {
            return;
        }
        self.reserve(count);
        let place = place(self.slots.len(), self.next);
        let end = self.slots.get_mut(place..).unwrap_or_default();
        for (slot, entry) in end.iter_mut().zip(entries.by_ref()) {
            *slot = entry;
        }
        for (slot, entry) in self.slots.iter_mut().zip(entries) {
            *slot = entry;
        }
        self.next += count as u64;
    }

    /// Makes room for so many more.
    #[inline]
    fn reserve(&mut self, more: usize) {
        let needed = self.len() + more;
        if needed > self.slots.len() {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        let room = needed.next_power_of_two().max(FIRST_ROOM);
        let mut slots = vec![T::default(); room];
        // One piece, or two where the ring has turned.
        let mut from = self.base;
        while from < self.next {
            let (old, new) = (place(self.slots.len(), from), place(room, from));
            let old = self.slots.get(old..).unwrap_or_default();
            let count = old.len().min((self.next - from) as usize);
            let new = slots.get_mut(new..new + count).unwrap_or_default();
            new.iter_mut().zip(old).for_each(|(new, old)| *new = *old);
            from += count as u64;
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
