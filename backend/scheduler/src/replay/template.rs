// SPDX-License-Identifier: MIT OR Apache-2.0
//! What analysis found for one list, counted from the list's own first
//! instruction: who waits for whom inside it, who waits for whom before it, and
//! which cells it accesses.

use std::sync::OnceLock;

use crate::attributes::Attributes;
use crate::cells::CellId;
use crate::clock::Nanos;
use crate::grouping::Grouping;
use crate::list::{Access, CommandList, ListName, Object};

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

/// Where in a list an instruction stands.
#[derive(Clone, Copy, Debug)]
pub struct Step {
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

/// What scheduling goes by in a list that is replayed.
#[derive(Debug)]
pub struct Plan {
    /// Of each instruction, with its rank in the list, and in no list in flight.
    pub attributes: Vec<Attributes>,
    /// What all of them cost.
    pub work: Nanos,
}

impl Plan {
    /// For the instructions of `list`, of which `template` says who waits for whom.
    pub fn new(template: &Template, list: &CommandList, grouping: &mut Option<Grouping>) -> Self {
        let fresh = list.iter();
        let fresh = fresh.map(|(it, operands)| Attributes::new(it, operands, 0, grouping));
        let mut attributes: Vec<Attributes> = fresh.collect();
        let mut work = Nanos(0);
        for place in (0..attributes.len()).rev() {
            let after = template.successors(place).iter();
            let ranks = after.filter_map(|after| attributes.get(after.place() as usize));
            let longest = ranks.map(|it| it.rank).max().unwrap_or_default();
            if let Some(own) = attributes.get_mut(place) {
                own.rank = own.cost.plus(longest);
                work = work.plus(own.cost);
            }
        }
        Self { attributes, work }
    }
}

/// What analysis found for one list.
#[derive(Debug, Default)]
pub struct Template {
    pub steps: Vec<Step>,
    pub accesses: Vec<(CellId, Access)>,
    /// Where each instruction's part of the accesses ends.
    pub access_ends: Vec<u32>,
    pub successors: Vec<Successor>,
    /// Where each instruction's part of the successors begins, and where the last ends.
    pub successor_bounds: Vec<u32>,
    pub boundary: Vec<Part>,
    pub waiting: Vec<Successor>,
    /// Instructions that wait for none of the list.
    pub roots: Vec<u32>,
    /// What scheduling goes by, once it was replayed.
    pub plan: OnceLock<Plan>,
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
        let Some(&end) = self.access_ends.get(instruction) else {
            return &[];
        };
        let before = instruction.checked_sub(1);
        let start = before.and_then(|before| self.access_ends.get(before));
        let part = start.map_or(0, |&start| start as usize)..end as usize;
        self.accesses.get(part).unwrap_or_default()
    }

    /// The instructions of the list that wait for one, in program order.
    #[inline]
    pub fn successors(&self, instruction: usize) -> &[Successor] {
        let Some(&[start, end]) = self.successor_bounds.get(instruction..instruction + 2) else {
            return &[];
        };
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
