// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for whom: the instructions in flight and the edges between them.
//!
//! Instructions are numbered in the order they were submitted.  An edge stands
//! for one conflict that dependence analysis found; an instruction is ready
//! when all edges into it have been released.  What the conflict was about is
//! not known here, except whether the later one *reads* what the earlier one
//! wrote: only that edge carries a failure on.

mod edge;
mod node;
mod order;
mod replayed;

use std::collections::HashSet;

use crate::attributes::Attributes;
use crate::flying::FlyingLists;
use crate::pool::Pool;
use crate::replay::{Followers, Inside, Recording};
use crate::ring::Ring;
use edge::{Edge, EdgeList, Waiter};
use node::Node;

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

/// What analysis has found of the newest instruction so far.
#[derive(Clone, Copy, Debug, Default)]
struct Opened {
    waits: u32,
    level: u32,
    poisoned: bool,
}

/// The dependence graph of one context.
#[derive(Debug)]
pub struct Graph {
    /// Everything before the first of these has ended.
    nodes: Ring<Node>,
    edges: Pool<Edge>,
    opened: Opened,
    in_flight: usize,
    /// Failed instructions that dependence analysis may still name.
    failed: HashSet<Sequence>,
    edge_total: u64,
    released: Vec<Release>,
    /// The lists of which something is remembered.
    pub(crate) lists: FlyingLists,
    /// Of the list that is being replayed, how many each instruction waits for.
    waits: Vec<u32>,
    /// Is told of every edge that is asked for.
    pub(crate) recording: Option<Box<Recording>>,
    horizon: u64,
}

/// An instruction that has ended, and what waited for it.
#[derive(Debug)]
pub(crate) struct Ended {
    sequence: Sequence,
    failed: bool,
    edges: EdgeList,
    /// Who of its own list waits for it, where that is replayed.
    inside: Inside,
    list: u32,
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

impl Release {
    #[inline(always)]
    fn of(sequence: Sequence, node: &Node) -> Self {
        Self {
            sequence,
            poisoned: node.is_poisoned(),
        }
    }
}

impl Graph {
    /// An empty graph; dependence analysis remembers `horizon` instructions
    /// whether they have ended or not.
    pub(crate) fn new(horizon: u64) -> Self {
        Self {
            nodes: Ring::new(),
            edges: Pool::new(),
            opened: Opened::default(),
            in_flight: 0,
            failed: HashSet::new(),
            edge_total: 0,
            released: Vec::new(),
            lists: FlyingLists::default(),
            waits: Vec::new(),
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
        self.nodes.next()
    }

    /// The oldest instruction that has not ended; the next one when all have.
    #[must_use]
    pub fn oldest(&self) -> Sequence {
        self.nodes.base()
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
    pub(crate) fn open(&mut self, attributes: Attributes) -> Sequence {
        let sequence = self.next();
        self.nodes.push(Node::fresh(sequence, attributes));
        self.opened = Opened::default();
        self.in_flight += 1;
        sequence
    }

    /// What became of `sequence`.
    pub(crate) fn standing(&self, sequence: Sequence) -> Standing {
        match self.nodes.get(sequence) {
            Some(node) if !node.ended => Standing::InFlight,
            _ => self.ending(sequence),
        }
    }

    /// What became of an instruction that has ended.
    fn ending(&self, sequence: Sequence) -> Standing {
        if !self.failed.is_empty() && self.failed.contains(&sequence) {
            Standing::Failed
        } else {
            Standing::Done
        }
    }

    /// Makes `after`, the newest instruction, wait for `before`, and returns
    /// what became of `before`: an instruction that has ended is not waited
    /// for, but its failure is carried on.
    #[inline]
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
        if self.recording.is_some() {
            self.record(before, reads);
        }
        if let Some(node) = self.nodes.get_mut(before) {
            if node.latest == after as u32 {
                return Standing::InFlight;
            }
            self.opened.level = self.opened.level.max(node.level + 1);
            if !node.ended {
                node.latest = after as u32;
                node.add(Edge::one(after, reads), &mut self.edges);
                self.opened.waits += 1;
                return Standing::InFlight;
            }
        }
        let standing = self.ending(before);
        self.opened.poisoned |= reads && standing == Standing::Failed;
        standing
    }

    #[cold]
    fn record(&mut self, before: Sequence, reads: bool) {
        if let Some(recording) = &mut self.recording {
            recording.wait(before, reads);
        }
    }

    /// Ends the analysis of `sequence`, the newest; it is released when nothing
    /// holds it.
    pub(crate) fn seal(&mut self, sequence: Sequence) {
        let opened = self.opened;
        self.edge_total += u64::from(opened.waits);
        if let Some(node) = self.nodes.get_mut(sequence) {
            node.level = opened.level;
            node.pending += opened.waits;
            if node.release(opened.poisoned) {
                self.released.push(Release::of(sequence, node));
            }
        }
    }

    /// Holds `sequence` back for so many more reasons, each to be lifted by
    /// [`Graph::lift`].
    pub(crate) fn hold(&mut self, sequence: Sequence, holds: u32) {
        if holds > 0
            && let Some(node) = self.nodes.get_mut(sequence)
        {
            node.pending += holds;
        }
    }

    /// Lifts one reason of [`Graph::hold`]; nothing when there is none left.
    pub(crate) fn lift(&mut self, sequence: Sequence) {
        if let Some(node) = self.nodes.get_mut(sequence)
            && node.pending > 0
            && node.release(false)
        {
            self.released.push(Release::of(sequence, node));
        }
    }

    /// Takes the next released instruction.
    pub(crate) fn pop_released(&mut self) -> Option<Release> {
        self.released.pop()
    }

    /// Exchanges the released instructions for an empty `room`.
    #[inline]
    pub(crate) fn swap_released(&mut self, room: &mut Vec<Release>) {
        std::mem::swap(&mut self.released, room);
    }

    /// What [`Graph::pop_released`] has, latest last.
    pub(crate) fn released(&self) -> &[Release] {
        &self.released
    }

    /// Ends `sequence`; nothing, and changes nothing, when it is not in flight.
    /// What waited for it is to be let go by [`Graph::let_go`].
    #[inline(always)]
    pub(crate) fn end(&mut self, sequence: Sequence, outcome: Outcome) -> Option<Ended> {
        let node = self.nodes.get_mut(sequence)?;
        if node.ended || node.pending != 0 {
            return None;
        }
        node.ended = true;
        let ended = Ended {
            sequence,
            failed: outcome == Outcome::Failed,
            edges: node.take_edges(),
            inside: node.inside,
            list: node.attributes.list,
        };
        if ended.failed {
            self.failed.insert(sequence);
        }
        self.in_flight -= 1;
        Some(ended)
    }

    /// Calls `release` with each instruction that waited for nothing else, the
    /// latest first, what scheduling goes by, and the length of the chain before it.
    #[inline(always)]
    pub(crate) fn let_go(
        &mut self,
        ended: Ended,
        mut release: impl FnMut(Release, &Attributes, u32),
    ) {
        if !ended.edges.is_empty() {
            self.let_go_others(ended.edges, ended.failed, &mut release);
        }
        let (base, failed) = (ended.sequence, ended.failed);
        match ended.inside.followers() {
            Followers::Nobody => {}
            Followers::One(after) => {
                let poison = failed && after.reads();
                node::let_go(&mut self.nodes, after.after(base), poison, &mut release);
            }
            Followers::Run(start) => {
                if let Some((_, template)) = self.lists.replayed(ended.list) {
                    template.for_each_of_run(start, |after| {
                        let poison = failed && after.reads();
                        node::let_go(&mut self.nodes, after.after(base), poison, &mut release);
                    });
                }
            }
        }
    }

    /// Lets go what waits by edges, not by what a replayed list knows of itself.
    #[inline(never)]
    fn let_go_others(
        &mut self,
        edges: EdgeList,
        failed: bool,
        release: &mut impl FnMut(Release, &Attributes, u32),
    ) {
        let (nodes, lists) = (&mut self.nodes, &self.lists);
        edges.drain(&mut self.edges, |edge| match edge.waiter() {
            Waiter::One(after, reads) => node::let_go(nodes, after, failed && reads, release),
            Waiter::Run(list, start) => {
                if let Some((first, template)) = lists.replayed(list) {
                    template.for_each_of_run(start, |after| {
                        let poison = failed && after.reads();
                        node::let_go(nodes, after.after(first), poison, release);
                    });
                }
            }
        });
    }

    /// Lets go what waited for `ended`; [`Graph::pop_released`] has it.
    pub(crate) fn let_go_later(&mut self, ended: Ended) {
        let mut released = std::mem::take(&mut self.released);
        self.let_go(ended, |release, _, _| released.push(release));
        self.released = released;
    }

    /// Forgets what has ended, from the oldest on.
    pub(crate) fn forget_ended(&mut self) {
        let oldest = self.nodes.base();
        let mut base = oldest;
        while self.nodes.get(base).is_some_and(|node| node.ended) {
            base += 1;
        }
        if base > oldest {
            self.nodes.forget_before(base);
            self.lists.forget_before(base);
        }
    }

    /// What scheduling goes by, and the length of the longest chain before
    /// `sequence`, as far as it was remembered when `sequence` was analysed.
    #[inline]
    pub(crate) fn place(&self, sequence: Sequence) -> Option<(&Attributes, u32)> {
        let node = self.nodes.get(sequence)?;
        Some((&node.attributes, node.level))
    }

    /// Failed instructions that are remembered.
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Forgets failed instructions that `named` says nobody can name again.
    pub(crate) fn forget_failures(&mut self, named: impl Fn(Sequence) -> bool) {
        self.failed.retain(|&sequence| named(sequence));
    }
}
