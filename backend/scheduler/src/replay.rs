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

mod follower;
mod recording;
mod template;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::graph::Sequence;
use crate::list::ListName;

pub use follower::{Follower, Followers, Inside};
pub use recording::Recording;
pub use template::{Plan, Template};

/// Instructions back to which analysis keeps even what has ended, so that a
/// recording does not depend on when that was.
pub const HORIZON: u64 = 1 << 17;

/// Instructions, and their accesses and edges, of all recordings of one context.
const MAX_INSTRUCTIONS: usize = 1 << 18;
const MAX_SIZE: usize = 1 << 21;
/// Names of lists that are remembered to tell a second sight from a first.
const MAX_NAMES: usize = 1 << 12;
/// Recordings of one list, after different lists.
const MAX_VARIANTS: usize = 4;
/// Lists before a recording that it names.
const MAX_PAST: usize = 256;

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
        Some(Box::new(Recording::new(name, first, length, past)))
    }

    /// Keeps a whole recording.
    pub fn keep(&mut self, recording: Recording) {
        let name = recording.name();
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
