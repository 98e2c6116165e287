// SPDX-License-Identifier: MIT OR Apache-2.0
//! Placement as buffers come, without knowing what comes next or when
//! anything ends.
//!
//! A buffer goes into the smallest gap that holds it.  No placement of that
//! kind stays near what lives at once, whatever its rule, so fragmentation is
//! bounded by moving: a buffer that would end more than 15 % above the most
//! that has lived at once gets a gap that is made for it, by sliding what lies
//! between some gaps down; of all such stretches, the one with the fewest
//! bytes.

use std::collections::BTreeMap;

use super::Buffer;

/// Memory may be used up to this part of the most that has lived at once.
const ROOM: (u64, u64) = (23, 20);

/// What came of placing buffers as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Online {
    /// Bytes of memory used: the highest end ever.
    pub height: u64,
    /// Bytes of all buffers that were moved, each as often as it was.
    pub moved: u64,
}

/// Places buffers in the order in which they begin to live.
#[must_use]
pub fn place_online(buffers: &[Buffer]) -> Online {
    let mut order: Vec<(u64, usize)> = buffers
        .iter()
        .enumerate()
        .filter(|(_, it)| it.size > 0 && it.lower < it.upper)
        .map(|(at, it)| (it.lower, at))
        .collect();
    order.sort_unstable();
    let mut ends: BTreeMap<(u64, usize), ()> = BTreeMap::new();
    let mut memory = Memory::default();
    for (now, at) in order {
        while let Some((&(upper, ended), ())) = ends.first_key_value()
            && upper <= now
        {
            ends.pop_first();
            memory.free(ended);
        }
        if let Some(it) = buffers.get(at) {
            memory.place(at, it.size);
            ends.insert((it.upper, at), ());
        }
    }
    memory.result
}

/// The buffers that live now.
#[derive(Debug, Default)]
struct Memory {
    /// Which lies where, by offset, with its size.
    placed: BTreeMap<u64, (usize, u64)>,
    offsets: BTreeMap<usize, u64>,
    live: u64,
    /// The most that has lived at once.
    peak: u64,
    result: Online,
}

impl Memory {
    fn free(&mut self, buffer: usize) {
        let offset = self.offsets.remove(&buffer);
        if let Some((_, size)) = offset.and_then(|offset| self.placed.remove(&offset)) {
            self.live -= size;
        }
    }

    fn place(&mut self, buffer: usize, size: u64) {
        self.live += size;
        self.peak = self.peak.max(self.live);
        let (most, part) = ROOM;
        let limit = self.peak / part * most + self.peak % part;
        let offset = match self.smallest_gap(size, limit) {
            Some(offset) => offset,
            None => self.make_gap(size, limit),
        };
        self.put(buffer, offset, size);
    }

    fn put(&mut self, buffer: usize, offset: u64, size: u64) {
        self.placed.insert(offset, (buffer, size));
        self.offsets.insert(buffer, offset);
        self.result.height = self.result.height.max(offset + size);
    }

    /// Start and length of each gap below `limit`, and of no length before the
    /// buffers that leave none.
    fn gaps(&self, limit: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::with_capacity(self.placed.len() + 1);
        let mut end = 0;
        for (&offset, &(_, size)) in &self.placed {
            gaps.push((end, offset - end));
            end = offset + size;
        }
        gaps.push((end, limit.saturating_sub(end)));
        gaps
    }

    fn smallest_gap(&self, size: u64, limit: u64) -> Option<u64> {
        let gaps = self.gaps(limit);
        let fitting = gaps.iter().filter(|(_, length)| *length >= size);
        fitting
            .min_by_key(|&&(start, length)| (length, start))
            .map(|&(start, _)| start)
    }

    /// Joins gaps that follow each other by sliding what lies between them to
    /// the lowest; returns where the joined gap begins.
    fn make_gap(&mut self, size: u64, limit: u64) -> u64 {
        let gaps = self.gaps(limit);
        let sizes: Vec<u64> = self.placed.values().map(|&(_, size)| size).collect();
        let length = |at: usize| gaps.get(at).map_or(0, |&(_, length)| length);
        let bytes = |at: usize| sizes.get(at).copied().unwrap_or(0);
        // The stretch from one gap to another that has room at the least cost.
        let (mut first, mut room, mut cost) = (0, 0, 0);
        let mut best: Option<(u64, usize, usize)> = None;
        for last in 0..gaps.len() {
            room += length(last);
            cost += last.checked_sub(1).map_or(0, bytes);
            while room - length(first) >= size {
                room -= length(first);
                cost -= bytes(first);
                first += 1;
            }
            if room >= size && best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, first, last));
            }
        }
        let Some((_, first, last)) = best else {
            // All that lives and this fit below the limit, so some stretch has
            // room.
            return limit;
        };
        let mut end = gaps.get(first).map_or(0, |&(start, _)| start);
        let sliding: Vec<(u64, (usize, u64))> = self
            .placed
            .iter()
            .skip(first)
            .take(last - first)
            .map(|(&offset, &it)| (offset, it))
            .collect();
        for (offset, (buffer, size)) in sliding {
            if offset != end {
                self.placed.remove(&offset);
                self.result.moved += size;
                self.put(buffer, end, size);
            }
            end += size;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_lives_never_overlaps_and_stays_below_the_limit(
            steps in prop::collection::vec((any::<prop::sample::Index>(), 1u64..1000, any::<bool>()), 1..200),
        ) {
            let mut memory = Memory::default();
            let mut living: Vec<usize> = Vec::new();
            let mut moved = 0;
            for (number, (which, size, ends)) in steps.into_iter().enumerate() {
                if ends && !living.is_empty() {
                    let gone = living.swap_remove(which.index(living.len()));
                    memory.free(gone);
                    continue;
                }
                let before = memory.offsets.clone();
                memory.place(number, size);
                living.push(number);
                let mut end = 0;
                for (&offset, &(buffer, size)) in &memory.placed {
                    prop_assert!(offset >= end, "overlap");
                    prop_assert_eq!(memory.offsets[&buffer], offset);
                    if before.get(&buffer).is_some_and(|&old| old != offset) {
                        moved += size;
                    }
                    end = offset + size;
                }
                prop_assert!(end * 20 <= memory.peak * 23, "{} {}", end, memory.peak);
                prop_assert_eq!(memory.placed.len(), living.len());
            }
            prop_assert_eq!(memory.result.moved, moved);
        }
    }
}
