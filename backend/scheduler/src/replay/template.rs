// SPDX-License-Identifier: MIT OR Apache-2.0
//! What analysis found for one list, counted from the list's own first
//! instruction: who waits for whom inside it, who waits for whom before it, and
//! which cells it accesses.

use std::sync::OnceLock;

use crate::cells::CellId;
use crate::clock::Nanos;
use crate::grouping::Group;
use crate::list::{Access, ListName, Object};

/// An edge to an instruction of a list: its place there, and whether it reads
/// what the other writes.
#[derive(Clone, Copy, Debug)]
pub struct Successor(u32);

impl Successor {
    pub fn new(place: u32, reads: bool) -> Self {
        Self(place << 1 | u32::from(reads))
    }

    pub fn place(self) -> u64 {
        u64::from(self.0 >> 1)
    }

    pub fn reads(self) -> bool {
        self.0 & 1 != 0
    }
}

/// What the order of instructions goes by; wrong hints cost time only.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    /// Modelled time to the end of the longest chain in the list.
    pub rank: Nanos,
    pub group: Option<Group>,
}

/// One instruction of a list.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Where its part of the accesses and of the successors begins and ends.
    pub accesses: (u32, u32),
    pub successors: (u32, u32),
    /// Instructions of the list that it waits for.
    pub waits: u32,
    /// Longest chain of instructions of the list before it.
    pub level: u32,
}

/// All that waits for one instruction before the list.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// How far that one lies before the list's first.
    pub back: u32,
    pub start: u32,
    pub end: u32,
}

/// What analysis found for one list.
#[derive(Debug, Default)]
pub struct Template {
    pub steps: Vec<Step>,
    pub accesses: Vec<(CellId, Access)>,
    pub successors: Vec<Successor>,
    pub boundary: Vec<Part>,
    pub waiting: Vec<Successor>,
    /// Instructions that wait for none of the list.
    pub roots: Vec<u32>,
    /// One for each instruction, once it was replayed.
    pub hints: OnceLock<Vec<Hint>>,
    /// Objects written.
    pub written: Vec<Object>,
    /// The lists before this one with their lengths, latest first.
    pub past: Vec<(ListName, u64)>,
}

impl Template {
    /// Number of instructions.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// The cells that an instruction accesses.
    pub fn accesses(&self, instruction: usize) -> &[(CellId, Access)] {
        let Some(step) = self.steps.get(instruction) else {
            return &[];
        };
        let (start, end) = step.accesses;
        let part = start as usize..end as usize;
        self.accesses.get(part).unwrap_or_default()
    }

    /// The instructions of the list that wait for one, in program order.
    #[inline]
    pub fn successors(&self, instruction: usize) -> &[Successor] {
        let Some(step) = self.steps.get(instruction) else {
            return &[];
        };
        let (start, end) = step.successors;
        let part = start as usize..end as usize;
        self.successors.get(part).unwrap_or_default()
    }

    /// The instructions before the list that are waited for, oldest first.
    pub fn boundary(&self) -> &[Part] {
        &self.boundary
    }

    /// What waits for one of [`Template::boundary`], in program order.
    #[inline]
    pub fn waiting(&self, part: usize) -> &[Successor] {
        let Some(part) = self.boundary.get(part) else {
            return &[];
        };
        let part = part.start as usize..part.end as usize;
        self.waiting.get(part).unwrap_or_default()
    }

    /// Edges between instructions of the list.
    pub fn inside(&self) -> usize {
        self.successors.len()
    }

    pub fn size(&self) -> usize {
        self.successors.len() + self.waiting.len() + self.accesses.len()
    }
}
