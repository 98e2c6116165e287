// SPDX-License-Identifier: MIT OR Apache-2.0
//! Follows how each object is used and sets the unit at which it is tracked.
//!
//! An object that is only read is tracked as a whole: reads of it wait for
//! nobody, and all that has to be kept of them is their regions, for the case
//! that it is written after all.  The first write splits it into the regions
//! that are really used, those of reads still in flight included, so splitting
//! while work is queued loses nothing.  An object that has not been written
//! for a while, and all of whose writers have ended, is merged again; every
//! split doubles the while, so an object that is written now and then soon
//! stays split.
//!
//! Conflicts stay exact throughout: this module decides what is looked up, not
//! who waits for whom.

use std::collections::VecDeque;
use std::fmt;

use hashbrown::HashMap;

use crate::graph::{Graph, Sequence, Standing};
use crate::list::{Object, Operand};
use crate::recent::Recent;
use crate::region::Region;

/// Reads without a write after which an object that was never split again may
/// be merged.
const FIRST_PATIENCE: u32 = 256;
/// Objects that are followed; beyond, all are tracked by region.
const MAX_OBJECTS: usize = 4096;
/// Decisions that are remembered for reports.
const MAX_DECISIONS: usize = 1024;

/// What was decided about an object, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The instruction that was being analysed.
    pub at: Sequence,
    /// The object.
    pub object: Object,
    /// What happened to its unit of tracking.
    pub change: Change,
}

/// A change of an object's unit of tracking, with the counts behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// From the whole object to its regions.
    Split {
        /// Reads of the object while it was whole.
        reads: u64,
        /// Those that had not ended.
        in_flight: usize,
    },
    /// From regions to the whole object.
    Merge {
        /// Reads since the last write.
        quiet: u32,
    },
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, bytes) = (self.object.start(), self.object.bytes());
        write!(f, "instruction {}: object {start:#x} ({bytes} B) ", self.at)?;
        match self.change {
            Change::Split { reads, in_flight } => write!(
                f,
                "is split into its regions: a write after {reads} reads, {in_flight} of them in flight"
            ),
            Change::Merge { quiet } => {
                write!(
                    f,
                    "is merged: {quiet} reads since its last write, which has ended"
                )
            }
        }
    }
}

#[derive(Debug)]
struct Followed {
    object: Object,
    whole: bool,
    /// Reads while whole, oldest first, without the oldest that have ended.
    reads: VecDeque<(Sequence, Region)>,
    /// Reads while whole, all of them.
    read_total: u64,
    last_write: Option<Sequence>,
    quiet: u32,
    patience: u32,
}

impl Followed {
    /// Drops the oldest read when it can no longer matter.
    fn drop_ended(&mut self, graph: &Graph) {
        let oldest = self.reads.front();
        if oldest.is_some_and(|&(reader, _)| !graph.matters(reader)) {
            self.reads.pop_front();
        }
    }
}

/// The units of tracking of all objects of a context.
#[derive(Debug, Default)]
pub struct Granularity {
    numbers: HashMap<Object, usize>,
    recent: Recent<Option<(Object, usize)>>,
    objects: Vec<Followed>,
    /// Objects overlap or are too many: nothing is merged any more.
    given_up: bool,
    reads_held: usize,
    splits: u64,
    merges: u64,
    decisions: VecDeque<Decision>,
}

impl Granularity {
    /// Whether a read of `operand`, whose object has this number, is covered by
    /// its object being whole; if so it is recorded.
    pub fn read(
        &mut self,
        number: Option<usize>,
        operand: &Operand,
        reader: Sequence,
        graph: &Graph,
    ) -> bool {
        let Some(number) = number else {
            return false;
        };
        let Some(followed) = self.objects.get_mut(number) else {
            return false;
        };
        followed.quiet = followed.quiet.saturating_add(1);
        if !followed.whole {
            if followed.quiet < followed.patience {
                return false;
            }
            let ended = followed
                .last_write
                .is_none_or(|last| last < graph.oldest() && !graph.is_recent(last));
            let give = !self.given_up && ended && graph.failures() == 0;
            if !give {
                return false;
            }
            followed.whole = true;
            followed.read_total = 0;
            let change = Change::Merge {
                quiet: followed.quiet,
            };
            self.merges += 1;
            self.note(reader, operand.object, change);
        }
        let Some(followed) = self.objects.get_mut(number) else {
            return false;
        };
        let before = followed.reads.len();
        // Two for each that comes, so that the work is even.
        followed.drop_ended(graph);
        followed.drop_ended(graph);
        let region = operand.region.clone();
        followed.reads.push_back((reader, region));
        self.reads_held += followed.reads.len();
        self.reads_held -= before;
        followed.read_total += 1;
        true
    }

    /// Notes a write of the object of this number.  Calls `recorded` with each
    /// read that may still be in flight when the object is split by it.
    pub fn write(
        &mut self,
        number: Option<usize>,
        writer: Sequence,
        recorded: &mut impl FnMut(Sequence, &Region, Object),
    ) {
        let Some(number) = number else {
            return;
        };
        let Some(followed) = self.objects.get_mut(number) else {
            return;
        };
        followed.last_write = Some(writer);
        followed.quiet = 0;
        if followed.whole {
            self.split(number, writer, recorded);
        }
    }

    /// Objects that lie over others, as a reused address may for a while, are
    /// not followed; all that is whole is split once.  Returns the number of an
    /// object that is followed.
    pub fn admit(
        &mut self,
        object: Object,
        at: Sequence,
        recorded: &mut impl FnMut(Sequence, &Region, Object),
    ) -> Option<usize> {
        let known = self.follow(object);
        if self.given_up || known.is_some() {
            return known;
        }
        let overlaps = |other: &Followed| {
            let (a, b) = (other.object, object);
            a.start() < b.start() + b.bytes() && b.start() < a.start() + a.bytes()
        };
        if self.objects.len() >= MAX_OBJECTS || self.objects.iter().any(overlaps) {
            self.given_up = true;
            for number in 0..self.objects.len() {
                self.split(number, at, recorded);
            }
            return None;
        }
        self.numbers.insert(object, self.objects.len());
        self.objects.push(Followed {
            object,
            whole: true,
            reads: VecDeque::new(),
            read_total: 0,
            last_write: None,
            quiet: 0,
            patience: FIRST_PATIENCE,
        });
        Some(self.objects.len() - 1)
    }

    /// The number of an object that is followed.
    pub fn follow(&mut self, object: Object) -> Option<usize> {
        let recent = self.recent.of(object);
        if let Some((known, number)) = *recent
            && known == object
        {
            return Some(number);
        }
        let number = self.numbers.get(&object).copied()?;
        *recent = Some((object, number));
        Some(number)
    }

    fn split(
        &mut self,
        number: usize,
        at: Sequence,
        recorded: &mut impl FnMut(Sequence, &Region, Object),
    ) {
        let Some(followed) = self.objects.get_mut(number) else {
            return;
        };
        if !followed.whole {
            return;
        }
        followed.whole = false;
        followed.patience = followed.patience.saturating_mul(2);
        let reads = std::mem::take(&mut followed.reads);
        let in_flight = reads.len();
        self.reads_held -= in_flight;
        let object = followed.object;
        // An object that nobody had read has nothing to split.
        if followed.read_total > 0 {
            let change = Change::Split {
                reads: followed.read_total,
                in_flight,
            };
            self.splits += 1;
            self.note(at, object, change);
        }
        for (reader, region) in &reads {
            recorded(*reader, region, object);
        }
    }

    fn note(&mut self, at: Sequence, object: Object, change: Change) {
        if self.decisions.len() >= MAX_DECISIONS {
            self.decisions.pop_front();
        }
        self.decisions.push_back(Decision { at, object, change });
    }

    /// Reads held for objects that are whole.
    pub fn reads_held(&self) -> usize {
        self.reads_held
    }

    /// Forgets reads that have ended.
    pub fn sweep(&mut self, graph: &Graph) {
        let in_flight = |reader| graph.standing(reader) == Standing::InFlight;
        for followed in &mut self.objects {
            let before = followed.reads.len();
            followed.reads.retain(|&(reader, _)| in_flight(reader));
            self.reads_held -= before - followed.reads.len();
        }
    }

    /// Times an object was split and merged.
    pub fn changes(&self) -> (u64, u64) {
        (self.splits, self.merges)
    }

    /// The latest decisions, oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter()
    }
}
