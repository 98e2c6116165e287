// SPDX-License-Identifier: MIT OR Apache-2.0
//! The allocator of home frames: hidden device memory that backs objects.
//!
//! Best fit over runs of free frames, so that an object is one run while memory
//! is not fragmented; several runs when it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Frame, Frames};

/// A run of home frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeRun {
    /// First frame.
    pub first: Frame,
    /// Number of frames, not zero.
    pub count: Frames,
}

/// Free runs by position and by size.
#[derive(Default)]
pub(crate) struct HomeFrames {
    by_start: BTreeMap<u32, u32>,
    by_size: BTreeSet<(u32, u32)>,
    free: u64,
}

impl HomeFrames {
    /// An allocator of one run.
    pub fn new(run: HomeRun) -> Self {
        let mut frames = HomeFrames::default();
        frames.release(run);
        frames
    }

    /// Frames that are free.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    /// Takes `count` frames, in as few runs as best fit finds; `None`, with
    /// nothing taken, when there are fewer.
    pub fn allocate(&mut self, count: Frames) -> Option<Vec<HomeRun>> {
        if u64::from(count.0) > self.free {
            return None;
        }
        let mut runs = Vec::with_capacity(1);
        let mut missing = count.0;
        while missing > 0 {
            let (size, start) = self
                .by_size
                .range((missing, 0)..)
                .next()
                .or_else(|| self.by_size.last())
                .copied()?;
            let taken = size.min(missing);
            self.remove(start, size);
            if taken < size {
                self.insert(start + taken, size - taken);
            }
            runs.push(HomeRun {
                first: Frame(start),
                count: Frames(taken),
            });
            missing -= taken;
        }
        Some(runs)
    }

    /// Takes these very frames; whether all of them were free.
    pub fn take(&mut self, run: HomeRun) -> bool {
        let (first, end) = (run.first.0, run.first.0 + run.count.0);
        let Some((&start, &size)) = self.by_start.range(..=first).next_back() else {
            return false;
        };
        if run.count.0 == 0 || end > start + size {
            return false;
        }
        self.remove(start, size);
        if start < first {
            self.insert(start, first - start);
        }
        if end < start + size {
            self.insert(end, start + size - end);
        }
        true
    }

    /// The free runs, lowest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = HomeRun> + '_ {
        self.by_start.iter().map(|(&start, &size)| HomeRun {
            first: Frame(start),
            count: Frames(size),
        })
    }

    /// The highest free run.
    pub fn last(&self) -> Option<HomeRun> {
        self.runs().next_back()
    }

    /// Gives back a run, or a part of one, and joins it with its neighbours.
    pub fn release(&mut self, run: HomeRun) {
        let (mut start, mut size) = (run.first.0, run.count.0);
        if let Some((&before, &length)) = self.by_start.range(..start).next_back()
            && before + length == start
        {
            self.remove(before, length);
            start = before;
            size += length;
        }
        if let Some(&length) = self.by_start.get(&(start + size)) {
            self.remove(start + size, length);
            size += length;
        }
        self.insert(start, size);
    }

    fn insert(&mut self, start: u32, size: u32) {
        self.by_start.insert(start, size);
        self.by_size.insert((size, start));
        self.free += u64::from(size);
    }

    fn remove(&mut self, start: u32, size: u32) {
        self.by_start.remove(&start);
        self.by_size.remove(&(size, start));
        self.free -= u64::from(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_disjoint_and_join_again(
            sizes in prop::collection::vec(1u32..40, 1..60),
            order in any::<u64>(),
        ) {
            let all = HomeRun { first: Frame(7), count: Frames(500) };
            let mut frames = HomeFrames::new(all);
            let mut used = vec![false; 600];
            let mut held = Vec::new();
            for size in sizes {
                let before = frames.free_frames();
                match frames.allocate(Frames(size)) {
                    None => prop_assert!(u64::from(size) > before),
                    Some(runs) => {
                        prop_assert_eq!(runs.iter().map(|r| r.count.0).sum::<u32>(), size);
                        for run in &runs {
                            for frame in run.first.0..run.first.0 + run.count.0 {
                                prop_assert!((7..507).contains(&frame));
                                prop_assert!(!std::mem::replace(&mut used[frame as usize], true));
                            }
                        }
                        held.extend(runs);
                    }
                }
            }
            let mut seed = order;
            while !held.is_empty() {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                let run: HomeRun = held.swap_remove((seed >> 33) as usize % held.len());
                frames.release(run);
                // Just these can be taken, and once only.
                prop_assert!(frames.take(run) && !frames.take(run));
                let one_more = HomeRun { count: Frames(run.count.0 + 1), ..run };
                frames.release(run);
                let free: Vec<_> = frames.runs().collect();
                let holds = |free: &HomeRun| free.first <= one_more.first
                    && one_more.first.0 + one_more.count.0 <= free.first.0 + free.count.0;
                let taken = frames.take(one_more);
                prop_assert_eq!(taken, free.iter().any(holds));
                if taken {
                    frames.release(one_more);
                }
            }
            prop_assert_eq!(frames.allocate(Frames(500)), Some(vec![all]));
        }
    }
}
