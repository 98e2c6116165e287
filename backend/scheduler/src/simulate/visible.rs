// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is on the card, and what has to go home.
//!
//! An atom that is read has to be brought first; one that is overwritten is
//! just there.  What queued instructions use stays; when room is needed, the
//! least recently used of the rest leaves.  What was written goes home when
//! nobody is known to write it again and the link has nothing else to do: as
//! long as more instructions are to come, that is after twice the distance at
//! which anything of the object has been written again so far.

use std::collections::VecDeque;

use super::atoms::{Atom, Atoms};
use crate::list::Access;

/// Candidates of one object that are looked at for one move.
const LOOK: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Home,
    Wanted,
    Here,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    place: Place,
    /// Written here and not at home.
    dirty: bool,
    /// Is among the candidates to go home.
    queued: bool,
    /// Queued instructions that use it, and that write it.
    users: u32,
    writers: u32,
    /// The latest instruction that is known to write it.
    last_writer: Option<u32>,
    /// When it was last used.
    used: u64,
}

/// What is known about the writes of one object.
#[derive(Clone, Debug, Default)]
struct Homeward {
    candidates: VecDeque<Atom>,
    /// Longest distance, in instructions, between two writes of one atom.
    distance: u32,
}

/// The card's memory.
#[derive(Debug)]
pub struct Visible {
    capacity: u64,
    /// Bytes here or on the way, and those that queued instructions use.
    held: u64,
    pinned: u64,
    states: Vec<State>,
    objects: Vec<Homeward>,
    unused: VecDeque<(u64, Atom)>,
    uses: u64,
}

impl Visible {
    pub fn new(capacity: u64, program: &Atoms) -> Self {
        Self {
            capacity,
            held: 0,
            pinned: 0,
            states: vec![State::default(); program.pieces().len()],
            objects: vec![Homeward::default(); program.objects()],
            unused: VecDeque::new(),
            uses: 0,
        }
    }

    /// Whether all that one more instruction uses can be here beside what the
    /// queued ones use.
    pub fn has_room(&self, program: &Atoms, uses: &[(Atom, Access)]) -> bool {
        let unpinned = |atom: Atom| {
            let state = self.states.get(atom as usize);
            state.is_some_and(|state| state.users == 0)
        };
        let more = uses.iter().filter(|&&(atom, _)| unpinned(atom));
        let more: u64 = more.map(|&(atom, _)| program.bytes(atom)).sum();
        self.pinned == 0 || self.pinned + more <= self.capacity
    }

    /// Queues an instruction.  Pushes what it has to wait for to `missing`, and
    /// returns the bytes that had to leave for it.
    pub fn admit(
        &mut self,
        program: &Atoms,
        instruction: u32,
        uses: &[(Atom, Access)],
        missing: &mut Vec<Atom>,
    ) -> Vec<Atom> {
        for &(atom, access) in uses {
            let Some(state) = self.states.get_mut(atom as usize) else {
                continue;
            };
            let bytes = program.bytes(atom);
            if state.users == 0 {
                self.pinned += bytes;
            }
            state.users += 1;
            if state.place == Place::Home {
                self.held += bytes;
                state.place = if access.reads() {
                    Place::Wanted
                } else {
                    Place::Here
                };
            }
            if state.place == Place::Wanted {
                missing.push(atom);
            }
            if access.writes() {
                state.writers += 1;
                if let Some(before) = state.last_writer.replace(instruction)
                    && let Some(object) = object_of(&mut self.objects, program, atom)
                {
                    object.distance = object.distance.max(instruction - before);
                }
            }
        }
        self.make_room(program)
    }

    /// Lets what was least recently used go; returns what has to be written
    /// home.
    fn make_room(&mut self, program: &Atoms) -> Vec<Atom> {
        let mut homeward = Vec::new();
        while self.held > self.capacity {
            let Some((used, atom)) = self.unused.pop_front() else {
                break;
            };
            let Some(state) = self.states.get_mut(atom as usize) else {
                continue;
            };
            if state.users > 0 || state.used != used || state.place != Place::Here {
                continue;
            }
            state.place = Place::Home;
            self.held -= program.bytes(atom);
            if std::mem::take(&mut state.dirty) {
                homeward.push(atom);
            }
        }
        homeward
    }

    /// Notes that an atom has arrived.
    pub fn arrived(&mut self, atom: Atom) {
        if let Some(state) = self.states.get_mut(atom as usize) {
            state.place = Place::Here;
        }
    }

    /// Notes the end of an instruction; pushes to `last` what it has written
    /// and nobody queued writes again.
    pub fn ended(&mut self, program: &Atoms, uses: &[(Atom, Access)], last: &mut Vec<Atom>) {
        self.uses += 1;
        for &(atom, access) in uses {
            let Some(state) = self.states.get_mut(atom as usize) else {
                continue;
            };
            state.users -= 1;
            state.used = self.uses;
            if state.users == 0 {
                self.pinned -= program.bytes(atom);
                self.unused.push_back((self.uses, atom));
            }
            if access.writes() {
                state.dirty = true;
                state.writers -= 1;
                if state.writers == 0 {
                    last.push(atom);
                    if !std::mem::replace(&mut state.queued, true)
                        && let Some(object) = object_of(&mut self.objects, program, atom)
                    {
                        object.candidates.push_back(atom);
                    }
                }
            }
        }
    }

    /// The next atoms to be written home, side by side and no more than
    /// `bytes`, unless one alone is; `queued` instructions are known, and
    /// `complete` says that no more are to come.
    pub fn homeward(
        &mut self,
        program: &Atoms,
        queued: u32,
        complete: bool,
        bytes: u64,
    ) -> Vec<Atom> {
        let mut chosen: Vec<Atom> = Vec::new();
        let mut sum = 0;
        for object in &mut self.objects {
            for _ in 0..LOOK.min(object.candidates.len()) {
                let Some(atom) = object.candidates.pop_front() else {
                    break;
                };
                let Some(state) = self.states.get_mut(atom as usize) else {
                    continue;
                };
                if !state.dirty || state.writers > 0 {
                    // It comes again when it has been written.
                    state.queued = false;
                    continue;
                }
                let since = queued - state.last_writer.unwrap_or(0);
                if !complete && (object.distance == 0 || since <= 2 * object.distance) {
                    object.candidates.push_back(atom);
                    continue;
                }
                let size = program.bytes(atom);
                if !chosen.is_empty() && sum + size > bytes {
                    object.candidates.push_front(atom);
                    break;
                }
                state.queued = false;
                state.dirty = false;
                chosen.push(atom);
                sum += size;
            }
            if !chosen.is_empty() {
                break;
            }
        }
        chosen
    }
}

fn object_of<'a>(
    objects: &'a mut [Homeward],
    program: &Atoms,
    atom: Atom,
) -> Option<&'a mut Homeward> {
    let piece = program.pieces().get(atom as usize)?;
    objects.get_mut(piece.object as usize)
}
