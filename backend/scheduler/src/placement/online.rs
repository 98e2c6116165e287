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
use super::layout::{Layout, room};

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
    layout: Layout,
    live: u64,
    /// The most that has lived at once.
    peak: u64,
    result: Online,
}

impl Memory {
    fn free(&mut self, buffer: usize) {
        self.live -= self.layout.free(buffer).unwrap_or(0);
    }

    fn place(&mut self, buffer: usize, size: u64) {
        self.live += size;
        self.peak = self.peak.max(self.live);
        let limit = room(self.peak);
        // All that lives and this fit below the limit, so some stretch has room.
        let (offset, slides) = self.layout.find(size, limit).unwrap_or((limit, Vec::new()));
        for slide in slides {
            self.layout.free(slide.item);
            self.result.moved += slide.size;
            self.put(slide.item, slide.to, slide.size);
        }
        self.put(buffer, offset, size);
    }

    fn put(&mut self, buffer: usize, offset: u64, size: u64) {
        self.layout.put(buffer, offset, size);
        self.result.height = self.result.height.max(offset + size);
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
                let before: BTreeMap<usize, u64> = memory.layout.iter()
                    .map(|(offset, buffer, _)| (buffer, offset))
                    .collect();
                memory.place(number, size);
                living.push(number);
                let mut end = 0;
                for (offset, buffer, size) in memory.layout.iter() {
                    prop_assert!(offset >= end, "overlap");
                    if before.get(&buffer).is_some_and(|&old| old != offset) {
                        moved += size;
                    }
                    end = offset + size;
                }
                prop_assert!(end * 20 <= memory.peak * 23, "{} {}", end, memory.peak);
                prop_assert_eq!(memory.layout.iter().count(), living.len());
            }
            prop_assert_eq!(memory.result.moved, moved);
        }
    }
}
