// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a list's commands before it runs, and lists that are
//! recognised when they come again: what was checked once is not checked twice.
//!
//! A list is the same when its bytes are, and when no object of its context has
//! gone since; then every check would come out as it did. Nothing is kept of a list
//! that comes for the first time but a mark of its bytes.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use augur_memory::ContextId;
use augur_scheduler::clock::Nanos;
use augur_scheduler::division::{Cuts, LEAST_PART, Offer};
use augur_scheduler::list::CommandList;
use augur_scheduler::overlap::overlaps;
use augur_scheduler::placement::together::Pairs;

use crate::command::Command;
use crate::divide;
use crate::footprint::Footprint;

/// Bytes of the programs that are kept, their estimate, in all.
const KEPT_BYTES: usize = 64 << 20;
/// Bytes that a kept command takes beside those on the wire.
const COMMAND_BYTES: usize = 2048;
/// Lists that came once, which are known again.
const MARKS: usize = 256;
/// Words of a list that its mark is made of.
const SAMPLES: usize = 256;

/// The checked commands of a list.
#[derive(Debug)]
pub(crate) struct Program {
    pub commands: Vec<Command>,
    /// The same for the scheduler.
    pub instructions: Arc<CommandList>,
    /// What they use together, if that is worth holding.
    pub footprint: Option<Footprint>,
    /// For each command the one of the list that it is a part of; empty when none
    /// was divided.
    pub origins: Vec<u32>,
    /// What there is to divide.
    pub offer: Offer,
    /// Which objects commands use together.
    pub pairs: Pairs,
    /// The same with large commands divided, once that was wanted.
    pub divided: Mutex<Divided>,
}

/// A list with large commands divided.
#[derive(Debug, Default)]
pub(crate) struct Divided {
    /// For each command that can be, where.
    pub cuts: Vec<(usize, Cuts)>,
    /// `None` before it is wanted, or when nothing is divided.
    pub program: Option<Arc<Program>>,
    /// Times that it was made.
    pub made: u32,
    /// Times that it was wanted.
    pub comings: u32,
}

impl Program {
    /// Number of commands that the list had.
    pub fn command_count(&self) -> usize {
        match self.origins.last() {
            Some(&last) => last as usize + 1,
            None => self.commands.len(),
        }
    }

    /// Index in the list of the command that this is, or is a part of.
    pub fn origin(&self, command: usize) -> usize {
        let origin = self.origins.get(command).copied();
        origin.map_or(command, |origin| origin as usize)
    }

    /// The commands that this one of the list became.
    fn parts(&self, origin: usize) -> &[Command] {
        let from = self.origins.partition_point(|&it| (it as usize) < origin);
        let end = self.origins.partition_point(|&it| it as usize <= origin);
        self.commands.get(from..end).unwrap_or_default()
    }

    /// Whether a command reads what some part of a failed one should have written,
    /// be that part done or not: all of it fails.
    pub fn needs(&self, command: usize, failed: usize) -> bool {
        let (own, origin) = (self.origin(command), self.origin(failed));
        let Some(command) = self.commands.get(command) else {
            return false;
        };
        own > origin
            && self.parts(origin).iter().any(|part| {
                part.operands.first().is_some_and(|written| {
                    command.operands.iter().enumerate().any(|(index, operand)| {
                        command.access(index).reads() && overlaps(&operand.region, &written.region)
                    })
                })
            })
    }
}

/// What there is to divide among commands.
pub(crate) fn offer(commands: &[Command]) -> Offer {
    let large = commands
        .iter()
        .filter(|command| command.nanos >= 2 * LEAST_PART.0 && divide::is_divisible(command));
    Offer {
        largest: Nanos(large.map(|it| it.nanos).max().unwrap_or(0)),
        total: Nanos(commands.iter().map(|it| it.nanos).sum()),
    }
}

/// What a list is known by: whose it is, with how many objects gone, and what it
/// says.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub context: ContextId,
    pub removed_objects: u64,
    pub commands: u32,
    pub bytes: &'a [u8],
}

struct Entry {
    mark: u64,
    context: ContextId,
    removed_objects: u64,
    commands: u32,
    bytes: Arc<[u8]>,
    program: Arc<Program>,
}

impl Entry {
    fn size(&self) -> usize {
        self.bytes.len() + self.program.commands.len() * COMMAND_BYTES
    }
}

#[derive(Default)]
struct State {
    /// The one that was used last comes last.
    entries: Vec<Entry>,
    size: usize,
    marks: VecDeque<u64>,
    recognised: u64,
}

/// Lists that came more than once.
#[derive(Default)]
pub(crate) struct Programs {
    keys: RandomState,
    state: Mutex<State>,
}

impl Programs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mark of what a list says, of some of its words.
    fn mark(&self, source: &Source<'_>) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u32(source.context.0);
        hasher.write_u32(source.commands);
        hasher.write_usize(source.bytes.len());
        // Odd, so that it is not always the same field of a command.
        let step = (source.bytes.len() / SAMPLES).max(8) | 1;
        for word in source.bytes.chunks(step) {
            hasher.write(word.get(..8).unwrap_or(word));
        }
        hasher.finish()
    }

    /// What was made of the list when it came before.
    pub fn find(&self, source: &Source<'_>) -> Option<Arc<Program>> {
        let mark = self.mark(source);
        let alike: Vec<_> = (self.lock().entries.iter())
            .filter(|entry| {
                entry.mark == mark
                    && entry.context == source.context
                    && entry.removed_objects == source.removed_objects
                    && entry.commands == source.commands
            })
            .map(|entry| (entry.bytes.clone(), entry.program.clone()))
            .collect();
        // The mark leaves out most of it.
        let (_, program) = alike
            .into_iter()
            .find(|(bytes, _)| **bytes == *source.bytes)?;
        let mut state = self.lock();
        state.recognised += 1;
        let at = (state.entries.iter()).position(|entry| Arc::ptr_eq(&entry.program, &program));
        if let Some(at) = at {
            let entry = state.entries.remove(at);
            state.entries.push(entry);
        }
        Some(program)
    }

    /// Keeps what was made of a list, when it has come before.
    pub fn keep(&self, source: &Source<'_>, program: &Arc<Program>) {
        let mark = self.mark(source);
        let mut state = self.lock();
        if !state.marks.contains(&mark) {
            state.marks.push_back(mark);
            if state.marks.len() > MARKS {
                state.marks.pop_front();
            }
            return;
        }
        let entry = Entry {
            mark,
            context: source.context,
            removed_objects: source.removed_objects,
            commands: source.commands,
            bytes: source.bytes.into(),
            program: program.clone(),
        };
        if entry.size() > KEPT_BYTES {
            return;
        }
        // Of when there were other objects.
        state.remove_where(|old| {
            old.context == source.context && old.removed_objects != source.removed_objects
        });
        state.size += entry.size();
        state.entries.push(entry);
        while state.size > KEPT_BYTES {
            let oldest = state.entries.remove(0);
            state.size -= oldest.size();
        }
    }

    /// Forgets the lists of a context that is gone.
    pub fn forget(&self, context: ContextId) {
        self.lock().remove_where(|entry| entry.context == context);
    }

    /// Lists that were recognised so far.
    pub fn recognised(&self) -> u64 {
        self.lock().recognised
    }
}

impl State {
    fn remove_where(&mut self, gone: impl Fn(&Entry) -> bool) {
        self.entries.retain(|entry| !gone(entry));
        self.size = self.entries.iter().map(Entry::size).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Arc<Program> {
        Arc::new(Program {
            commands: Vec::new(),
            instructions: Arc::default(),
            footprint: None,
            origins: Vec::new(),
            offer: Offer::default(),
            pairs: Pairs::default(),
            divided: Mutex::default(),
        })
    }

    fn source(bytes: &[u8]) -> Source<'_> {
        Source {
            context: ContextId(1),
            removed_objects: 0,
            commands: 3,
            bytes,
        }
    }

    #[test]
    fn a_list_is_recognised_when_it_comes_for_the_third_time() {
        let (programs, bytes) = (Programs::default(), vec![7; 10_000]);
        let list = source(&bytes);
        for _ in 0..2 {
            assert!(programs.find(&list).is_none());
            programs.keep(&list, &program());
        }
        assert!(programs.find(&list).is_some());
        let others = [
            Source {
                context: ContextId(2),
                ..list
            },
            Source {
                removed_objects: 1,
                ..list
            },
            Source {
                commands: 4,
                ..list
            },
        ];
        assert!(others.iter().all(|other| programs.find(other).is_none()));
        programs.forget(ContextId(1));
        assert!(programs.find(&list).is_none());
    }

    #[test]
    fn every_byte_counts() {
        let (programs, mut bytes) = (Programs::default(), vec![7; 10_000]);
        for _ in 0..2 {
            programs.keep(&source(&bytes), &program());
        }
        // Not among the words of the mark.
        let at = ((10_000 / SAMPLES) | 1) + 9;
        bytes[at] ^= 1;
        assert!(programs.find(&source(&bytes)).is_none());
        bytes[at] ^= 1;
        assert!(programs.find(&source(&bytes)).is_some());
    }

    #[test]
    fn lists_that_take_turns_are_all_recognised() {
        let programs = Programs::default();
        let lists: Vec<Vec<u8>> = (0..3)
            .map(|at| [vec![7; 5000], vec![at]].concat())
            .collect();
        let all: Vec<_> = lists.iter().map(|_| program()).collect();
        for _ in 0..2 {
            for (list, program) in lists.iter().zip(&all) {
                programs.keep(&source(list), program);
            }
        }
        for (list, program) in lists.iter().zip(&all) {
            let found = programs.find(&source(list)).unwrap();
            assert!(Arc::ptr_eq(&found, program));
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let programs = Programs::default();
        let bytes = vec![1; KEPT_BYTES / 3];
        for context in 1..9 {
            let list = Source {
                context: ContextId(context),
                ..source(&bytes)
            };
            for _ in 0..2 {
                programs.keep(&list, &program());
            }
            assert!(programs.find(&list).is_some());
        }
        let state = programs.lock();
        assert!(state.size <= KEPT_BYTES && state.entries.len() == 3);
    }
}
