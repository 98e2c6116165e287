// SPDX-License-Identifier: MIT OR Apache-2.0
//! What of a context is ready, for each kind of engine, and how much work is in
//! flight: that decides whether a chain is urgent.
//!
//! It knows nothing of lists and of who waits for whom.

use crate::attributes::Attributes;
use crate::clock::Nanos;
use crate::graph::Sequence;
use crate::list::Unit;
use crate::ready::{Ready, ReadyQueue};

/// No engine has this number.
const NOBODY: usize = usize::MAX;

/// The engine whose work has released an instruction: its number and, in the lowest bit,
/// whether it is a DMA engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Releaser(u32);

impl Releaser {
    /// No engine's work.
    pub const NONE: Self = Self(u32::MAX);

    pub fn new(unit: Unit, engine: usize) -> Self {
        Self((engine as u32) << 1 | unit as u32)
    }

    /// The engine's number, if it is one of this kind.
    #[inline]
    fn of(self, unit: Unit) -> usize {
        if self.0 & 1 == unit as u32 {
            (self.0 >> 1) as usize
        } else {
            NOBODY
        }
    }
}

#[derive(Debug)]
pub struct Queues {
    compute: ReadyQueue,
    dma: ReadyQueue,
    /// Costs of what is in flight.
    work: u64,
    /// What hangs on an instruction decides the end of all when it takes this
    /// part of the work in flight.
    parts: u64,
}

impl Queues {
    pub fn new(compute_engines: usize, dma_engines: usize) -> Self {
        Self {
            compute: ReadyQueue::new(compute_engines),
            dma: ReadyQueue::new(dma_engines),
            work: 0,
            // Half of what each engine has left.
            parts: 2 * compute_engines as u64,
        }
    }

    /// Notes that work of this cost has come into flight.
    #[inline]
    pub fn add_work(&mut self, cost: Nanos) {
        self.work = self.work.saturating_add(cost.0);
    }

    /// Notes that work of this cost has ended.
    #[inline]
    pub fn end_work(&mut self, cost: Nanos) {
        self.work = self.work.saturating_sub(cost.0);
    }

    /// Adds an instruction, `level` deep in the graph and near the engine that
    /// released it.
    #[inline(always)]
    pub fn push(&mut self, sequence: Sequence, attributes: &Attributes, level: u32, by: Releaser) {
        let (rank, unit) = (attributes.rank, attributes.unit);
        let decides = rank.0.saturating_mul(self.parts) >= self.work;
        let ready = Ready {
            sequence,
            urgent: decides.then_some(rank),
            level,
            group: attributes.group,
        };
        self.of_mut(unit).push(ready, by.of(unit));
    }

    /// Takes what an engine of a kind runs next, as [`ReadyQueue::pop_while`] does.
    #[inline(always)]
    pub fn pop_while(&mut self, unit: Unit, engine: usize, more: impl FnMut(Sequence) -> bool) {
        self.of_mut(unit).pop_while(engine, more);
    }

    /// Instructions for engines of a kind that may run.
    #[inline]
    pub fn len(&self, unit: Unit) -> usize {
        match unit {
            Unit::Compute => self.compute.len(),
            Unit::Dma => self.dma.len(),
        }
    }

    /// Instructions that were taken where their data were, and from another
    /// engine's share.
    pub fn taken_near_and_stolen(&self) -> (u64, u64) {
        let (compute, dma) = (
            self.compute.taken_near_and_stolen(),
            self.dma.taken_near_and_stolen(),
        );
        (compute.0 + dma.0, compute.1 + dma.1)
    }

    #[inline(always)]
    fn of_mut(&mut self, unit: Unit) -> &mut ReadyQueue {
        match unit {
            Unit::Compute => &mut self.compute,
            Unit::Dma => &mut self.dma,
        }
    }
}
