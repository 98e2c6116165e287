// SPDX-License-Identifier: MIT OR Apache-2.0
//! What analysis found for one list, counted from the list's own first
//! instruction: who waits for whom inside it, who waits for whom before it, and
//! which cells it accesses.

use std::sync::OnceLock;

use super::follower::{Follower, Followers, Inside};
use crate::attributes::Attributes;
use crate::cells::CellId;
use crate::clock::Nanos;
use crate::grouping::Grouping;
use crate::list::{Access, CommandList, ListName, Object};

/// Where in a list an instruction stands.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Longest chain of instructions of the list before it.
    pub level: u32,
    /// Instructions of the list that wait for it, counted from itself.
    pub inside: Inside,
}

/// All that waits for one instruction before the list.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// How far that one lies before the list's first.
    pub back: u32,
    /// Where its run of [`Template::followers`] begins, counted from the list's first.
    pub start: u32,
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
        for (place, step) in template.steps.iter().enumerate().rev() {
            let mut longest = Nanos(0);
            template.for_each_inside(step.inside, |after| {
                let after = attributes.get(place + after.behind());
                longest = longest.max(after.map_or(Nanos(0), |it| it.rank));
            });
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
    /// For how many instructions of the list each waits.
    pub waits: Vec<u32>,
    pub accesses: Vec<(CellId, Access)>,
    /// Where each instruction's part of the accesses ends.
    pub access_ends: Vec<u32>,
    /// The runs that [`Step::inside`] and [`Template::boundary`] name.
    pub followers: Vec<Follower>,
    /// The instructions before the list that are waited for, oldest first.
    pub boundary: Vec<Part>,
    /// Edges between instructions of the list.
    pub edges: usize,
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

    /// Followers from the run at `start` on.
    #[inline(always)]
    pub fn run(&self, start: usize) -> &[Follower] {
        self.followers.get(start..).unwrap_or_default()
    }

    /// Calls `visit` with the followers of the run at `start`, the latest first.
    #[inline(always)]
    pub fn for_each_of_run(&self, start: usize, mut visit: impl FnMut(Follower)) {
        for &follower in self.run(start) {
            visit(follower);
            if follower.is_last() {
                return;
            }
        }
    }

    /// Calls `visit` with those who wait for an instruction in its own list, the
    /// latest first.
    pub fn for_each_inside(&self, inside: Inside, mut visit: impl FnMut(Follower)) {
        match inside.followers() {
            Followers::Nobody => {}
            Followers::One(only) => visit(only),
            Followers::Run(start) => self.for_each_of_run(start, visit),
        }
    }

    /// What it takes to keep it.
    pub fn size(&self) -> usize {
        self.followers.len() + self.accesses.len()
    }
}
