// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list that is recorded while it is analysed, and becomes a [`Template`] when
//! it is whole.

use std::cmp::Reverse;
use std::sync::OnceLock;

use super::HORIZON;
use super::follower::{Follower, Inside};
use super::template::{Part, Step, Template};
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
        let mut waits = Vec::with_capacity(length);
        // Who waits for whom, to be sorted by the latter.
        let mut inside: Vec<(u32, Follower)> = Vec::new();
        let mut outside: Vec<(u32, Follower)> = Vec::new();
        let mut start = 0;
        for (instruction, &end) in (0..).zip(&self.before_ends) {
            let mut own_waits = 0;
            let mut step = Step {
                level: 0,
                inside: Inside::NOBODY,
            };
            for &(before, reads) in self.before.get(start..end as usize).unwrap_or_default() {
                match before.checked_sub(self.first) {
                    Some(place) => {
                        let level = steps.get(place as usize).map_or(0, |it| it.level + 1);
                        step.level = step.level.max(level);
                        own_waits += 1;
                        let place = place as u32;
                        inside.push((place, Follower::new(instruction - place, reads)));
                    }
                    None => {
                        let back = (self.first - before) as u32;
                        outside.push((back, Follower::new(instruction, reads)));
                    }
                }
            }
            start = end as usize;
            steps.push(step);
            waits.push(own_waits);
        }
        let edges = inside.len();
        let latest_first = |&(_, after): &(u32, Follower)| Reverse(after.behind());
        inside.sort_by_key(|known| (known.0, latest_first(known)));
        outside.sort_by_key(|known| (Reverse(known.0), latest_first(known)));
        let mut followers = Vec::new();
        for run in inside.chunk_by(|one, next| one.0 == next.0) {
            let step = run.first().and_then(|it| steps.get_mut(it.0 as usize));
            if let Some(step) = step {
                step.inside = match run {
                    [(_, only)] => Inside::one(*only),
                    _ => Inside::run(add_run(&mut followers, run)),
                };
            }
        }
        let parts = outside.chunk_by(|one, next| one.0 == next.0);
        let boundary = parts.map(|run| {
            let back = run.first().map_or(0, |it| it.0);
            let start = add_run(&mut followers, run);
            Part { back, start }
        });
        let boundary = boundary.collect();
        Template {
            steps,
            waits,
            accesses: self.accesses,
            access_ends: self.access_ends,
            followers,
            boundary,
            edges,
            plan: OnceLock::new(),
            written: self.written,
            past: self.past,
        }
    }
}

/// Adds those who wait for the same, and says where they begin.
fn add_run(followers: &mut Vec<Follower>, run: &[(u32, Follower)]) -> u32 {
    let start = followers.len() as u32;
    followers.extend(run.iter().map(|&(_, after)| after));
    if let Some(last) = followers.last_mut() {
        *last = last.last();
    }
    start
}
