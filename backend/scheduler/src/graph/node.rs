// SPDX-License-Identifier: MIT OR Apache-2.0
//! One instruction in flight, as the graph remembers it.

use super::edge::{Edge, EdgeList};
use super::{Release, Sequence};
use crate::attributes::Attributes;
use crate::pool::{EMPTY, Pool};
use crate::replay::Inside;
use crate::ring::Ring;

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
    /// Who of its own list waits for it, where that is replayed.
    pub inside: Inside,
    /// Who else waits for it: an [`EdgeList`] in its parts, which takes less room.
    first: Edge,
    others: u32,
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
            inside: Inside::NOBODY,
            first: Edge::NONE,
            others: EMPTY,
            ended: false,
            poisoned: false,
            attributes,
        }
    }

    /// An instruction of a replayed list, and for how many it waits.
    #[inline]
    pub fn replayed(
        sequence: Sequence,
        waits: u32,
        level: u32,
        inside: Inside,
        attributes: Attributes,
    ) -> Self {
        Self {
            pending: waits,
            level,
            inside,
            ..Self::fresh(sequence, attributes)
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

    /// All that wait for it.
    #[inline]
    pub fn edges(&self) -> EdgeList {
        EdgeList {
            first: self.first,
            others: self.others,
        }
    }

    /// Takes all that wait for it.
    #[inline]
    pub fn take_edges(&mut self) -> EdgeList {
        let edges = self.edges();
        (self.first, self.others) = (Edge::NONE, EMPTY);
        edges
    }

    /// Takes one reason to wait from it, and says whether that was the last.
    #[inline(always)]
    pub fn release(&mut self, poison: bool) -> bool {
        self.poisoned |= poison;
        self.pending -= 1;
        self.pending == 0
    }

    /// Whether it must not run.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

/// Takes one reason to wait from `after`, and calls `release` when it was the
/// last.
#[inline(always)]
pub fn let_go(
    nodes: &mut Ring<Node>,
    after: Sequence,
    poison: bool,
    release: &mut impl FnMut(Release, &Attributes, u32),
) {
    if let Some(node) = nodes.known_mut(after)
        && node.release(poison)
    {
        release(Release::of(after, node), &node.attributes, node.level);
    }
}
