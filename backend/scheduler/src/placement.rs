// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places buffers of known lifetimes in one memory, as low as it can.
//!
//! Buffers that live at the same time must not overlap in memory.  Finding the
//! lowest placement is NP-hard (it is the dynamic storage allocation problem),
//! so it is done in steps: buffers whose lifetimes never meet, directly or
//! through others, are placed apart; each such part is placed greedily in
//! several orders; where that does not fit into the capacity, orders are
//! improved by moving buffers that ended too high to the front, and searched.
//! Nothing here knows what the buffers are for, or a clock: the caller says
//! when to stop.

mod greedy;
pub mod layout;
mod online;
mod search;
pub mod together;

pub use online::{Online, place_online};

use std::ops::ControlFlow;

use search::Ranking;

/// Rounds in which an order is improved in the first turn.
const ROUNDS: u64 = 5;
/// Partial placements that a search looks at in the first turn, and the
/// shortest one in any.
const NODES: u64 = 2_000;
const SHORT: u64 = 1_000;
/// How far a shuffle carries a buffer.
const NEAR: usize = 12;

/// A buffer that is to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// When it begins to live.
    pub lower: u64,
    /// When it no longer does.
    pub upper: u64,
    /// Bytes.
    pub size: u64,
}

impl Buffer {
    fn meets(&self, other: &Self) -> bool {
        self.lower < other.upper && other.lower < self.upper
    }
}

/// Where each buffer lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// First byte of each buffer, in the order in which they were given.
    pub offsets: Vec<u64>,
    /// Bytes of memory used: the highest end.
    pub height: u64,
}

impl Placement {
    fn new(buffers: &[Buffer], offsets: Vec<u64>) -> Self {
        let ends = buffers.iter().zip(&offsets).map(|(it, at)| at + it.size);
        let height = ends.max().unwrap_or(0);
        Self { offsets, height }
    }
}

/// No placement is lower: the most that lives at one time.
#[must_use]
pub fn lower_bound(buffers: &[Buffer]) -> u64 {
    let mut changes: Vec<(u64, bool, u64)> = Vec::with_capacity(2 * buffers.len());
    for buffer in buffers.iter().filter(|it| it.lower < it.upper) {
        changes.push((buffer.lower, true, buffer.size));
        changes.push((buffer.upper, false, buffer.size));
    }
    // What ends makes room before something begins.
    changes.sort_unstable();
    let (mut live, mut most) = (0, 0);
    for (_, begins, size) in changes {
        if begins {
            live += size;
            most = most.max(live);
        } else {
            live -= size;
        }
    }
    most
}

/// Places buffers, all known beforehand, and stops as soon as they fit into
/// `capacity`, when that is impossible, or when `expired` says so; the lowest
/// placement found is returned.  Sizes must not add up to more than a `u64`.
pub fn place(
    buffers: &[Buffer],
    capacity: u64,
    mut expired: impl FnMut() -> ControlFlow<()>,
) -> Placement {
    let mut offsets = vec![0; buffers.len()];
    for part in parts(buffers) {
        let members: Vec<Buffer> = part
            .iter()
            .filter_map(|&at| buffers.get(at).copied())
            .collect();
        let placed = place_part(&members, capacity, &mut expired);
        for (&at, offset) in part.iter().zip(placed.offsets) {
            if let Some(place) = offsets.get_mut(at) {
                *place = offset;
            }
        }
    }
    Placement::new(buffers, offsets)
}

fn place_part(
    buffers: &[Buffer],
    capacity: u64,
    expired: &mut impl FnMut() -> ControlFlow<()>,
) -> Placement {
    let neighbours = neighbours(buffers);
    let orders = greedy::orders(buffers, &neighbours);
    let mut best = Placement::default();
    for (number, (_, order)) in orders.iter().enumerate() {
        let placed = greedy::place(buffers, &neighbours, order);
        if number == 0 || placed.height < best.height {
            best = placed;
        }
        if best.height <= capacity {
            return best;
        }
    }
    if lower_bound(buffers) > capacity {
        return best;
    }
    // Some inputs yield to improving orders, others to a search; neither often
    // recovers from a bad beginning.  So turns that grow, each with all orders,
    // and beside the long search of an order many short ones of orders that are
    // shuffled a little.
    let mut draw = 1;
    let mut trial = 0;
    let mut turn = 1;
    loop {
        for (criterion, order) in &orders {
            let rounds = ROUNDS * turn;
            let improved = greedy::improve(buffers, &neighbours, order, capacity, rounds, expired);
            if improved.height < best.height {
                best = improved;
            }
            if best.height <= capacity {
                return best;
            }
            let budget = NODES * turn;
            let mut order = order.clone();
            let mut nodes = budget;
            let mut spent = 0;
            while spent < budget {
                // Neither way to rank what falls apart is the better one everywhere.
                for criterion in [None, Some(*criterion)] {
                    let ranking = Ranking {
                        order: &order,
                        criterion,
                    };
                    match search::search(buffers, &neighbours, ranking, capacity, nodes, expired) {
                        search::Found::Placed(offsets) => return Placement::new(buffers, offsets),
                        search::Found::Impossible => return best,
                        search::Found::Stopped => {}
                    }
                    if expired().is_break() {
                        return best;
                    }
                }
                trial += 1;
                nodes = SHORT * luby(trial);
                spent += nodes;
                order = shuffled(&order, &mut draw);
            }
        }
        turn *= 2;
    }
}

/// The sequence 1, 1, 2, 1, 1, 2, 4, ..., by which restarts lose least against
/// the best length nobody knows (Luby, Sinclair and Zuckerman 1993).
fn luby(trial: u64) -> u64 {
    let mut trial = trial;
    loop {
        let power = (trial + 1).next_power_of_two();
        if power == trial + 1 {
            return power / 2;
        }
        trial -= power / 2 - 1;
    }
}

/// An order in which some have changed places with others near them.
fn shuffled(order: &[u32], draw: &mut u64) -> Vec<u32> {
    let mut order = order.to_vec();
    for position in 0..order.len() {
        *draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let other = position + (*draw >> 33) as usize % NEAR;
        if *draw >> 62 == 0 && other < order.len() {
            order.swap(position, other);
        }
    }
    order
}

/// Which other buffers each one meets.
fn neighbours(buffers: &[Buffer]) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..buffers.len() as u32).collect();
    order.sort_by_key(|&at| buffers.get(at as usize).map_or(0, |it| it.lower));
    let mut all = vec![Vec::new(); buffers.len()];
    for (position, &at) in order.iter().enumerate() {
        let Some(buffer) = buffers.get(at as usize) else {
            continue;
        };
        for &other in order.get(position + 1..).unwrap_or_default() {
            let Some(it) = buffers.get(other as usize) else {
                continue;
            };
            if it.lower >= buffer.upper {
                break;
            }
            if it.meets(buffer) {
                for (one, two) in [(at, other), (other, at)] {
                    if let Some(list) = all.get_mut(one as usize) {
                        list.push(two);
                    }
                }
            }
        }
    }
    all
}

/// The buffers by the stretches of time without a gap that they live in.
fn parts(buffers: &[Buffer]) -> Vec<Vec<usize>> {
    let mut order: Vec<(u64, u64, usize)> = buffers
        .iter()
        .enumerate()
        .map(|(at, it)| (it.lower, it.upper, at))
        .collect();
    order.sort_unstable();
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut end = 0;
    for (lower, upper, at) in order {
        match parts.last_mut() {
            Some(part) if lower < end => part.push(at),
            _ => parts.push(vec![at]),
        }
        end = end.max(upper);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buffers() -> impl Strategy<Value = Vec<Buffer>> {
        let buffer = (0u64..40, 1u64..15, 1u64..30).prop_map(|(lower, length, size)| Buffer {
            lower,
            upper: lower + length,
            size,
        });
        prop::collection::vec(buffer, 0..40)
    }

    fn check(buffers: &[Buffer], placed: &Placement) {
        assert_eq!(placed.offsets.len(), buffers.len());
        for (one, (a, at)) in buffers.iter().zip(&placed.offsets).enumerate() {
            assert!(at + a.size <= placed.height);
            for (b, other) in buffers.iter().zip(&placed.offsets).skip(one + 1) {
                assert!(
                    !a.meets(b) || at + a.size <= *other || other + b.size <= *at,
                    "{a:?} at {at} and {b:?} at {other}"
                );
            }
        }
    }

    /// Stops after so many questions.
    fn after(mut questions: u32) -> impl FnMut() -> ControlFlow<()> {
        move || {
            questions = questions.saturating_sub(1);
            if questions == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_lives_together_overlaps(buffers in buffers()) {
            let bound = lower_bound(&buffers);
            for placed in [
                place(&buffers, bound, after(200)),
                place(&buffers, u64::MAX, after(1)),
            ] {
                check(&buffers, &placed);
                prop_assert!(placed.height >= bound);
            }
            let online = place_online(&buffers);
            prop_assert!(online.height >= bound && online.height * 20 <= bound * 23);
        }
    }

    #[test]
    fn what_only_a_search_finds_is_found() {
        let rows = [
            (4, 9, 7),
            (1, 5, 7),
            (0, 2, 6),
            (0, 6, 6),
            (3, 7, 7),
            (6, 12, 9),
        ];
        let buffers: Vec<Buffer> = rows
            .iter()
            .map(|&(lower, upper, size)| Buffer { lower, upper, size })
            .collect();
        let around = neighbours(&buffers);
        for (_, order) in greedy::orders(&buffers, &around) {
            assert!(greedy::place(&buffers, &around, &order).height > 27);
        }
        let placed = place(&buffers, 27, after(100_000));
        check(&buffers, &placed);
        assert_eq!((lower_bound(&buffers), placed.height), (27, 27));
    }

    #[test]
    fn lifetimes_that_touch_do_not_meet() {
        let buffer = |lower, upper| Buffer {
            lower,
            upper,
            size: 8,
        };
        let buffers = [buffer(0, 4), buffer(4, 8), buffer(3, 5)];
        assert_eq!(lower_bound(&buffers), 16);
        assert_eq!(place(&buffers, 16, after(10)).height, 16);
        assert_eq!(place_online(&buffers[..2]).height, 8);
        assert_eq!(place(&[], 0, after(1)), Placement::default());
    }
}
