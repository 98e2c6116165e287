// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that may run now, and which of them an engine gets next.
//!
//! Instructions that belong to a group (see [`crate::grouping`]) go to the
//! engine that has the group; an engine keeps its group until nothing of it is
//! ready, then takes the one with the longest chain behind it.  Others go by
//! what is near: what the engine's own work has released, then what nobody is
//! near to, longest chain first.  An engine with nothing of its own takes from
//! the others, so none idles while something is ready.  It knows numbers of
//! instructions only.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hashbrown::HashMap;

use crate::clock::Nanos;
use crate::graph::Sequence;
use crate::grouping::GroupId;

/// A ready instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub sequence: Sequence,
    /// Modelled time from its start to the end of the longest chain known to
    /// hang on it.
    pub rank: Nanos,
    /// Length of the chain before it.
    pub level: u32,
    pub group: Option<GroupId>,
}

/// Shortest chain before it first, then program order: what a group computes
/// in step shares what it reads.
type Step = (Reverse<u32>, Reverse<Sequence>);

/// Longest chain first, then program order.
type Order = (Nanos, Reverse<Sequence>);

#[derive(Debug, Default)]
struct Group {
    ready: BinaryHeap<Step>,
    owner: Option<usize>,
}

#[derive(Debug, Default)]
struct Engine {
    near: VecDeque<Sequence>,
    group: Option<GroupId>,
}

/// The ready instructions of one context for one kind of engine.
#[derive(Debug)]
pub struct ReadyQueue {
    engines: Vec<Engine>,
    anywhere: BinaryHeap<Order>,
    groups: HashMap<GroupId, Group>,
    /// Groups that nobody has, by their best instruction; some entries are
    /// out of date.
    open: BinaryHeap<(Order, OpenGroup)>,
    len: usize,
}

/// A group in [`ReadyQueue::open`], where its order does not matter.
#[derive(Clone, Copy, Debug)]
struct OpenGroup(GroupId);

impl PartialEq for OpenGroup {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OpenGroup {}

impl PartialOrd for OpenGroup {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OpenGroup {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl ReadyQueue {
    pub fn new(engines: usize) -> Self {
        Self {
            engines: (0..engines).map(|_| Engine::default()).collect(),
            anywhere: BinaryHeap::new(),
            groups: HashMap::new(),
            open: BinaryHeap::new(),
            len: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an instruction, near the engine that released it if one did.
    pub fn push(&mut self, ready: Ready, engine: Option<usize>) {
        self.len += 1;
        let order = (ready.rank, Reverse(ready.sequence));
        let releaser = engine.and_then(|engine| self.engines.get_mut(engine));
        let Some(group) = ready.group else {
            match releaser {
                Some(engine) => engine.near.push_back(ready.sequence),
                None => self.anywhere.push(order),
            }
            return;
        };
        // What another kind of group computes next from what is here follows
        // the data, unless its own group is somewhere already.
        let adopted = releaser
            .and_then(|engine| engine.group)
            .filter(|here| here.kind != group.kind && !self.is_owned(&group))
            .unwrap_or(group);
        let entry = self.groups.entry(adopted).or_default();
        entry
            .ready
            .push((Reverse(ready.level), Reverse(ready.sequence)));
        if entry.owner.is_none() {
            self.open.push((order, OpenGroup(adopted)));
        }
    }

    /// Takes the instruction that `engine` runs next.
    pub fn pop(&mut self, engine: usize) -> Option<Sequence> {
        let taken = self
            .pop_near(engine)
            .or_else(|| self.pop_group(engine))
            .or_else(|| self.anywhere.pop().map(|(_, Reverse(sequence))| sequence))
            .or_else(|| self.steal())?;
        self.len -= 1;
        Some(taken)
    }

    fn is_owned(&self, group: &GroupId) -> bool {
        self.groups
            .get(group)
            .is_some_and(|group| group.owner.is_some())
    }

    fn pop_near(&mut self, engine: usize) -> Option<Sequence> {
        self.engines.get_mut(engine)?.near.pop_back()
    }

    /// From the engine's group, or from the best one that nobody has.
    fn pop_group(&mut self, engine: usize) -> Option<Sequence> {
        let state = self.engines.get_mut(engine)?;
        if let Some(group) = state.group {
            if let Some((_, Reverse(sequence))) = self
                .groups
                .get_mut(&group)
                .and_then(|group| group.ready.pop())
            {
                return Some(sequence);
            }
            // Keep the group while there is no other: its next instructions
            // may be released any moment.
            if self.open.is_empty() {
                return None;
            }
            state.group = None;
            self.groups.remove(&group);
        }
        while let Some((_, OpenGroup(id))) = self.open.pop() {
            if let Some(group) = self.groups.get_mut(&id)
                && group.owner.is_none()
                && let Some((_, Reverse(sequence))) = group.ready.pop()
            {
                group.owner = Some(engine);
                state.group = Some(id);
                return Some(sequence);
            }
        }
        None
    }

    /// From the engine that has the most.
    fn steal(&mut self) -> Option<Sequence> {
        let groups = &self.groups;
        let ready_of = |engine: &Engine| {
            let group = engine.group.and_then(|group| groups.get(&group));
            group.map_or(0, |group| group.ready.len())
        };
        let richest = self
            .engines
            .iter()
            .enumerate()
            .max_by_key(|(number, engine)| (engine.near.len() + ready_of(engine), Reverse(*number)))
            .map(|(number, _)| number)?;
        let engine = self.engines.get_mut(richest)?;
        engine.near.pop_front().or_else(|| {
            let group = self.groups.get_mut(&engine.group?)?;
            group.ready.pop().map(|(_, Reverse(sequence))| sequence)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(sequence: u64, rank: u64, group: Option<u64>) -> Ready {
        Ready {
            sequence,
            rank: Nanos(rank),
            level: 0,
            group: group.map(|place| GroupId {
                kind: (place / 10, 0),
                place: (place, 0),
            }),
        }
    }

    #[test]
    fn near_work_comes_first_then_the_longest_chain_then_what_can_be_stolen() {
        let mut queue = ReadyQueue::new(2);
        queue.push(ready(0, 5, None), None);
        queue.push(ready(1, 9, None), None);
        queue.push(ready(2, 1, None), Some(0));
        queue.push(ready(3, 1, None), Some(0));
        queue.push(ready(4, 1, None), Some(1));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(1)).collect();
        assert_eq!(order, [4, 1, 0, 2, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_engine_stays_in_its_group_and_the_other_takes_the_next() {
        let mut queue = ReadyQueue::new(2);
        for sequence in 0..6 {
            queue.push(ready(sequence, 9 - sequence, Some(sequence % 2)), None);
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
        queue.push(ready(0, 9, Some(1)), None);
        queue.push(ready(1, 8, Some(11)), None);
        assert_eq!(queue.pop(0), Some(0));
        assert_eq!(queue.pop(1), Some(1));
        queue.push(ready(2, 1, Some(12)), Some(0));
        queue.push(ready(3, 7, Some(11)), Some(0));
        assert_eq!(queue.pop(1), Some(3));
        assert_eq!(queue.pop(0), Some(2));
    }
}
