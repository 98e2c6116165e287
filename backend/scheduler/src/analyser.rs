// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dependence analysis of one context: instructions in, released instructions
//! out.
//!
//! What it holds is bounded: instructions in flight, edges, and the tracked
//! past each have a maximum, and what has ended is forgotten.  When a maximum
//! is reached it takes nothing until something ends; when nothing is in flight
//! all of the past has ended, so there is always room again.

use std::collections::HashSet;
use std::sync::Arc;

use thiserror::Error;

use crate::attributes::Attributes;
use crate::clock::Nanos;
use crate::flying::{FlyingLists, Latest, Taken};
use crate::granularity::Decision;
use crate::graph::{Graph, Outcome, Release, Sequence};
use crate::list::{CommandList, Operand};
use crate::policy::Policy;
use crate::region::Region;
use crate::replay::{HORIZON, Replayer, Template};
use crate::tracker::Tracker;

/// Most that an [`Analyser`] holds.  Each is checked before an instruction is
/// taken, and one instruction may exceed it by its own operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions from the oldest in flight to the newest.
    pub window: usize,
    /// Edges between them, but for one that comes with each.
    pub edges: usize,
    /// Tracked regions.
    pub cells: usize,
    /// Overlaps between tracked regions, from both sides, and recorded reads.
    pub links: usize,
    /// Failed instructions whose output may still be read.
    pub failures: usize,
}

impl Limits {
    /// For a context of the card.
    pub const CARD: Self = Self {
        window: 1 << 17,
        edges: 1 << 20,
        cells: 1 << 16,
        links: 1 << 20,
        failures: 1 << 12,
    };

    /// No bounds: for whole programs whose every edge is wanted.
    pub const NONE: Self = Self {
        window: usize::MAX,
        edges: usize::MAX,
        cells: usize::MAX,
        links: usize::MAX,
        failures: usize::MAX,
    };
}

/// Why an instruction is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Too much is in flight: try again when something has ended.
    #[error("too much is in flight; try again when something has ended")]
    Busy,
    /// So many instructions have failed that what they should have written can
    /// no longer be remembered: the context is to be given up.
    #[error("too many instructions have failed")]
    Failed,
}

/// Orders the instructions of one context.
#[derive(Debug)]
pub struct Analyser {
    tracker: Tracker,
    graph: Graph,
    limits: Limits,
    /// Held cells and links beyond which the next sweep is due.
    sweep_at: (usize, usize),
    replayer: Replayer,
    /// The first instruction that a recording may start with: the history
    /// before is not complete up to the horizon.
    complete_from: Sequence,
    /// When it is looked for failures that have been overwritten.
    forget_from: Sequence,
}

impl Analyser {
    /// Nothing in flight, no past.
    #[must_use]
    pub fn new(policy: Policy, limits: Limits) -> Self {
        Self {
            tracker: Tracker::new(policy),
            graph: Graph::new(horizon(limits)),
            limits,
            sweep_at: (limits.cells, limits.links),
            replayer: Replayer::default(),
            complete_from: 0,
            forget_from: 0,
        }
    }

    /// Begins a list, whose instructions come next and as a whole.  When its
    /// analysis is known, [`Analyser::replay`] takes all of them at once; else
    /// each is submitted, and the analysis may be recorded.
    pub(crate) fn begin(&mut self, list: &CommandList) -> Option<Arc<Template>> {
        let (name, first) = (list.name(), self.graph.next());
        self.replayer
            .expire(self.graph.oldest(), first, horizon(self.limits));
        if self.graph.failures() > 0 && first >= self.forget_from {
            self.forget_from = first + horizon(self.limits);
            self.forget_failures();
        }
        let in_flight = first - self.graph.oldest();
        let found = (self.graph.failures() == 0 && in_flight <= horizon(self.limits))
            .then(|| self.replayer.find(name, in_flight))
            .flatten();
        if found.is_none() {
            self.catch_up();
            self.graph.recording = if first >= self.complete_from {
                self.replayer.record(name, first, list.len())
            } else {
                None
            };
        }
        self.replayer.follow(name, list.len());
        found
    }

    /// Whether a list whose analysis is known can be taken now; if not, then
    /// when something has ended.
    pub(crate) fn has_room(&self, template: &Template) -> bool {
        let (window, edges) = (self.graph.window(), self.graph.edges_held());
        window == 0
            || window + template.len() <= self.limits.window
                && edges + template.boundary.len() <= self.limits.edges
    }

    /// Takes the whole list of this number, whose analysis is known, each instruction
    /// with `held` holds and those that `holds` names for it.
    pub(crate) fn replay(
        &mut self,
        list: u32,
        template: &Arc<Template>,
        held: u32,
        holds: &[u32],
        attributes: &[Attributes],
    ) {
        let first = self.graph.replay(list, template, held, holds, attributes);
        self.replayer.replay(first, template);
    }

    /// Notes that a list that was begun does not come as a whole.
    pub(crate) fn interrupt(&mut self) {
        self.graph.recording = None;
        self.replayer.lose_track();
    }

    /// Instructions whose analysis was replayed so far.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.replayer.replayed()
    }

    /// Tells the history of the lists that were replayed.
    fn catch_up(&mut self) {
        for (first, template) in self.replayer.catch_up() {
            self.tracker.apply(first, &template, &self.graph);
        }
    }

    /// Takes the next instruction in program order.  It is not released before
    /// [`Analyser::lift`] was called for each of its holds.  Callers with limits
    /// ask [`Analyser::make_room`] first.
    pub fn submit(&mut self, operands: &[Operand], holds: u32) -> Sequence {
        self.submit_as(Attributes::default(), operands, holds)
    }

    /// As [`Analyser::submit`], with what scheduling goes by.
    pub(crate) fn submit_as(
        &mut self,
        attributes: Attributes,
        operands: &[Operand],
        holds: u32,
    ) -> Sequence {
        let sequence = self.graph.open(attributes);
        self.graph.hold(sequence, holds);
        self.tracker.analyse(sequence, operands, &mut self.graph);
        self.graph.seal(sequence);
        if let Some(mut recording) = self.graph.recording.take() {
            recording.end_instruction();
            if recording.is_whole() {
                self.replayer.keep(*recording);
            } else if !recording.is_too_large() {
                self.graph.recording = Some(recording);
            }
        }
        sequence
    }

    /// Lifts the hold of an instruction that was submitted with one.
    pub fn lift(&mut self, sequence: Sequence) {
        self.graph.lift(sequence);
    }

    /// The next instruction whose conflicts have all ended, latest first.
    pub fn pop_released(&mut self) -> Option<Release> {
        self.graph.pop_released()
    }

    /// Whether [`Analyser::drain_released`] has something.
    #[inline]
    pub(crate) fn has_released(&self) -> bool {
        self.graph.has_released()
    }

    /// Puts what was released in program order, the latest first.
    pub(crate) fn sort_released(&mut self) {
        self.graph.sort_released();
    }

    /// Takes every released instruction as [`Graph::drain_released`] does.
    #[inline(always)]
    pub(crate) fn drain_released(&mut self, visit: impl FnMut(Release, &Attributes, u32)) {
        self.graph.drain_released(visit);
    }

    /// Ends a released instruction; false, and nothing changes, when it is not
    /// in flight or not released.
    pub fn finish(&mut self, sequence: Sequence, outcome: Outcome) -> bool {
        let ended = self.end(sequence, outcome);
        self.graph.forget_ended();
        ended
    }

    /// Ends a released instruction as [`Graph::end`] does.
    #[inline(always)]
    pub(crate) fn end(&mut self, sequence: Sequence, outcome: Outcome) -> bool {
        if outcome == Outcome::Failed && self.replayer.is_behind() {
            // What was overwritten before the failure must not be named later.
            self.catch_up();
        }
        self.graph.end(sequence, outcome)
    }

    /// The lists of which something is remembered.
    #[inline]
    pub(crate) fn lists(&mut self) -> &mut FlyingLists {
        &mut self.graph.lists
    }

    /// Takes a released instruction as [`Graph::take`] does.
    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        sequence: Sequence,
        latest: &mut Latest,
    ) -> Option<(Taken, Nanos)> {
        self.graph.take(sequence, latest)
    }

    /// Forgets what has ended, from the oldest on.
    pub(crate) fn forget_ended(&mut self) {
        self.graph.forget_ended();
    }

    /// Finds the longest chain behind each of these instructions.
    pub(crate) fn rank(&mut self, which: std::ops::Range<Sequence>) {
        self.graph.rank(which);
    }

    /// The graph as it stands.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Cells looked up so far, for all operands: the work of analysis.
    #[must_use]
    pub fn cells_touched(&self) -> u64 {
        self.tracker.touched_total()
    }

    /// Times the unit of tracking of an object was split, and merged.
    #[must_use]
    pub fn granularity_changes(&self) -> (u64, u64) {
        self.tracker.granularity().changes()
    }

    /// The latest decisions about units of tracking, oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.tracker.granularity().decisions()
    }

    /// Regions tracked that share addresses with a range, unless very many are tracked.
    pub fn regions_beside(&self, start: u64, end: u64) -> impl Iterator<Item = &Region> {
        self.tracker.regions_beside(start, end)
    }

    /// Cells tracked now.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.tracker.cells()
    }

    /// Makes room for one more instruction, forgetting what has ended.
    ///
    /// # Errors
    /// [`Refusal`], when nothing can be forgotten.
    pub fn make_room(&mut self) -> Result<(), Refusal> {
        if self.tracker.cells() >= self.sweep_at.0 || self.tracker.held() >= self.sweep_at.1 {
            self.sweep();
            if self.tracker.cells() >= self.limits.cells || self.tracker.held() >= self.limits.links
            {
                // With nothing in flight only failures are left, and they stay.
                return Err(if self.graph.in_flight() == 0 {
                    Refusal::Failed
                } else {
                    Refusal::Busy
                });
            }
        }
        if self.graph.window() >= self.limits.window || self.graph.edges_held() >= self.limits.edges
        {
            return Err(Refusal::Busy);
        }
        if self.graph.failures() >= self.limits.failures {
            self.forget_failures();
            if self.graph.failures() >= self.limits.failures {
                return Err(Refusal::Failed);
            }
        }
        Ok(())
    }

    /// Forgets failures that have been overwritten.
    fn forget_failures(&mut self) {
        self.catch_up();
        let writers: HashSet<Sequence> = self.tracker.writers().collect();
        let graph = &mut self.graph;
        graph.forget_failures(|sequence| writers.contains(&sequence));
    }

    /// Forgets what has ended.  The next sweep waits until a good part of the
    /// room is used again, so that sweeping stays a small part of the work.
    fn sweep(&mut self) {
        self.catch_up();
        self.replayer.forget();
        self.graph.recording = None;
        self.complete_from = self.graph.next() + horizon(self.limits);
        self.tracker.sweep(&self.graph);
        let due = |held: usize, limit: usize| (held + limit / 8).clamp(limit / 2, limit);
        self.sweep_at = (
            due(self.tracker.cells(), self.limits.cells),
            due(self.tracker.held(), self.limits.links),
        );
    }
}

/// Instructions back to which the history is complete.
fn horizon(limits: Limits) -> u64 {
    HORIZON.min(limits.window as u64)
}
