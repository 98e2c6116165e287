// SPDX-License-Identifier: MIT OR Apache-2.0
//! One instruction in flight, as the graph remembers it.

use super::Sequence;
use super::edge::{Edge, EdgeList};
use crate::attributes::Attributes;
use crate::pool::{EMPTY, Pool};
use crate::replay::Inside;

/// All that is looked at when it is released, taken and ended lies in one cache
/// line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Node {
    /// Edges into this instruction that are not released, and one more while
    /// it is being analysed; [`ENDED`] when it has ended.
    pending: u32,
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
    /// Something it reads was written by a failed instruction.
    poisoned: bool,
    pub attributes: Attributes,
}

/// No instruction waits for so many.
const ENDED: u32 = u32::MAX;

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

    /// Adds reasons to wait.
    #[inline]
    pub fn hold(&mut self, holds: u32) {
        self.pending += holds;
    }

    /// Takes one reason to wait from it, and says whether that was the last.
    #[inline(always)]
    pub fn release(&mut self) -> bool {
        self.pending -= 1;
        self.pending == 0
    }

    /// Whether nothing is waited for, and it has not ended.
    #[inline]
    pub fn is_released(&self) -> bool {
        self.pending == 0
    }

    /// Whether something is waited for.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        !self.is_released() && !self.has_ended()
    }

    /// Ends it, if it is released and has not ended; whether that is so.
    #[inline(always)]
    pub fn end(&mut self) -> bool {
        let released = self.is_released();
        if released {
            self.pending = ENDED;
        }
        released
    }

    #[inline]
    pub fn has_ended(&self) -> bool {
        self.pending == ENDED
    }

    /// Forbids it to run.
    #[inline]
    pub fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Whether it must not run.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::fresh(0, Attributes::default())
    }
}
