// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is simulated, and what a simulation came to.

use thiserror::Error;

use crate::clock::Nanos;
use crate::granularity::Decision;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::scheduler::SubmitError;
use crate::workload::ProgramError;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The unit of tracking and moves.
    pub policy: Policy,
    /// Compute engines.
    pub engines: usize,
    /// DMA engines.
    pub dma_engines: usize,
    /// The card's sizes and costs.
    pub profile: Profile,
}

/// When and where an instruction ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its place in the program.
    pub instruction: usize,
    /// The compute engine.
    pub engine: usize,
    /// When its data were there and it started.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
}

/// One move over the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes brought to the card.
    pub filled: u64,
    /// Bytes written home.
    pub drained: u64,
    /// When it was asked for.
    pub asked: Nanos,
    /// When it was over.
    pub end: Nanos,
}

/// How finely memory was tracked when a batch had been analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// When.
    pub at: Nanos,
    /// Instructions analysed by then.
    pub analysed: usize,
    /// Units tracked.
    pub cells: usize,
    /// Objects split so far, and merged.
    pub splits: u64,
    /// See `splits`.
    pub merges: u64,
}

/// What a simulation came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From the first analysis to the last byte home.
    pub makespan: Nanos,
    /// Bytes over the link, both ways.
    pub moved_bytes: u64,
    /// Moves these were made of.
    pub moves: u64,
    /// Bytes into, out of and between local memories.
    pub local_bytes: u64,
    /// Modelled time of the analysis unit.
    pub analysis: Nanos,
    /// Times an object's unit of tracking was split, and merged.
    pub splits: u64,
    /// See `splits`.
    pub merges: u64,
    /// The latest of these decisions.
    pub decisions: Vec<Decision>,
    /// Each instruction, in the order in which they ended.
    pub spans: Vec<Span>,
    /// Each move, in the order in which they were asked for.
    pub transfers: Vec<Transfer>,
    /// The unit of tracking over time, one entry a batch.
    pub tracking: Vec<Tracking>,
}

/// Why a program cannot be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The scheduler refused it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// It could not be split into lists.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Instructions were left that nothing can release.
    #[error("{0} instructions never became ready")]
    Stuck(usize),
}
