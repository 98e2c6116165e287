// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes into a scheduler and what comes out of it: contexts, lists, engines
//! that ask for work, work, and lists that have ended.

use thiserror::Error;

use crate::analyser::Limits;
use crate::clock::Nanos;
use crate::context::Releaser;
use crate::graph::Sequence;
use crate::list::Unit;
use crate::policy::Policy;
use crate::slots::Name;

/// What a [`Scheduler`](super::Scheduler) is built for.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Engines that compute.
    pub compute_engines: usize,
    /// Engines that move data.
    pub dma_engines: usize,
    /// The unit at which memory is tracked.
    pub policy: Policy,
    /// Bounds of each context's analysis.
    pub limits: Limits,
    /// Lists that a context may have submitted and not ended, and, counted
    /// apart, instructions of such lists, analysed or not.
    pub queued_instructions: usize,
}

/// A context of this scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub(super) Name);

/// A submitted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(pub(super) Name);

impl ListId {
    /// No list.
    pub(crate) const NONE: Self = Self(Name::NONE);
}

/// An engine that asks for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// A compute engine, by number.
    Compute(usize),
    /// A DMA engine, by number.
    Dma(usize),
}

impl Engine {
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Compute(_) => Unit::Compute,
            Self::Dma(_) => Unit::Dma,
        }
    }

    pub(super) fn number(self) -> usize {
        match self {
            Self::Compute(number) | Self::Dma(number) => number,
        }
    }
}

/// One instruction, to be run by the engine that took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whose it is.
    pub context: ContextId,
    /// The list it is in.
    pub list: ListId,
    /// Its place in the list.
    pub position: u32,
    /// Its modelled time on one engine, as the list says.
    pub cost: Nanos,
    pub(crate) sequence: Sequence,
    /// The engine that took it.
    pub(super) by: Releaser,
}

impl Work {
    /// Whether `other` is of the same context and was taken by the same engine.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.context == other.context && self.by == other.by
    }
}

/// A list of which every instruction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListEnd {
    /// Whose it was.
    pub context: ContextId,
    /// The list.
    pub list: ListId,
    /// The first instruction, in program order, that failed or was not run
    /// because of another's failure.
    pub failed: Option<u32>,
    /// When its first instruction was taken; for an empty list, and one none
    /// of whose instructions was run, when it ended.
    pub started: Nanos,
    /// When its last instruction ended.
    pub finished: Nanos,
}

/// Why a list is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// No such context.
    #[error("no such context")]
    NoContext,
    /// The list it waits for was never submitted.
    #[error("a list can only wait for lists that were submitted before it")]
    UnknownList,
    /// The context has as much queued as it may: try again when a list ends.
    #[error("too much is queued; try again when a list has ended")]
    Busy,
}
