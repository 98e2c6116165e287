// SPDX-License-Identifier: MIT OR Apache-2.0
//! Greedy placement: each buffer in turn at the lowest place that is free, and
//! orders that learn from where that went wrong.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use super::{Buffer, Placement, lower_bound};

/// What a buffer is measured by to come early.
#[derive(Clone, Copy, Debug)]
enum Measure {
    /// The most that lives at one time while it does.
    Crowd,
    /// How long it lives.
    Length,
    /// Its bytes.
    Size,
    /// Bytes times lifetime.
    Area,
}

/// By what buffers come: the larger first, by the first of these measures that differs.
#[derive(Clone, Copy, Debug)]
pub struct Criterion([Measure; 3]);

impl Criterion {
    /// Those that are good starts.
    pub const ALL: [Criterion; 5] = {
        use Measure::{Area, Crowd, Length, Size};
        [
            Criterion([Crowd, Length, Area]),
            Criterion([Crowd, Area, Length]),
            Criterion([Length, Area, Crowd]),
            Criterion([Size, Length, Area]),
            Criterion([Area, Size, Length]),
        ]
    };

    /// What to sort buffers by, one of which is `buffer` and lives in a crowd of so many
    /// bytes.
    pub fn key(self, buffer: &Buffer, crowd: u64) -> Reverse<[u128; 3]> {
        let length = u128::from(buffer.upper - buffer.lower);
        let size = u128::from(buffer.size);
        Reverse(self.0.map(|measure| match measure {
            Measure::Crowd => u128::from(crowd),
            Measure::Length => length,
            Measure::Size => size,
            Measure::Area => size * length,
        }))
    }
}

/// The buffers in an order for each criterion.
pub fn orders(buffers: &[Buffer], neighbours: &[Vec<u32>]) -> Vec<(Criterion, Vec<u32>)> {
    let crowd = |it: &Buffer, around: &[u32]| {
        let around = around.iter().filter_map(|&at| buffers.get(at as usize));
        let clipped: Vec<Buffer> = around
            .map(|other| Buffer {
                lower: other.lower.max(it.lower),
                upper: other.upper.min(it.upper),
                size: other.size,
            })
            .collect();
        it.size + lower_bound(&clipped)
    };
    let crowds: Vec<u64> = (buffers.iter().zip(neighbours))
        .map(|(it, around)| crowd(it, around))
        .collect();
    let ordered = |criterion: Criterion| {
        let keys = buffers.iter().zip(&crowds);
        let mut order: Vec<_> = keys
            .map(|(it, &crowd)| criterion.key(it, crowd))
            .zip(0..)
            .collect();
        order.sort_unstable();
        let order = order.into_iter().map(|(_, at)| at).collect();
        (criterion, order)
    };
    Criterion::ALL.map(ordered).into()
}

/// Places every buffer of `order` at the lowest gap it fits into.
pub fn place(buffers: &[Buffer], neighbours: &[Vec<u32>], order: &[u32]) -> Placement {
    let mut offsets: Vec<Option<u64>> = vec![None; buffers.len()];
    let mut taken: Vec<(u64, u64)> = Vec::new();
    for &at in order {
        let (Some(buffer), Some(around)) = (buffers.get(at as usize), neighbours.get(at as usize))
        else {
            continue;
        };
        taken.clear();
        taken.extend(around.iter().filter_map(|&other| {
            let start = offsets.get(other as usize).copied().flatten()?;
            Some((start, start + buffers.get(other as usize)?.size))
        }));
        taken.sort_unstable();
        let mut offset = 0;
        for &(start, end) in &taken {
            if offset + buffer.size <= start {
                break;
            }
            offset = offset.max(end);
        }
        if let Some(place) = offsets.get_mut(at as usize) {
            *place = Some(offset);
        }
    }
    let offsets = offsets.into_iter().map(Option::unwrap_or_default).collect();
    Placement::new(buffers, offsets)
}

/// Places again and again (squeaky wheel optimisation, Joslin and Clements
/// 1999): a buffer that ends above `capacity` comes earlier next time.
pub fn improve(
    buffers: &[Buffer],
    neighbours: &[Vec<u32>],
    order: &[u32],
    capacity: u64,
    rounds: u64,
    expired: &mut impl FnMut() -> ControlFlow<()>,
) -> Placement {
    let mut order = order.to_vec();
    let mut best = place(buffers, neighbours, &order);
    let mut draw = rounds;
    for _ in 0..rounds {
        if best.height <= capacity || expired().is_break() {
            break;
        }
        let placed = place(buffers, neighbours, &order);
        let squeaks = |at: u32| {
            let end = placed
                .offsets
                .get(at as usize)
                .zip(buffers.get(at as usize));
            end.is_some_and(|(offset, it)| offset + it.size > capacity)
        };
        for position in 1..order.len() {
            let Some(&at) = order.get(position) else {
                break;
            };
            if squeaks(at) {
                // A step whose length varies keeps rounds from repeating.
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let step = 1 + (draw >> 33) as usize % (1 + position / 2);
                if let Some(part) = order.get_mut(position - step.min(position)..=position) {
                    part.rotate_right(1);
                }
            }
        }
        if placed.height < best.height {
            best = placed;
        }
    }
    best
}
