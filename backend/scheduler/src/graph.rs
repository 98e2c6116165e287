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

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::attributes::Attributes;
use crate::clock::Nanos;
use crate::flying::{FlyingLists, Latest, Taken};
use crate::pool::Pool;
use crate::replay::{Followers, Recording};
use crate::ring::{Ring, entry};
use edge::{Edge, Waiter};
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
    released: Vec<Sequence>,
    /// The lists of which something is remembered.
    pub(crate) lists: FlyingLists,
    /// Of the list that is being replayed, how many each instruction waits for.
    waits: Vec<u32>,
    /// Is told of every edge that is asked for.
    pub(crate) recording: Option<Box<Recording>>,
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
            Some(node) if !node.has_ended() => Standing::InFlight,
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
            if !node.has_ended() {
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
            node.hold(opened.waits);
            if opened.poisoned {
                node.poison();
            }
            if node.release() {
                self.released.push(sequence);
            }
        }
    }

    /// Holds `sequence` back for so many more reasons, each to be lifted by
    /// [`Graph::lift`].
    pub(crate) fn hold(&mut self, sequence: Sequence, holds: u32) {
        if holds > 0
            && let Some(node) = self.nodes.get_mut(sequence)
        {
            node.hold(holds);
        }
    }

    /// Lifts one reason of [`Graph::hold`]; nothing when there is none left.
    pub(crate) fn lift(&mut self, sequence: Sequence) {
        if let Some(node) = self.nodes.get_mut(sequence)
            && node.is_waiting()
            && node.release()
        {
            self.released.push(sequence);
        }
    }

    /// Takes the next released instruction, latest first.
    pub(crate) fn pop_released(&mut self) -> Option<Release> {
        let sequence = self.released.pop()?;
        let node = self.nodes.known(sequence)?;
        Some(Release::of(sequence, node))
    }

    /// Whether [`Graph::drain_released`] has something.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Puts what was released in program order, the latest first.
    pub(crate) fn sort_released(&mut self) {
        if !self.released.is_sorted_by(|one, next| one > next) {
            self.released.sort_unstable_by_key(|&it| Reverse(it));
        }
    }

    /// Takes every released instruction, with what scheduling goes by and the length of
    /// the chain before it.
    #[inline(always)]
    pub(crate) fn drain_released(&mut self, mut visit: impl FnMut(Release, &Attributes, u32)) {
        for &sequence in &self.released {
            if let Some(node) = self.nodes.known(sequence) {
                visit(Release::of(sequence, node), &node.attributes, node.level);
            }
        }
        self.released.clear();
    }

    /// Ends `sequence` and lets go what waited for it: [`Graph::drain_released`] has what
    /// waited for nothing else.  False, and nothing changes, when it is not in flight or not
    /// released.
    #[inline(always)]
    pub(crate) fn end(&mut self, sequence: Sequence, outcome: Outcome) -> bool {
        let Some(node) = self.nodes.get_mut(sequence) else {
            return false;
        };
        if !node.end() {
            return false;
        }
        let (mut edges, inside, list) = (node.edges(), node.inside, node.attributes.list);
        self.in_flight -= 1;
        if outcome == Outcome::Failed {
            self.fail(sequence);
        }
        let (slots, lists, released) = (self.nodes.slots_mut(), &self.lists, &mut self.released);
        while let Some(edge) = edges.pop(&mut self.edges) {
            match edge.waiter() {
                Waiter::One(after, _) => let_go(slots, after, released),
                Waiter::Run(list, start) => {
                    if let Some((first, template)) = lists.replayed(list) {
                        template
                            .for_each_of_run(start, |it| let_go(slots, it.after(first), released));
                    }
                }
            }
        }
        match inside.followers() {
            Followers::Nobody => {}
            Followers::One(it) => let_go(slots, it.after(sequence), released),
            Followers::Run(start) => {
                if let Some((_, template)) = lists.replayed(list) {
                    template
                        .for_each_of_run(start, |it| let_go(slots, it.after(sequence), released));
                }
            }
        }
        true
    }

    /// Remembers that `sequence`, which has just ended, failed, and forbids what reads what
    /// it should have written to run.
    #[cold]
    fn fail(&mut self, sequence: Sequence) {
        self.failed.insert(sequence);
        let mut readers = Vec::new();
        self.for_each_waiter(sequence, |after, reads| {
            if reads {
                readers.push(after);
            }
        });
        for after in readers {
            if let Some(node) = self.nodes.get_mut(after) {
                node.poison();
            }
        }
    }

    /// Forgets what has ended, from the oldest on.
    pub(crate) fn forget_ended(&mut self) {
        let oldest = self.nodes.base();
        let mut base = oldest;
        while self.nodes.get(base).is_some_and(Node::has_ended) {
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

    /// Takes `sequence`, which is released, to be run: also answers its cost.  `latest` is as
    /// for [`FlyingLists::take`].
    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        sequence: Sequence,
        latest: &mut Latest,
    ) -> Option<(Taken, Nanos)> {
        let &Attributes { cost, list, .. } = &self.nodes.known(sequence)?.attributes;
        Some((self.lists.take(list, sequence, latest)?, cost))
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

/// Takes one reason to wait from `after`, and notes when it was the last.
#[inline(always)]
fn let_go(slots: &mut [Node], after: Sequence, released: &mut Vec<Sequence>) {
    if let Some(node) = entry(slots, after)
        && node.release()
    {
        released.push(after);
    }
}
