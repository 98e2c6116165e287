// SPDX-License-Identifier: MIT OR Apache-2.0
//! One instruction in flight, as the graph remembers it.

use super::edge::Edge;
use super::{Release, Sequence};
use crate::attributes::Attributes;
use crate::pool::{EMPTY, Pool};

/// All that is looked at when it is released, taken and ended lies in one cache
/// line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Node {
    /// Edges into this instruction that are not released, and one more while
    /// it is being analysed.
    pub pending: u32,
    /// The last successor added, without the upper bits, so that a second
    /// conflict between the same two instructions is no second edge: no two
    /// that are remembered have the same lower bits.
    pub latest: u32,
    /// Length of the longest chain of remembered instructions before it.
    pub level: u32,
    /// Which replayed list it is in, counted from the graph's first ever.
    pub list: u32,
    /// Who waits for it, but for what a replayed list knows of itself: most
    /// have one, the others lie in the pool.
    first: Edge,
    others: u32,
    pub replayed: bool,
    pub ended: bool,
    /// Something it reads was written by a failed instruction.
    poisoned: bool,
    pub attributes: Attributes,
}

const _: () = assert!(size_of::<Node>() == 64);

impl Node {
    /// The instruction `sequence`, which is about to be analysed.
    #[inline]
    pub fn fresh(sequence: Sequence, attributes: Attributes) -> Self {
        Self {
            pending: 1,
            latest: sequence as u32,
            level: 0,
            list: 0,
            first: Edge::NONE,
            others: EMPTY,
            replayed: false,
            ended: false,
            poisoned: false,
            attributes,
        }
    }

    /// One of the replayed list of this number, whose first is `first`.
    #[inline]
    pub fn replayed(
        first: Sequence,
        list: u32,
        waits: u32,
        level: u32,
        attributes: Attributes,
    ) -> Self {
        Self {
            pending: waits,
            level,
            list,
            replayed: true,
            ..Self::fresh(first, attributes)
        }
    }

    /// Adds one that waits for it.
    #[inline]
    pub fn add(&mut self, edge: Edge, pool: &mut Pool<Edge>) {
        if self.first == Edge::NONE {
            self.first = edge;
        } else {
            pool.push(&mut self.others, edge);
        }
    }

    /// Takes all that wait for it, the latest first, to be handed to [`drain`].
    #[inline]
    pub fn take_edges(&mut self) -> (Edge, u32) {
        (
            std::mem::replace(&mut self.first, Edge::NONE),
            std::mem::replace(&mut self.others, EMPTY),
        )
    }

    /// All that wait for it.
    pub fn edges<'a>(&self, pool: &'a Pool<Edge>) -> impl Iterator<Item = Edge> + 'a {
        let first = (self.first != Edge::NONE).then_some(self.first);
        first.into_iter().chain(pool.iter(self.others))
    }

    /// Takes one reason to wait from it; it is the instruction `sequence`.
    #[inline]
    pub fn release(&mut self, sequence: Sequence, poison: bool, released: &mut Vec<Release>) {
        self.poisoned |= poison;
        self.pending -= 1;
        if self.pending == 0 {
            let poisoned = self.poisoned;
            released.push(Release { sequence, poisoned });
        }
    }
}

/// Calls `visit` with what [`Node::take_edges`] took, the latest first, and gives
/// its room back.
#[inline]
pub fn drain((first, mut others): (Edge, u32), pool: &mut Pool<Edge>, mut visit: impl FnMut(Edge)) {
    while let Some(edge) = pool.pop(&mut others) {
        visit(edge);
    }
    if first != Edge::NONE {
        visit(first);
    }
}
