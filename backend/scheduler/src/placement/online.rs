// SPDX-License-Identifier: MIT OR Apache-2.0
//! Placement as buffers come, without knowing what comes next or when
//! anything ends: into the smallest gap that holds a buffer.

use std::collections::BTreeMap;

use super::{Buffer, Placement};

/// Places buffers in the order in which they begin to live.
#[must_use]
pub fn place_online(buffers: &[Buffer]) -> Placement {
    let mut order: Vec<(u64, usize)> = buffers
        .iter()
        .enumerate()
        .map(|(at, it)| (it.lower, at))
        .collect();
    order.sort_unstable();
    let mut ends: BTreeMap<(u64, usize), ()> = BTreeMap::new();
    let mut gaps = Gaps::default();
    let mut offsets = vec![0; buffers.len()];
    for (now, at) in order {
        while let Some((&(upper, ended), ())) = ends.first_key_value()
            && upper <= now
        {
            ends.pop_first();
            if let Some((offset, it)) = offsets.get(ended).zip(buffers.get(ended)) {
                gaps.free(*offset, it.size);
            }
        }
        if let Some((place, it)) = offsets.get_mut(at).zip(buffers.get(at)) {
            *place = gaps.take(it.size);
            ends.insert((it.upper, at), ());
        }
    }
    Placement::new(buffers, offsets)
}

/// Free memory below the highest end so far.
#[derive(Debug, Default)]
struct Gaps {
    /// Start and length.
    free: BTreeMap<u64, u64>,
    top: u64,
}

impl Gaps {
    fn take(&mut self, size: u64) -> u64 {
        let fitting = self.free.iter().filter(|&(_, &length)| length >= size);
        let best = fitting.min_by_key(|&(&start, &length)| (length, start));
        if let Some((start, length)) = best.map(|(&start, &length)| (start, length)) {
            self.free.remove(&start);
            if length > size {
                self.free.insert(start + size, length - size);
            }
            return start;
        }
        // The gap at the top, if there is one, grows.
        let last = self
            .free
            .last_key_value()
            .map(|(&start, &length)| (start, length));
        let start = match last {
            Some((start, length)) if start + length == self.top => {
                self.free.remove(&start);
                start
            }
            _ => self.top,
        };
        self.top = start + size;
        start
    }

    fn free(&mut self, start: u64, size: u64) {
        if size == 0 {
            return;
        }
        let (mut start, mut end) = (start, start + size);
        if let Some((&before, &length)) = self.free.range(..start).next_back()
            && before + length == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(length) = self.free.remove(&end) {
            end += length;
        }
        self.free.insert(start, end - start);
    }
}
