// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list that is recorded while it is analysed, and becomes a [`Template`] when
//! it is whole.

use std::cmp::Reverse;
use std::sync::OnceLock;

use super::HORIZON;
use super::template::{Part, Step, Successor, Template};
use crate::cells::CellId;
use crate::graph::Sequence;
use crate::list::{Access, ListName, Object};

/// Edges of one recording: this many, and so many more for each instruction.
const FEW_EDGES: usize = 256;
const EDGES_PER_INSTRUCTION: usize = 128;

/// A list that is being analysed and recorded.
#[derive(Debug)]
pub struct Recording {
    name: ListName,
    first: Sequence,
    length: usize,
    /// Whom each instruction waits for, one after the other.
    before: Vec<(Sequence, bool)>,
    before_ends: Vec<u32>,
    accesses: Vec<(CellId, Access)>,
    access_ends: Vec<u32>,
    written: Vec<Object>,
    past: Vec<(ListName, u64)>,
}

impl Recording {
    /// Nothing yet of a list of so many instructions from `first` on, before
    /// which the lists of `past` came, latest first.
    pub fn new(name: ListName, first: Sequence, length: usize, past: Vec<(ListName, u64)>) -> Self {
        Self {
            name,
            first,
            length,
            before: Vec::new(),
            before_ends: Vec::new(),
            accesses: Vec::new(),
            access_ends: Vec::new(),
            written: Vec::new(),
            past,
        }
    }

    pub fn name(&self) -> ListName {
        self.name
    }

    /// Notes that the newest instruction waits for `before`.
    pub fn wait(&mut self, before: Sequence, reads: bool) {
        if self.first.saturating_sub(before) > HORIZON {
            return;
        }
        let own = self.before_ends.last().map_or(0, |&end| end as usize);
        let mine = self.before.get_mut(own..).unwrap_or_default();
        match mine.iter_mut().find(|(other, _)| *other == before) {
            Some((_, carries)) => *carries |= reads,
            None => self.before.push((before, reads)),
        }
    }

    /// Notes an access of the newest instruction.
    pub fn access(&mut self, cell: CellId, access: Access) {
        self.accesses.push((cell, access));
    }

    /// Notes an object that the newest instruction writes.
    pub fn writes(&mut self, object: Object) {
        if !self.written.contains(&object) {
            self.written.push(object);
        }
    }

    /// Ends the newest instruction.
    pub fn end_instruction(&mut self) {
        self.before_ends.push(self.before.len() as u32);
        self.access_ends.push(self.accesses.len() as u32);
    }

    /// Whether it has become too large to be kept.
    pub fn is_too_large(&self) -> bool {
        let most = FEW_EDGES + EDGES_PER_INSTRUCTION * self.before_ends.len();
        self.before.len().max(self.accesses.len()) > most || self.written.len() > FEW_EDGES
    }

    /// Whether every instruction of the list is in it.
    pub fn is_whole(&self) -> bool {
        self.before_ends.len() == self.length
    }

    pub fn template(self) -> Template {
        let length = self.before_ends.len();
        let mut steps: Vec<Step> = Vec::with_capacity(length);
        let mut roots = Vec::new();
        // Who waits for whom, to be sorted by the latter.
        let mut inside: Vec<(u32, Successor)> = Vec::new();
        let mut outside: Vec<(u32, Successor)> = Vec::new();
        let mut start = 0;
        for (instruction, &end) in (0..).zip(&self.before_ends) {
            let mut step = Step { waits: 0, level: 0 };
            let known = inside.len();
            for &(before, reads) in self.before.get(start..end as usize).unwrap_or_default() {
                match before.checked_sub(self.first) {
                    Some(place) => {
                        let level = steps.get(place as usize).map_or(0, |it| it.level + 1);
                        step.level = step.level.max(level);
                        step.waits += 1;
                        inside.push((place as u32, Successor::new(instruction, reads)));
                    }
                    None => {
                        let back = (self.first - before) as u32;
                        outside.push((back, Successor::new(instruction, reads)));
                    }
                }
            }
            if inside.len() == known {
                roots.push(instruction);
            }
            start = end as usize;
            steps.push(step);
        }
        inside.sort_by_key(|&(place, _)| place);
        let mut known = inside.iter().peekable();
        let mut end = 0;
        let mut successor_bounds = Vec::with_capacity(length + 1);
        for place in 0..length as u32 {
            successor_bounds.push(end);
            while known.next_if(|&&(before, _)| before == place).is_some() {
                end += 1;
            }
        }
        successor_bounds.push(end);
        outside.sort_by_key(|&(back, _)| Reverse(back));
        let mut boundary: Vec<Part> = Vec::new();
        for (at, &(back, _)) in (0..).zip(&outside) {
            match boundary.last_mut() {
                Some(part) if part.back == back => part.end = at + 1,
                _ => boundary.push(Part {
                    back,
                    start: at,
                    end: at + 1,
                }),
            }
        }
        Template {
            steps,
            accesses: self.accesses,
            access_ends: self.access_ends,
            successors: inside.into_iter().map(|(_, after)| after).collect(),
            successor_bounds,
            boundary,
            waiting: outside.into_iter().map(|(_, after)| after).collect(),
            roots,
            plan: OnceLock::new(),
            written: self.written,
            past: self.past,
        }
    }
}
