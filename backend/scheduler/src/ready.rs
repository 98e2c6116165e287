//! Instructions that may run now, and which of them an engine gets next.
//!
//! An engine first takes what the work it has just ended released: its data
//! are still near.  Then what nobody is near to, the longest way to the end of
//! its list first; then the oldest of what is near another engine.  It knows
//! numbers of instructions only.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::clock::Nanos;
use crate::graph::Sequence;

/// A ready instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub sequence: Sequence,
    /// Modelled time from its start to the end of the longest chain known to
    /// hang on it.
    pub rank: Nanos,
}

/// The ready instructions of one context for one kind of engine.
#[derive(Debug)]
pub struct ReadyQueue {
    near: Vec<VecDeque<Ready>>,
    anywhere: BinaryHeap<(Nanos, Reverse<Sequence>)>,
    len: usize,
}

impl ReadyQueue {
    pub fn new(engines: usize) -> Self {
        Self {
            near: vec![VecDeque::new(); engines],
            anywhere: BinaryHeap::new(),
            len: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an instruction, near the engine that released it if one did.
    pub fn push(&mut self, ready: Ready, engine: Option<usize>) {
        self.len += 1;
        match engine.and_then(|engine| self.near.get_mut(engine)) {
            Some(near) => near.push_back(ready),
            None => self.anywhere.push((ready.rank, Reverse(ready.sequence))),
        }
    }

    /// Takes the instruction that `engine` runs next.
    pub fn pop(&mut self, engine: usize) -> Option<Sequence> {
        let own = self.near.get_mut(engine).and_then(VecDeque::pop_back);
        let taken = own
            .map(|ready| ready.sequence)
            .or_else(|| self.anywhere.pop().map(|(_, Reverse(sequence))| sequence))
            .or_else(|| self.steal())?;
        self.len -= 1;
        Some(taken)
    }

    /// Takes the oldest of the longest queue.
    fn steal(&mut self) -> Option<Sequence> {
        let longest = self.near.iter_mut().max_by_key(|near| near.len())?;
        longest.pop_front().map(|ready| ready.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(sequence: u64, rank: u64) -> Ready {
        Ready {
            sequence,
            rank: Nanos(rank),
        }
    }

    #[test]
    fn near_work_comes_first_then_the_longest_chain_then_what_can_be_stolen() {
        let mut queue = ReadyQueue::new(2);
        queue.push(ready(0, 5), None);
        queue.push(ready(1, 9), None);
        queue.push(ready(2, 1), Some(0));
        queue.push(ready(3, 1), Some(0));
        queue.push(ready(4, 1), Some(1));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(1)).collect();
        assert_eq!(order, [4, 1, 0, 2, 3]);
        assert!(queue.is_empty());
    }
}
