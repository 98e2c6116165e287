// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge of the graph, from the side of the instruction that is waited for.

use super::Sequence;
use crate::pool::Pool;

/// What waits for an instruction, in one word: one instruction and whether it
/// reads what this one writes, or some of a replayed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge(u64);

/// An [`Edge`] in its parts.
pub enum Waiter {
    One(Sequence, bool),
    /// The run of [`crate::replay::Template::followers`] that begins here, in the list
    /// of this number.
    Run(u32, usize),
}

impl Edge {
    /// Nothing waits.  No recording has so many followers.
    pub const NONE: Self = Self(u64::MAX);

    pub fn one(after: Sequence, reads: bool) -> Self {
        Self(after << 2 | u64::from(reads) << 1)
    }

    pub fn run(list: u32, start: u32) -> Self {
        Self(u64::from(start) << 33 | u64::from(list) << 1 | 1)
    }

    pub fn waiter(self) -> Waiter {
        if self.0 & 1 == 0 {
            Waiter::One(self.0 >> 2, self.0 & 2 != 0)
        } else {
            Waiter::Run((self.0 >> 1) as u32, (self.0 >> 33) as usize)
        }
    }
}

/// Who waits for one instruction: most have one, the others lie in the pool.
#[derive(Clone, Copy, Debug)]
pub struct EdgeList {
    pub first: Edge,
    pub others: u32,
}

impl EdgeList {
    pub fn iter(self, pool: &Pool<Edge>) -> impl Iterator<Item = Edge> + '_ {
        let first = (self.first != Edge::NONE).then_some(self.first);
        first.into_iter().chain(pool.iter(self.others))
    }

    /// Takes the latest, whose room is given back.
    #[inline(always)]
    pub fn pop(&mut self, pool: &mut Pool<Edge>) -> Option<Edge> {
        pool.pop(&mut self.others).or_else(|| {
            let first = std::mem::replace(&mut self.first, Edge::NONE);
            (first != Edge::NONE).then_some(first)
        })
    }
}
