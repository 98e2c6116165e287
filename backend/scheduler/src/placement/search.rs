// SPDX-License-Identifier: MIT OR Apache-2.0
//! Depth-first search for a placement below a capacity.
//!
//! After MiniMalloc (Moffitt, ASPLOS 2023): buffers are placed by rising
//! offsets, each on top of what it meets, which reaches every placement worth
//! having.  Buffers that no longer meet, directly or through others that are
//! to be placed, are solved apart.  A branch ends when at some moment what is
//! still to be placed, one on the other and none below its least offset, ends
//! above the capacity.  A buffer that was passed over must not fit any more where it
//! could have been, or the same placement is met without the gap: something that is
//! still to come has to reach into that place, and it lies on top of that at least.
//! Which of several comes first decides how long it takes. Buffers that fall apart from
//! the others are ranked anew, by what is still to be placed beside them.

use std::ops::ControlFlow;

use super::Buffer;
use super::greedy::Criterion;

/// Parts of more buffers are not searched: each level of the search is one
/// buffer deep.
const MAX_DEPTH: usize = 4096;

/// How a search ended.
#[derive(Debug)]
pub enum Found {
    /// Offsets that fit.
    Placed(Vec<u64>),
    /// There are none.
    Impossible,
    /// It was stopped before it knew.
    Stopped,
}

/// Which of several buffers is tried first.
#[derive(Clone, Copy, Debug)]
pub struct Ranking<'a> {
    /// All buffers, the first one first.
    pub order: &'a [u32],
    /// How those that fall apart from the others are ranked anew; as they were, without.
    pub criterion: Option<Criterion>,
}

/// Why a branch has no placement.
enum Failed {
    Impossible,
    Stopped,
}

/// A buffer on its way into memory.
#[derive(Clone, Copy, Debug)]
struct State {
    size: u64,
    /// No lower offset is free above what is placed.
    least: u64,
    placed: bool,
    /// Its place in the order.
    rank: usize,
    /// The moments it lives at.
    first: usize,
    last: usize,
}

impl State {
    /// Where it ends at least.
    fn end(self) -> u64 {
        self.least + self.size
    }
}

struct Search<'a, E> {
    buffers: &'a [Buffer],
    criterion: Option<Criterion>,
    neighbours: &'a [Vec<u32>],
    capacity: u64,
    states: Vec<State>,
    /// For each moment, where what is not placed ends at least.
    heights: Vec<u64>,
    /// Least offsets before they were raised, to be restored.
    trail: Vec<(u32, u64)>,
    nodes: u64,
    expired: &'a mut E,
}

/// Looks at no more than `nodes` partial placements.
pub fn search(
    buffers: &[Buffer],
    neighbours: &[Vec<u32>],
    ranking: Ranking<'_>,
    capacity: u64,
    nodes: u64,
    expired: &mut impl FnMut() -> ControlFlow<()>,
) -> Found {
    if buffers.len() > MAX_DEPTH {
        return Found::Stopped;
    }
    let mut moments: Vec<u64> = buffers.iter().map(|it| it.lower).collect();
    moments.sort_unstable();
    moments.dedup();
    let from = |time: u64| moments.partition_point(|&it| it < time);
    let mut states: Vec<State> = buffers
        .iter()
        .map(|it| State {
            size: it.size,
            least: 0,
            placed: false,
            rank: 0,
            first: from(it.lower),
            last: from(it.upper),
        })
        .collect();
    for (rank, &at) in ranking.order.iter().enumerate() {
        if let Some(state) = states.get_mut(at as usize) {
            state.rank = rank;
        }
    }
    let mut search = Search {
        buffers,
        criterion: ranking.criterion,
        neighbours,
        capacity,
        states,
        heights: vec![0; moments.len()],
        trail: Vec::new(),
        nodes,
        expired,
    };
    match search.solve(ranking.order.to_vec(), (0, 0)) {
        Ok(()) => Found::Placed(search.states.iter().map(|it| it.least).collect()),
        Err(Failed::Impossible) => Found::Impossible,
        Err(Failed::Stopped) => Found::Stopped,
    }
}

impl<E: FnMut() -> ControlFlow<()>> Search<'_, E> {
    fn state(&self, at: u32) -> State {
        self.states.get(at as usize).copied().unwrap_or(State {
            size: 0,
            least: 0,
            placed: true,
            rank: 0,
            first: 0,
            last: 0,
        })
    }

    /// Places the buffers of `part`, none before the offset and rank of
    /// `after`: buffers of one offset come by rank, since their order does not
    /// matter.  On failure nothing has changed.
    fn solve(&mut self, part: Vec<u32>, after: (u64, usize)) -> Result<(), Failed> {
        let mut apart = self.split(part);
        if apart.len() == 1 {
            return self.place_one(apart.swap_remove(0), after);
        }
        // The smallest first: where one fails, the others need not be tried.
        apart.sort_by_key(Vec::len);
        for (number, members) in apart.iter().enumerate() {
            let solved = match self.criterion {
                Some(criterion) => self.place_anew(members, criterion, after.0),
                None => self.place_one(members.clone(), after),
            };
            if let Err(failed) = solved {
                let done = apart.iter().take(number).flatten();
                done.for_each(|&at| self.unplace(at));
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Places the buffers of one part, none before `offset`, with new ranks. On failure
    /// nothing has changed.
    fn place_anew(
        &mut self,
        part: &[u32],
        criterion: Criterion,
        offset: u64,
    ) -> Result<(), Failed> {
        let before: Vec<usize> = part.iter().map(|&at| self.state(at).rank).collect();
        let ranked = self.ranked(part, criterion);
        self.set_ranks(ranked.into_iter().zip(0..));
        let solved = self.place_one(part.to_vec(), (offset, 0));
        if solved.is_err() {
            self.set_ranks(part.iter().copied().zip(before));
        }
        solved
    }

    fn set_ranks(&mut self, ranks: impl Iterator<Item = (u32, usize)>) {
        for (at, rank) in ranks {
            if let Some(state) = self.states.get_mut(at as usize) {
                state.rank = rank;
            }
        }
    }

    /// The buffers of a part by a criterion, the crowd of each made of this part alone.
    fn ranked(&mut self, part: &[u32], criterion: Criterion) -> Vec<u32> {
        let spans = part.iter().map(|&at| self.state(at));
        let spans: Vec<State> = spans.collect();
        let first = spans.iter().map(|it| it.first).min().unwrap_or(0);
        let last = spans.iter().map(|it| it.last).max().unwrap_or(0);
        let crowds = self.heights.get_mut(first..last).unwrap_or_default();
        crowds.fill(0);
        let moments = |it: &State| it.first - first..it.last - first;
        for it in &spans {
            let together = crowds.get_mut(moments(it)).unwrap_or_default();
            together.iter_mut().for_each(|crowd| *crowd += it.size);
        }
        let keys = part.iter().zip(&spans).filter_map(|(&at, it)| {
            let crowd = crowds.get(moments(it))?.iter().max().copied();
            let buffer = self.buffers.get(at as usize)?;
            Some((criterion.key(buffer, crowd.unwrap_or(0)), at))
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, at)| at).collect()
    }

    /// Places the buffers of one part by trying each that may come next.
    fn place_one(&mut self, part: Vec<u32>, after: (u64, usize)) -> Result<(), Failed> {
        if self.nodes == 0 || self.nodes.is_multiple_of(256) && (self.expired)().is_break() {
            return Err(Failed::Stopped);
        }
        self.nodes -= 1;
        let Some(ordered) = self.by_least(&part, after) else {
            return Err(Failed::Impossible);
        };
        if !self.has_room(&ordered, after.0) {
            return Err(Failed::Impossible);
        }
        // What comes above the end that another can have leaves a gap for it, and is
        // met without the gap where that one comes first.
        let ends = part.iter().map(|&at| self.state(at).end());
        let lowest_end = ends.min().unwrap_or(0);
        for (position, &(least, rank, at)) in ordered.iter().enumerate() {
            if least >= lowest_end {
                break;
            }
            if self.state(at).least < least {
                continue;
            }
            let mark = self.trail.len();
            if self.put(at) {
                let others = ordered
                    .iter()
                    .enumerate()
                    .filter(|&(other, _)| other != position);
                let rest = others.map(|(_, &(_, _, at))| at).collect();
                match self.solve(rest, (least, rank)) {
                    Ok(()) => return Ok(()),
                    Err(Failed::Stopped) => {
                        self.take_back(at, mark);
                        return Err(Failed::Stopped);
                    }
                    Err(Failed::Impossible) => {}
                }
            }
            self.take_back(at, mark);
        }
        if part.is_empty() {
            Ok(())
        } else {
            Err(Failed::Impossible)
        }
    }

    /// The buffers of a part with the offsets below which they cannot lie, and their
    /// ranks, lowest first.  What was passed over can come only when something that it
    /// meets, and that lies where it could have lain but not below the offset of `after`,
    /// has raised it; `None` when nothing can.
    fn by_least(&self, part: &[u32], after: (u64, usize)) -> Option<Vec<(u64, usize, u32)>> {
        let mut ordered = Vec::with_capacity(part.len());
        for &at in part {
            let it = self.state(at);
            let mut least = it.least;
            if (least, it.rank) < after {
                let around = self.neighbours.get(at as usize).into_iter().flatten();
                let around = around.map(|&other| self.state(other));
                let around = around.filter(|other| !other.placed);
                let around = around.map(|other| (other.least.max(after.0), other.size));
                let raising = around.filter(|&(offset, _)| offset < it.end());
                least = raising.map(|(offset, size)| offset + size).min()?;
            }
            ordered.push((least, it.rank, at));
        }
        ordered.sort_unstable();
        Some(ordered)
    }

    /// Whether what is to be placed fits, moment by moment, one on the other:
    /// no order ends lower at a moment than that of the least offsets, in which
    /// `part` is.
    fn has_room(&mut self, part: &[(u64, usize, u32)], offset: u64) -> bool {
        let first = part.iter().map(|&(_, _, at)| self.state(at).first).min();
        let last = part.iter().map(|&(_, _, at)| self.state(at).last).max();
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
        for height in self.heights.get_mut(first..last).into_iter().flatten() {
            *height = offset;
        }
        for &(least, _, at) in part {
            let it = self.state(at);
            let mut highest = 0;
            for height in self
                .heights
                .get_mut(it.first..it.last)
                .into_iter()
                .flatten()
            {
                *height = least.max(*height) + it.size;
                highest = highest.max(*height);
            }
            if highest > self.capacity {
                return false;
            }
        }
        true
    }

    /// Places a buffer at its least offset; whether what it meets still fits.
    fn put(&mut self, at: u32) -> bool {
        let it = self.state(at);
        let end = it.least + it.size;
        if let Some(state) = self.states.get_mut(at as usize) {
            state.placed = true;
        }
        let mut fits = end <= self.capacity;
        for &other in self.neighbours.get(at as usize).into_iter().flatten() {
            if let Some(state) = self.states.get_mut(other as usize)
                && !state.placed
                && state.least < end
            {
                self.trail.push((other, state.least));
                state.least = end;
                fits &= end + state.size <= self.capacity;
            }
        }
        fits
    }

    fn unplace(&mut self, at: u32) {
        if let Some(state) = self.states.get_mut(at as usize) {
            state.placed = false;
        }
    }

    /// Undoes [`Search::put`] and all that was raised since `mark`.
    fn take_back(&mut self, at: u32, mark: usize) {
        self.unplace(at);
        while self.trail.len() > mark {
            if let Some((other, least)) = self.trail.pop()
                && let Some(state) = self.states.get_mut(other as usize)
            {
                state.least = least;
            }
        }
    }

    /// The buffers by the stretches of time in which they meet; each keeps its
    /// order.
    fn split(&self, part: Vec<u32>) -> Vec<Vec<u32>> {
        let mut spans: Vec<(usize, usize)> = part
            .iter()
            .map(|&at| (self.state(at).first, self.state(at).last))
            .collect();
        spans.sort_unstable();
        // Where each stretch begins.
        let mut starts: Vec<usize> = Vec::new();
        let mut end = 0;
        for (first, last) in spans {
            if starts.is_empty() || first >= end {
                starts.push(first);
            }
            end = end.max(last);
        }
        if starts.len() <= 1 {
            return vec![part];
        }
        let mut apart = vec![Vec::new(); starts.len()];
        for at in part {
            let stretch = starts.partition_point(|&start| start <= self.state(at).first);
            if let Some(members) = apart.get_mut(stretch.wrapping_sub(1)) {
                members.push(at);
            }
        }
        apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::{greedy, lower_bound, neighbours};
    use proptest::prelude::*;

    /// The lowest placement there is, by placing buffers on top of what they meet in
    /// every order.
    fn lowest(buffers: &[Buffer], placed: &mut Vec<(usize, u64)>) -> u64 {
        let mut best = u64::MAX;
        for (at, buffer) in buffers.iter().enumerate() {
            if placed.iter().any(|&(other, _)| other == at) {
                continue;
            }
            let below = placed
                .iter()
                .filter(|&&(other, _)| buffers[other].meets(buffer));
            let offset = below.map(|&(_, end)| end).max().unwrap_or(0);
            placed.push((at, offset + buffer.size));
            best = best.min(lowest(buffers, placed));
            placed.pop();
        }
        if placed.len() == buffers.len() {
            best = placed.iter().map(|&(_, end)| end).max().unwrap_or(0);
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn a_search_finds_the_lowest_placement_and_knows_that_none_is_lower(
            buffers in prop::collection::vec((0u64..12, 1u64..8, 1u64..9), 1..8),
        ) {
            let buffers: Vec<Buffer> = buffers
                .into_iter()
                .map(|(lower, length, size)| Buffer { lower, upper: lower + length, size })
                .collect();
            let around = neighbours(&buffers);
            let best = lowest(&buffers, &mut Vec::new());
            prop_assert!(lower_bound(&buffers) <= best);
            let mut never = || ControlFlow::Continue(());
            for (criterion, order) in greedy::orders(&buffers, &around) {
                for criterion in [None, Some(criterion)] {
                    let ranking = Ranking { order: &order, criterion };
                    let found = search(&buffers, &around, ranking, best, u64::MAX, &mut never);
                    prop_assert!(matches!(found, Found::Placed(_)));
                    let found = search(&buffers, &around, ranking, best - 1, u64::MAX, &mut never);
                    prop_assert!(matches!(found, Found::Impossible));
                }
            }
        }
    }
}
