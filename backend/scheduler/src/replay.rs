// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists that were seen before: what their analysis found, for use again.
//!
//! Whom an instruction waits for depends on the accesses before it and on
//! nothing else, least of all on when they end.  So a list that comes again
//! after the same lists waits for the same instructions, counted from its own
//! first; those that have ended are not waited for, and anything may have come
//! before them.  A recording therefore names the lists before it, and is used
//! when they match back to the oldest instruction in flight.
//!
//! Lists are named by a keyed hash of all that analysis looks at: objects,
//! regions and accesses.  A tensor that was freed and came back elsewhere or
//! in another shape makes another name, and one at the same bytes makes the
//! same conflicts.  Recordings name tracked cells, so they end when cells are
//! forgotten.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;

use crate::cells::CellId;
use crate::clock::Nanos;
use crate::graph::Sequence;
use crate::grouping::Group;
use crate::list::{Access, ListName, Object};

/// Instructions back to which analysis keeps even what has ended, so that a
/// recording does not depend on when that was.
pub const HORIZON: u64 = 1 << 16;

/// Instructions, and their accesses and edges, of all recordings of one context.
const MAX_INSTRUCTIONS: usize = 1 << 18;
const MAX_SIZE: usize = 1 << 21;
/// Edges of one recording: this many, and so many more for each instruction.
const FEW_EDGES: usize = 256;
const EDGES_PER_INSTRUCTION: usize = 64;
/// Names of lists that are remembered to tell a second sight from a first.
const MAX_NAMES: usize = 1 << 12;
/// Recordings of one list, after different lists.
const MAX_VARIANTS: usize = 4;
/// Lists before a recording that it names.
const MAX_PAST: usize = 256;

/// An edge to an instruction of a list: its place there, and whether it reads
/// what the other writes.
#[derive(Clone, Copy, Debug)]
pub struct Successor(u32);

impl Successor {
    fn new(place: u32, reads: bool) -> Self {
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
    /// Where its part of the accesses and of the successors ends.
    accesses: u32,
    successors: u32,
    /// Instructions that it waits for, in the list and before.
    pub waits: u32,
    /// Longest chain of instructions of the list before it.
    pub level: u32,
}

/// All that waits for one instruction before the list.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// How far that one lies before the list's first.
    pub back: u32,
    start: u32,
    end: u32,
}

impl Part {
    /// How many instructions wait.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// What analysis found for one list.
#[derive(Debug, Default)]
pub struct Template {
    pub steps: Vec<Step>,
    accesses: Vec<(CellId, Access)>,
    successors: Vec<Successor>,
    boundary: Vec<Part>,
    waiting: Vec<Successor>,
    /// Instructions that wait for none of the list.
    pub roots: Vec<u32>,
    /// One for each instruction, once it was replayed.
    pub hints: OnceLock<Vec<Hint>>,
    /// Objects written.
    pub written: Vec<Object>,
    /// The lists before this one with their lengths, latest first.
    past: Vec<(ListName, u64)>,
}

impl Template {
    /// Number of instructions.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    fn end_of(&self, before: usize, which: impl Fn(&Step) -> u32) -> usize {
        let step = before.checked_sub(1).and_then(|last| self.steps.get(last));
        step.map_or(0, |step| which(step) as usize)
    }

    /// The cells that an instruction accesses.
    pub fn accesses(&self, instruction: usize) -> &[(CellId, Access)] {
        let end_of = |at| self.end_of(at, |step| step.accesses);
        let part = end_of(instruction)..end_of(instruction + 1);
        self.accesses.get(part).unwrap_or_default()
    }

    /// The instructions of the list that wait for one.
    pub fn successors(&self, instruction: usize) -> &[Successor] {
        let end_of = |at| self.end_of(at, |step| step.successors);
        let part = end_of(instruction)..end_of(instruction + 1);
        self.successors.get(part).unwrap_or_default()
    }

    /// The instructions before the list that are waited for, oldest first.
    pub fn boundary(&self) -> &[Part] {
        &self.boundary
    }

    /// What waits for one of [`Template::boundary`].
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

    fn size(&self) -> usize {
        self.successors.len() + self.waiting.len() + self.accesses.len()
    }
}

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

    fn template(self) -> Template {
        let length = self.before_ends.len();
        let mut steps: Vec<Step> = Vec::with_capacity(length);
        let mut roots = Vec::new();
        // Who waits for whom, to be sorted by the latter.
        let mut inside: Vec<(u32, Successor)> = Vec::new();
        let mut outside: Vec<(u32, Successor)> = Vec::new();
        let mut start = 0;
        let ends = self.before_ends.iter().zip(&self.access_ends);
        for (instruction, (&end, &accesses)) in (0..).zip(ends) {
            let mut step = Step {
                accesses,
                successors: 0,
                waits: 0,
                level: 0,
            };
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
                        step.waits += 1;
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
        for (place, step) in (0..).zip(&mut steps) {
            while known.next_if(|&&(before, _)| before == place).is_some() {
                end += 1;
            }
            step.successors = end;
        }
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
            successors: inside.into_iter().map(|(_, after)| after).collect(),
            boundary,
            waiting: outside.into_iter().map(|(_, after)| after).collect(),
            roots,
            hints: OnceLock::new(),
            written: self.written,
            past: self.past,
        }
    }
}

/// The recordings of one context.
#[derive(Debug, Default)]
pub struct Replayer {
    /// Lists seen, with their recordings, latest used first.
    known: HashMap<ListName, Vec<Arc<Template>>>,
    instructions: usize,
    size: usize,
    /// The latest lists with their lengths, latest last.
    trace: VecDeque<(ListName, u64)>,
    /// Lists that were replayed and whose accesses the history lacks.
    unapplied: VecDeque<(Sequence, Arc<Template>)>,
    replayed: u64,
}

impl Replayer {
    /// Instructions whose analysis was replayed.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// The recording of a list that holds while the `in_flight` instructions
    /// before it, ended ones among them, may still matter.
    pub fn find(&mut self, name: ListName, in_flight: u64) -> Option<Arc<Template>> {
        let variants = self.known.get_mut(&name)?;
        let trace = &self.trace;
        let at = variants
            .iter()
            .position(|template| fits(template, trace, in_flight))?;
        variants.get_mut(..=at)?.rotate_right(1);
        variants.first().cloned()
    }

    /// Notes that a list was replayed at `first`.
    pub fn replay(&mut self, first: Sequence, template: &Arc<Template>) {
        self.unapplied.push_back((first, template.clone()));
        self.replayed += template.len() as u64;
    }

    /// Lists whose accesses the history lacks, oldest first; it is told of them
    /// now.
    pub fn catch_up(&mut self) -> VecDeque<(Sequence, Arc<Template>)> {
        std::mem::take(&mut self.unapplied)
    }

    /// Whether the history lacks something.
    pub fn is_behind(&self) -> bool {
        !self.unapplied.is_empty()
    }

    /// Forgets replayed lists that can no longer order or be recorded: those
    /// whose instructions lie before `oldest` and before the horizon.
    pub fn expire(&mut self, oldest: Sequence, next: Sequence, horizon: u64) {
        let limit = oldest.min(next.saturating_sub(horizon));
        while self
            .unapplied
            .front()
            .is_some_and(|(first, it)| first + it.len() as u64 <= limit)
        {
            self.unapplied.pop_front();
        }
    }

    /// A recording of a list that is analysed from `first` on, when it was seen
    /// before.
    pub fn record(
        &mut self,
        name: ListName,
        first: Sequence,
        length: usize,
    ) -> Option<Box<Recording>> {
        if self.known.len() >= MAX_NAMES && !self.known.contains_key(&name) {
            self.forget();
        }
        if !self.known.contains_key(&name) {
            self.known.insert(name, Vec::new());
            return None;
        }
        if length > MAX_INSTRUCTIONS / 2 {
            return None;
        }
        let mut past = Vec::new();
        let mut reach = 0;
        for &(name, length) in self.trace.iter().rev() {
            if reach >= HORIZON {
                break;
            }
            past.push((name, length));
            reach += length;
        }
        Some(Box::new(Recording {
            name,
            first,
            length,
            before: Vec::new(),
            before_ends: Vec::new(),
            accesses: Vec::new(),
            access_ends: Vec::new(),
            written: Vec::new(),
            past,
        }))
    }

    /// Keeps a whole recording.
    pub fn keep(&mut self, recording: Recording) {
        let name = recording.name;
        let template = recording.template();
        if self.instructions + template.len() > MAX_INSTRUCTIONS
            || self.size + template.size() > MAX_SIZE
        {
            self.forget();
        }
        let variants = self.known.entry(name).or_default();
        if variants.len() >= MAX_VARIANTS
            && let Some(old) = variants.pop()
        {
            self.instructions -= old.len();
            self.size -= old.size();
        }
        self.instructions += template.len();
        self.size += template.size();
        variants.insert(0, Arc::new(template));
    }

    /// Notes a list in the order of the context's lists.
    pub fn follow(&mut self, name: ListName, length: usize) {
        self.trace.push_back((name, length as u64));
        while self.trace.len() > MAX_PAST {
            self.trace.pop_front();
        }
    }

    /// Forgets all recordings: the cells they name are no longer the same.
    pub fn forget(&mut self) {
        self.known.clear();
        self.instructions = 0;
        self.size = 0;
    }

    /// Forgets which lists came last: not all of them were analysed.
    pub fn lose_track(&mut self) {
        self.trace.clear();
    }
}

/// Whether the lists before a recording are those that may be in flight.
fn fits(template: &Template, trace: &VecDeque<(ListName, u64)>, in_flight: u64) -> bool {
    let mut reach = 0;
    let mut past = template.past.iter();
    for list in trace.iter().rev() {
        if reach >= in_flight {
            break;
        }
        if past.next() != Some(list) {
            return false;
        }
        reach += list.1;
    }
    reach >= in_flight
}
