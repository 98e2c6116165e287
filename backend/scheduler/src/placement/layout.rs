// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things lie in a memory, the gaps between them, and how a gap is made by
//! moving as few bytes as possible.

use std::collections::BTreeMap;

/// Memory may be used up to this part of the most that has lived at once.
const ROOM: (u64, u64) = (23, 20);

/// How far memory is used when the most that has lived at once is `peak`.
#[must_use]
pub fn room(peak: u64) -> u64 {
    let (most, part) = ROOM;
    peak / part * most + peak % part
}

/// Something that moves to a lower place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slide {
    /// Which.
    pub item: usize,
    /// Where it lies.
    pub from: u64,
    /// Where it goes.
    pub to: u64,
    /// How much there is of it.
    pub size: u64,
}

/// What lives, by place.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Which lies where, by offset, with its size.
    placed: BTreeMap<u64, (usize, u64)>,
    offsets: BTreeMap<usize, u64>,
}

impl Layout {
    /// Puts an item where nothing else lies.
    pub fn put(&mut self, item: usize, offset: u64, size: u64) {
        self.placed.insert(offset, (item, size));
        self.offsets.insert(item, offset);
    }

    /// Takes an item out; answers its size.
    pub fn free(&mut self, item: usize) -> Option<u64> {
        let offset = self.offsets.remove(&item)?;
        self.placed.remove(&offset).map(|(_, size)| size)
    }

    /// The item that ends highest, with its place and size.
    #[must_use]
    pub fn topmost(&self) -> Option<(usize, u64, u64)> {
        let (&offset, &(item, size)) = self.placed.last_key_value()?;
        Some((item, offset, size))
    }

    /// Room behind `offset` that nothing lies in, up to `limit`.
    #[must_use]
    pub fn room_at(&self, offset: u64, limit: u64) -> u64 {
        let before = self.placed.range(..offset).next_back();
        if before.is_some_and(|(&start, &(_, size))| start + size > offset) {
            return 0;
        }
        let next = self.placed.range(offset..).next();
        next.map_or(limit, |(&start, _)| start.min(limit))
            .saturating_sub(offset)
    }

    /// Start and length of each gap below `limit`, and of no length before the
    /// items that leave none; items beyond do not count.
    fn gaps(&self, limit: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::with_capacity(self.placed.len() + 1);
        let mut end = 0;
        for (&offset, &(_, size)) in self.placed.range(..limit) {
            gaps.push((end, offset - end));
            end = offset + size;
        }
        gaps.push((end, limit.saturating_sub(end)));
        gaps
    }

    /// Where the smallest gap begins that holds so much.
    #[must_use]
    pub fn smallest_gap(&self, size: u64, limit: u64) -> Option<u64> {
        let gaps = self.gaps(limit);
        let fitting = gaps.iter().filter(|(_, length)| *length >= size);
        fitting
            .min_by_key(|&&(start, length)| (length, start))
            .map(|&(start, _)| start)
    }

    /// Gaps that follow each other and together hold so much, such that least lies
    /// between them: where the joined gap will begin, and what slides down for it, lowest
    /// first.
    #[must_use]
    pub fn make_gap(&self, size: u64, limit: u64) -> Option<(u64, Vec<Slide>)> {
        let gaps = self.gaps(limit);
        let sizes: Vec<u64> = self.placed.values().map(|&(_, size)| size).collect();
        let length = |at: usize| gaps.get(at).map_or(0, |&(_, length)| length);
        let between = |at: usize| sizes.get(at).copied().unwrap_or(0);
        // The stretch from one gap to another that has room at the least cost.
        let (mut first, mut room, mut cost) = (0, 0, 0);
        let mut best: Option<(u64, usize, usize)> = None;
        for last in 0..gaps.len() {
            room += length(last);
            cost += last.checked_sub(1).map_or(0, between);
            while room - length(first) >= size {
                room -= length(first);
                cost -= between(first);
                first += 1;
            }
            if room >= size && best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, first, last));
            }
        }
        let (_, first, last) = best?;
        let mut end = gaps.get(first).map_or(0, |&(start, _)| start);
        let mut slides = Vec::new();
        for (&from, &(item, size)) in self.placed.iter().skip(first).take(last - first) {
            if from != end {
                slides.push(Slide {
                    item,
                    from,
                    to: end,
                    size,
                });
            }
            end += size;
        }
        Some((end, slides))
    }

    /// Where so much can lie below `limit`, and what has to slide down before it does;
    /// `None` when all that lives and this do not fit.
    #[must_use]
    pub fn find(&self, size: u64, limit: u64) -> Option<(u64, Vec<Slide>)> {
        match self.smallest_gap(size, limit) {
            Some(offset) => Some((offset, Vec::new())),
            None => self.make_gap(size, limit),
        }
    }

    /// What lies where: offset, item and size, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, usize, u64)> + '_ {
        self.placed
            .iter()
            .map(|(&offset, &(item, size))| (offset, item, size))
    }
}
