// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for whom: the instructions in flight and the edges between them.
//!
//! Instructions are numbered in the order they were submitted.  An edge stands
//! for one conflict that dependence analysis found; an instruction is ready
//! when all edges into it have been released.  What the conflict was about is
//! not known here, except whether the later one *reads* what the earlier one
//! wrote: only that edge carries a failure on.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::pool::{EMPTY, Pool};
use crate::replay::{Recording, Template};

/// Position of an instruction in the submission order of its context.
pub type Sequence = u64;

/// No instruction.
pub(crate) const NOBODY: Sequence = u64::MAX;

/// No replayed list.
const NO_LIST: u64 = u64::MAX;

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
    /// Which replayed list it is in, counted from the graph's first ever.
    replayed: u64,
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
    /// Replayed lists of which something is remembered, by their first
    /// instruction; the number of the first of them.
    lists: VecDeque<(Sequence, Arc<Template>)>,
    first_list: u64,
    /// Is told of every edge that is asked for.
    pub(crate) recording: Option<Recording>,
    horizon: u64,
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
    /// An empty graph; dependence analysis remembers `horizon` instructions
    /// whether they have ended or not.
    pub(crate) fn new(horizon: u64) -> Self {
        Self {
            base: 0,
            nodes: VecDeque::new(),
            edges: Pool::new(),
            in_flight: 0,
            failed: HashSet::new(),
            edge_total: 0,
            released: Vec::new(),
            lists: VecDeque::new(),
            first_list: 0,
            recording: None,
            horizon,
        }
    }

    /// Whether dependence analysis has to remember `sequence`: it has not
    /// ended, or it is so recent that this must not matter.
    pub(crate) fn matters(&self, sequence: Sequence) -> bool {
        self.is_recent(sequence) || self.standing(sequence) == Standing::InFlight
    }

    /// Whether `sequence` is within the horizon.
    pub(crate) fn is_recent(&self, sequence: Sequence) -> bool {
        sequence + self.horizon >= self.next()
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
            replayed: NO_LIST,
            ended: false,
            poisoned: false,
        });
        self.in_flight += 1;
        sequence
    }

    /// Adds all instructions of a list whose analysis is known, each with `held`
    /// holds and its own of `holds`.  Nothing that has failed may be
    /// remembered.
    pub(crate) fn replay(
        &mut self,
        template: &Arc<Template>,
        held: u32,
        holds: &[u32],
    ) -> Sequence {
        let first = self.next();
        let number = self.first_list + self.lists.len() as u64;
        self.lists.push_back((first, template.clone()));
        let mut floor = 0;
        for (place, (&waits, &level)) in template.waits().iter().zip(&template.levels).enumerate() {
            let sequence = first + place as u64;
            let mut pending = waits + held + holds.get(place).copied().unwrap_or(0);
            for &(back, reads) in template.outside(place) {
                let before = first.wrapping_sub(u64::from(back));
                if let Some(node) = self.node_mut(before)
                    && !node.ended
                {
                    floor = floor.max(node.level + 1);
                    let mut successors = node.successors;
                    self.edges.push(&mut successors, (sequence, reads));
                    if let Some(node) = self.node_mut(before) {
                        node.successors = successors;
                    }
                    self.edge_total += 1;
                    pending += 1;
                }
            }
            self.nodes.push_back(Node {
                pending,
                successors: EMPTY,
                latest: NOBODY,
                level: level + floor,
                replayed: number,
                ended: false,
                poisoned: false,
            });
            if pending == 0 {
                self.released.push(Release {
                    sequence,
                    poisoned: false,
                });
            }
        }
        self.in_flight += template.len();
        self.edge_total += template.edges().0 as u64;
        first
    }

    /// The replayed list that an instruction is in, and its place there.
    fn replayed(
        &self,
        list: u64,
        sequence: Sequence,
    ) -> Option<(&(Sequence, Arc<Template>), usize)> {
        let index = list.checked_sub(self.first_list)?;
        let list = self.lists.get(index as usize)?;
        Some((list, (sequence - list.0) as usize))
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
        if let Some(recording) = &mut self.recording {
            recording.wait(before, reads);
        }
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

    /// Holds `sequence` back for so many more reasons, each to be lifted by
    /// [`Graph::lift`].
    pub(crate) fn hold(&mut self, sequence: Sequence, holds: u32) {
        if let Some(node) = self.node_mut(sequence) {
            node.pending += holds;
        }
    }

    /// Lifts one reason of [`Graph::hold`]; nothing when there is none left.
    pub(crate) fn lift(&mut self, sequence: Sequence) {
        if self.node_mut(sequence).is_some_and(|node| node.pending > 0) {
            self.release_one(sequence, false);
        }
    }

    /// Takes the next released instruction.
    pub(crate) fn pop_released(&mut self) -> Option<Release> {
        self.released.pop()
    }

    /// Whether [`Graph::pop_released`] has one.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
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
        let replayed = node.replayed;
        let mut successors = std::mem::replace(&mut node.successors, EMPTY);
        let failed = outcome == Outcome::Failed;
        if failed {
            self.failed.insert(sequence);
        }
        self.in_flight -= 1;
        while let Some((after, reads)) = self.edges.pop(&mut successors) {
            self.release_one(after, failed && reads);
        }
        let list = replayed.checked_sub(self.first_list);
        if let Some((first, template)) = list.and_then(|list| self.lists.get(list as usize)) {
            for &(after, reads) in template.successors((sequence - first) as usize) {
                let after = first + u64::from(after);
                if let Some(node) = self.nodes.get_mut((after - self.base) as usize) {
                    release(node, after, failed && reads, &mut self.released);
                }
            }
        }
        while self.nodes.front().is_some_and(|node| node.ended) {
            self.nodes.pop_front();
            self.base += 1;
        }
        while let Some((first, template)) = self.lists.front()
            && first + template.len() as u64 <= self.base
        {
            self.lists.pop_front();
            self.first_list += 1;
        }
        true
    }

    /// Calls `visit` with each instruction that waits for `sequence`, in no
    /// order.
    pub fn for_each_successor(&self, sequence: Sequence, mut visit: impl FnMut(Sequence)) {
        let Some(node) = sequence
            .checked_sub(self.base)
            .and_then(|index| self.nodes.get(index as usize))
        else {
            return;
        };
        self.edges
            .iter(node.successors)
            .for_each(|(after, _)| visit(after));
        if let Some(((first, template), place)) = self.replayed(node.replayed, sequence) {
            for &(after, _) in template.successors(place) {
                visit(first + u64::from(after));
            }
        }
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
        let Some(index) = sequence.checked_sub(self.base) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(index as usize) {
            release(node, sequence, poison, &mut self.released);
        }
    }
}

/// Takes one reason to wait from an instruction.
fn release(node: &mut Node, sequence: Sequence, poison: bool, released: &mut Vec<Release>) {
    node.poisoned |= poison;
    node.pending -= 1;
    if node.pending == 0 {
        let poisoned = node.poisoned;
        released.push(Release { sequence, poisoned });
    }
}
