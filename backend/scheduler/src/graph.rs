// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for whom: the instructions in flight and the edges between them.
//!
//! Instructions are numbered in the order they were submitted.  An edge stands
//! for one conflict that dependence analysis found; an instruction is ready
//! when all edges into it have been released.  What the conflict was about is
//! not known here, except whether the later one *reads* what the earlier one
//! wrote: only that edge carries a failure on.

use std::collections::{HashSet, VecDeque};

use crate::pool::{EMPTY, Pool};

/// Position of an instruction in the submission order of its context.
pub type Sequence = u64;

/// No instruction.
pub(crate) const NOBODY: Sequence = u64::MAX;

/// Why one instruction waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The later one reads what the earlier one writes.
    ReadAfterWrite,
    /// The later one writes what the earlier one reads.
    WriteAfterRead,
    /// Both write.
    WriteAfterWrite,
}

/// How an instruction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Done,
    /// It did not; what it was to write is not to be trusted.
    Failed,
}

/// What became of an instruction that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    InFlight,
    Done,
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Edges into this instruction that are not released, and one more while
    /// it is being analysed.
    pending: u32,
    /// Successors: sequence, and whether it reads what this one writes.
    successors: u32,
    /// The last successor added, so that a second conflict between the same
    /// two instructions is no second edge.
    latest: Sequence,
    /// Length of the longest chain of remembered instructions before it.
    level: u32,
    ended: bool,
    /// Something it reads was written by a failed instruction.
    poisoned: bool,
}

/// The dependence graph of one context.
#[derive(Debug)]
pub struct Graph {
    /// Sequence of `nodes[0]`; everything before has ended.
    base: Sequence,
    nodes: VecDeque<Node>,
    edges: Pool<(Sequence, bool)>,
    in_flight: usize,
    /// Failed instructions that dependence analysis may still name.
    failed: HashSet<Sequence>,
    edge_total: u64,
    released: Vec<Release>,
}

/// An instruction all of whose edges are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The instruction.
    pub sequence: Sequence,
    /// It must not run: something it reads was written by an instruction that
    /// failed.  It is to be finished as [`Outcome::Failed`].
    pub poisoned: bool,
}

impl Graph {
    pub(crate) fn new() -> Self {
        Self {
            base: 0,
            nodes: VecDeque::new(),
            edges: Pool::new(),
            in_flight: 0,
            failed: HashSet::new(),
            edge_total: 0,
            released: Vec::new(),
        }
    }

    /// The sequence that the next instruction will have.
    #[must_use]
    pub fn next(&self) -> Sequence {
        self.base + self.nodes.len() as u64
    }

    /// The oldest instruction that has not ended; the next one when all have.
    #[must_use]
    pub fn oldest(&self) -> Sequence {
        self.base
    }

    /// Instructions submitted and not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Instructions remembered: those in flight and those that ended behind one
    /// that is.
    #[must_use]
    pub fn window(&self) -> usize {
        self.nodes.len()
    }

    /// Edges held now.
    pub(crate) fn edges_held(&self) -> usize {
        self.edges.len()
    }

    /// Edges ever added.
    #[must_use]
    pub fn edge_total(&self) -> u64 {
        self.edge_total
    }

    /// Adds an instruction that is not released before [`Graph::seal`].
    pub(crate) fn open(&mut self) -> Sequence {
        let sequence = self.next();
        self.nodes.push_back(Node {
            pending: 1,
            successors: EMPTY,
            latest: NOBODY,
            level: 0,
            ended: false,
            poisoned: false,
        });
        self.in_flight += 1;
        sequence
    }

    /// What became of `sequence`.
    pub(crate) fn standing(&self, sequence: Sequence) -> Standing {
        let ended = sequence < self.base
            || self
                .nodes
                .get((sequence - self.base) as usize)
                .is_none_or(|node| node.ended);
        if !ended {
            Standing::InFlight
        } else if !self.failed.is_empty() && self.failed.contains(&sequence) {
            Standing::Failed
        } else {
            Standing::Done
        }
    }

    /// Makes `after`, the newest instruction, wait for `before`, and returns
    /// what became of `before`: an instruction that has ended is not waited
    /// for, but its failure is carried on.
    pub(crate) fn depend(
        &mut self,
        before: Sequence,
        after: Sequence,
        conflict: Conflict,
    ) -> Standing {
        if before == after {
            return Standing::InFlight;
        }
        let reads = conflict == Conflict::ReadAfterWrite;
        let node = match before.checked_sub(self.base) {
            Some(index) => self.nodes.get_mut(index as usize),
            None => None,
        };
        let level = node.as_ref().map_or(0, |node| node.level + 1);
        let standing = match node {
            Some(node) if !node.ended => {
                if node.latest != after {
                    node.latest = after;
                    self.edges.push(&mut node.successors, (after, reads));
                    self.edge_total += 1;
                    if let Some(newest) = self.nodes.back_mut() {
                        newest.pending += 1;
                    }
                }
                Standing::InFlight
            }
            _ => {
                let standing = self.standing(before);
                if standing == Standing::Failed
                    && reads
                    && let Some(newest) = self.nodes.back_mut()
                {
                    newest.poisoned = true;
                }
                standing
            }
        };
        if let Some(newest) = self.nodes.back_mut() {
            newest.level = newest.level.max(level);
        }
        standing
    }

    /// Ends the analysis of `sequence`; it is released when nothing holds it.
    pub(crate) fn seal(&mut self, sequence: Sequence) {
        self.release_one(sequence, false);
    }

    /// Holds `sequence` back for one more reason, to be lifted by
    /// [`Graph::lift`].
    pub(crate) fn hold(&mut self, sequence: Sequence) {
        if let Some(node) = self.node_mut(sequence) {
            node.pending += 1;
        }
    }

    /// Lifts one reason of [`Graph::hold`].
    pub(crate) fn lift(&mut self, sequence: Sequence) {
        self.release_one(sequence, false);
    }

    /// Takes the next released instruction.
    pub(crate) fn pop_released(&mut self) -> Option<Release> {
        self.released.pop()
    }

    /// Ends `sequence` and releases what waited for it only.  Returns false,
    /// and does nothing, when it is not in flight.
    pub(crate) fn finish(&mut self, sequence: Sequence, outcome: Outcome) -> bool {
        let Some(node) = self.node_mut(sequence) else {
            return false;
        };
        if node.ended || node.pending != 0 {
            return false;
        }
        node.ended = true;
        let mut successors = std::mem::replace(&mut node.successors, EMPTY);
        let failed = outcome == Outcome::Failed;
        if failed {
            self.failed.insert(sequence);
        }
        self.in_flight -= 1;
        while let Some((after, reads)) = self.edges.pop(&mut successors) {
            self.release_one(after, failed && reads);
        }
        while self.nodes.front().is_some_and(|node| node.ended) {
            self.nodes.pop_front();
            self.base += 1;
        }
        true
    }

    /// The instructions that wait for `sequence`, in no order.
    pub fn successors(&self, sequence: Sequence) -> impl Iterator<Item = Sequence> + '_ {
        let head = sequence
            .checked_sub(self.base)
            .and_then(|index| self.nodes.get(index as usize))
            .map_or(EMPTY, |node| node.successors);
        self.edges.iter(head).map(|(after, _)| after)
    }

    /// Length of the longest chain before `sequence`, as far as it was
    /// remembered when `sequence` was analysed.
    pub(crate) fn level(&self, sequence: Sequence) -> u32 {
        sequence
            .checked_sub(self.base)
            .and_then(|index| self.nodes.get(index as usize))
            .map_or(0, |node| node.level)
    }

    /// Failed instructions that are remembered.
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Forgets failed instructions that `named` says nobody can name again.
    pub(crate) fn forget_failures(&mut self, named: impl Fn(Sequence) -> bool) {
        self.failed.retain(|&sequence| named(sequence));
    }

    fn node_mut(&mut self, sequence: Sequence) -> Option<&mut Node> {
        let index = sequence.checked_sub(self.base)?;
        self.nodes.get_mut(index as usize)
    }

    fn release_one(&mut self, sequence: Sequence, poison: bool) {
        let Some(node) = self.node_mut(sequence) else {
            return;
        };
        node.poisoned |= poison;
        node.pending -= 1;
        if node.pending == 0 {
            let poisoned = node.poisoned;
            self.released.push(Release { sequence, poisoned });
        }
    }
}
