// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that may run now, and which of them an engine gets next.
//!
//! While there is more work than the longest chain takes, what has been begun
//! is finished first: the deepest instruction, so that results are whole early
//! and leave the card while others are computed.  Where a chain would decide
//! the end, the longest comes first, whatever is near.
//!
//! Instructions that belong to a group (see [`crate::grouping`]) go to the
//! engine that has the group; an engine keeps its group until nothing of it is
//! ready.  Others go by what is near: what the engine's own work has released,
//! then what nobody is near to.  An engine with nothing of its own takes from
//! the others, so none idles while something is ready.  It knows numbers of
//! instructions only.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::clock::Nanos;
use crate::graph::Sequence;
use crate::grouping::{GROUPS, Group};
use crate::levels::{Levels, Queue, Queues};

/// A ready instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub sequence: Sequence,
    /// Modelled time from its start to the end of the longest chain known to
    /// hang on it, when that may decide the end of all.
    pub urgent: Option<Nanos>,
    /// Length of the chain before it.
    pub level: u32,
    pub group: Option<Group>,
}

/// No engine.
const NONE: u32 = u32::MAX;

/// What of a group is ready, in the order in which it was released: what a
/// group computes in step shares what it reads.
#[derive(Clone, Copy, Debug)]
struct Members {
    ready: Queue,
    owner: u32,
}

#[derive(Debug, Default)]
struct Engine {
    near: VecDeque<Sequence>,
    group: Option<Group>,
}

/// The ready instructions of one context for one kind of engine.
#[derive(Debug)]
pub struct ReadyQueue {
    engines: Vec<Engine>,
    urgent: BinaryHeap<(Nanos, Reverse<Sequence>)>,
    anywhere: Levels<Sequence>,
    /// By number; none before the first instruction of any.
    groups: Vec<Members>,
    members: Queues<Sequence>,
    /// Groups that nobody has and of which something is ready: the depth of
    /// what was released first, and that.  Of groups of one depth the one
    /// whose work comes first is taken: a gap between two that were begun is
    /// filled before a third is, so results are whole one after the other and
    /// leave while others are computed.
    open: BinaryHeap<(u32, Reverse<Sequence>, Group)>,
    len: usize,
    /// Instructions that were taken where their data were, and from another
    /// engine's share.
    near: u64,
    stolen: u64,
}

impl ReadyQueue {
    pub fn new(engines: usize) -> Self {
        Self {
            engines: (0..engines).map(|_| Engine::default()).collect(),
            urgent: BinaryHeap::new(),
            anywhere: Levels::new(),
            groups: Vec::new(),
            members: Queues::new(),
            open: BinaryHeap::new(),
            len: 0,
            near: 0,
            stolen: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Instructions that were taken where their data were, and from another
    /// engine's share.
    pub fn taken_near_and_stolen(&self) -> (u64, u64) {
        (self.near, self.stolen)
    }

    /// Adds an instruction, near the engine of this number, if there is one.
    #[inline(always)]
    pub fn push(&mut self, ready: Ready, engine: usize) {
        self.len += 1;
        let Ready {
            sequence,
            urgent,
            level,
            group,
        } = ready;
        if let Some(rank) = urgent {
            self.urgent.push((rank, Reverse(sequence)));
        } else if let Some(group) = group {
            self.push_member(sequence, level, group, engine);
        } else if let Some(engine) = self.engines.get_mut(engine) {
            engine.near.push_back(sequence);
        } else {
            self.anywhere.push(level, sequence);
        }
    }

    /// Adds one of a group.
    #[inline(always)]
    fn push_member(&mut self, sequence: Sequence, level: u32, group: Group, engine: usize) {
        // What another kind of group computes next from what is here follows
        // the data, unless its own group is somewhere already.
        let here = self.engines.get(engine).and_then(|engine| engine.group);
        let own = self.groups.get(usize::from(group.number));
        let adopted = match here {
            Some(here) if here.kind != group.kind && own.is_none_or(|own| own.owner == NONE) => {
                here
            }
            _ => group,
        };
        let Some(members) = self.groups.get_mut(usize::from(adopted.number)) else {
            return self.push_first_member(sequence, level, adopted);
        };
        self.members.push(&mut members.ready, sequence);
        if members.owner == NONE && members.ready.len() == 1 {
            self.open.push((level, Reverse(sequence), adopted));
        }
    }

    /// Adds the first one ever of a group.
    #[cold]
    fn push_first_member(&mut self, sequence: Sequence, level: u32, group: Group) {
        let nobody = Members {
            ready: Queue::EMPTY,
            owner: NONE,
        };
        self.groups.resize(GROUPS, nobody);
        if let Some(members) = self.groups.get_mut(usize::from(group.number)) {
            self.members.push(&mut members.ready, sequence);
            self.open.push((level, Reverse(sequence), group));
        }
    }

    /// Calls `more` with the instructions that `engine` runs next, one after the other, until
    /// it answers that it wants no more or none may run.
    #[inline(always)]
    pub fn pop_while(&mut self, engine: usize, mut more: impl FnMut(Sequence) -> bool) {
        if self.len == 0 {
            return;
        }
        let (mut near, mut others) = (0, 0);
        loop {
            let own = if self.urgent.is_empty() {
                self.pop_own(engine)
            } else {
                None
            };
            let taken = match own {
                Some(own) => {
                    near += 1;
                    own
                }
                None => match self.pop_farther(engine) {
                    Some(other) => {
                        others += 1;
                        other
                    }
                    None => break,
                },
            };
            if !more(taken) {
                break;
            }
        }
        self.near += near as u64;
        self.len -= near + others;
    }

    /// What the engine's own work has released, or more of its group.
    #[inline(always)]
    fn pop_own(&mut self, engine: usize) -> Option<Sequence> {
        let engine = self.engines.get_mut(engine)?;
        engine.near.pop_back().or_else(|| {
            let members = self.groups.get_mut(usize::from(engine.group?.number))?;
            self.members.pop(&mut members.ready)
        })
    }

    /// Takes one that is urgent, or not the engine's own.
    #[inline(never)]
    fn pop_farther(&mut self, engine: usize) -> Option<Sequence> {
        let taken = self
            .pop_urgent()
            .or_else(|| self.pop_group(engine))
            .or_else(|| self.anywhere.pop());
        if taken.is_some() {
            return taken;
        }
        let stolen = self.steal()?;
        self.stolen += 1;
        Some(stolen)
    }

    fn pop_urgent(&mut self) -> Option<Sequence> {
        self.urgent.pop().map(|(_, Reverse(sequence))| sequence)
    }

    /// From the best group that nobody has; of the engine's own nothing is
    /// ready.  That is kept while there is no other: its next instructions may be
    /// released any moment.
    fn pop_group(&mut self, engine: usize) -> Option<Sequence> {
        let state = self.engines.get_mut(engine)?;
        let (_, _, group) = self.open.pop()?;
        if let Some(old) = state.group.replace(group)
            && let Some(members) = self.groups.get_mut(usize::from(old.number))
        {
            members.owner = NONE;
        }
        let members = self.groups.get_mut(usize::from(group.number))?;
        members.owner = engine as u32;
        self.members.pop(&mut members.ready)
    }

    /// From the engine that has the most.
    fn steal(&mut self) -> Option<Sequence> {
        let groups = &self.groups;
        let ready_of = |engine: &Engine| {
            let group = engine.group.map(|group| usize::from(group.number));
            let members = group.and_then(|number| groups.get(number));
            members.map_or(0, |members| members.ready.len())
        };
        let richest = self
            .engines
            .iter()
            .enumerate()
            .max_by_key(|(number, engine)| (engine.near.len() + ready_of(engine), Reverse(*number)))
            .map(|(number, _)| number)?;
        let engine = self.engines.get_mut(richest)?;
        engine.near.pop_front().or_else(|| {
            let group = usize::from(engine.group?.number);
            let members = self.groups.get_mut(group)?;
            self.members.pop(&mut members.ready)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    /// No engine has this number.
    const ELSE: usize = usize::MAX;

    impl ReadyQueue {
        fn pop(&mut self, engine: usize) -> Option<Sequence> {
            let mut taken = None;
            self.pop_while(engine, |sequence| {
                taken = Some(sequence);
                false
            });
            taken
        }
    }

    fn ready(sequence: u64, level: u32, group: Option<u16>) -> Ready {
        Ready {
            sequence,
            urgent: None,
            level,
            group: group.map(|number| Group {
                kind: NonZeroU32::MIN.saturating_add(u32::from(number / 10)),
                number,
            }),
        }
    }

    #[test]
    fn near_work_comes_first_then_the_deepest_then_what_can_be_stolen() {
        let mut queue = ReadyQueue::new(2);
        queue.push(ready(0, 5, None), ELSE);
        queue.push(ready(1, 9, None), ELSE);
        queue.push(ready(2, 1, None), 0);
        queue.push(ready(3, 1, None), 0);
        queue.push(ready(4, 1, None), 1);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(1)).collect();
        assert_eq!(order, [4, 1, 0, 2, 3]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn what_decides_the_end_comes_before_what_is_near() {
        let mut queue = ReadyQueue::new(1);
        queue.push(ready(0, 5, None), 0);
        for (sequence, rank) in [(1, 10), (2, 30), (3, 20)] {
            let urgent = Some(Nanos(rank));
            queue.push(
                Ready {
                    urgent,
                    ..ready(sequence, 0, None)
                },
                ELSE,
            );
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(0)).collect();
        assert_eq!(order, [2, 3, 1, 0]);
    }

    #[test]
    fn an_engine_stays_in_its_group_and_the_other_takes_the_next() {
        let mut queue = ReadyQueue::new(2);
        for sequence in 0..6 {
            queue.push(ready(sequence, 0, Some((sequence % 2) as u16)), ELSE);
        }
        assert_eq!(queue.pop(0), Some(0));
        assert_eq!(queue.pop(1), Some(1));
        assert_eq!(queue.pop(0), Some(2));
        assert_eq!(queue.pop(0), Some(4));
        // Its own is empty: it helps the other.
        assert_eq!(queue.pop(0), Some(3));
        assert_eq!(queue.pop(1), Some(5));
        assert_eq!(queue.pop(1), None);
    }

    #[test]
    fn work_of_another_kind_follows_its_data_unless_its_group_is_elsewhere() {
        let mut queue = ReadyQueue::new(2);
        queue.push(ready(0, 9, Some(1)), ELSE);
        queue.push(ready(1, 8, Some(11)), ELSE);
        assert_eq!(queue.pop(0), Some(0));
        assert_eq!(queue.pop(1), Some(1));
        queue.push(ready(2, 1, Some(12)), 0);
        queue.push(ready(3, 7, Some(11)), 0);
        assert_eq!(queue.pop(1), Some(3));
        assert_eq!(queue.pop(0), Some(2));
    }
}
