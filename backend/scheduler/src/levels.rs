// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many queues in one array, and a queue for each depth of the graph.
//!
//! What is ready is put in and taken out once for each instruction, so both
//! cost a few machine words whatever is queued.  It knows nothing of what is
//! queued.

const EMPTY: u32 = u32::MAX;

/// Depths that are told apart; all beyond are the last.
const LEVELS: usize = 1 << 12;
const WORD: usize = u64::BITS as usize;

/// First in, first out; the values lie in a [`Queues`].
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Queue {
    pub const EMPTY: Self = Self {
        head: EMPTY,
        tail: EMPTY,
        len: 0,
    };

    pub fn len(self) -> usize {
        self.len as usize
    }
}

/// The values of many queues.
#[derive(Debug)]
pub struct Queues<T> {
    nodes: Vec<(T, u32)>,
    free: u32,
}

impl<T: Copy> Queues<T> {
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: EMPTY,
        }
    }

    pub fn push(&mut self, queue: &mut Queue, value: T) {
        let at = self.free;
        let at = match self.nodes.get_mut(at as usize) {
            Some(node) => {
                self.free = node.1;
                *node = (value, EMPTY);
                at
            }
            None => {
                self.nodes.push((value, EMPTY));
                self.nodes.len() as u32 - 1
            }
        };
        match self.nodes.get_mut(queue.tail as usize) {
            Some(tail) => tail.1 = at,
            None => queue.head = at,
        }
        queue.tail = at;
        queue.len += 1;
    }

    pub fn pop(&mut self, queue: &mut Queue) -> Option<T> {
        let at = queue.head;
        let node = self.nodes.get_mut(at as usize)?;
        queue.head = node.1;
        queue.len -= 1;
        if queue.head == EMPTY {
            queue.tail = EMPTY;
        }
        node.1 = self.free;
        self.free = at;
        Some(node.0)
    }
}

/// A queue for each depth, the deepest of which is served first.
#[derive(Debug)]
pub struct Levels<T> {
    values: Queues<T>,
    /// By depth; none before the first value.
    queues: Vec<Queue>,
    /// A bit for each queue that is not empty, and one for each such word.
    words: [u64; LEVELS / WORD],
    summary: u64,
}

impl<T: Copy> Levels<T> {
    pub fn new() -> Self {
        Self {
            values: Queues::new(),
            queues: Vec::new(),
            words: [0; LEVELS / WORD],
            summary: 0,
        }
    }

    pub fn push(&mut self, level: u32, value: T) {
        let level = (level as usize).min(LEVELS - 1);
        if level >= self.queues.len() {
            let length = (level + 1).next_power_of_two();
            self.queues.resize(length, Queue::EMPTY);
        }
        if let Some(queue) = self.queues.get_mut(level) {
            self.values.push(queue, value);
        }
        if let Some(word) = self.words.get_mut(level / WORD) {
            *word |= 1 << (level % WORD);
            self.summary |= 1 << (level / WORD);
        }
    }

    /// The value that has waited longest of the deepest.
    pub fn pop(&mut self) -> Option<T> {
        let index = self.summary.checked_ilog2()? as usize;
        let word = self.words.get_mut(index)?;
        let bit = word.checked_ilog2()? as usize;
        let queue = self.queues.get_mut(index * WORD + bit)?;
        let value = self.values.pop(queue);
        if queue.len() == 0 {
            *word &= !(1 << bit);
            if *word == 0 {
                self.summary &= !(1 << index);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_deepest_come_first_and_in_their_order(
            pushes in prop::collection::vec((0u32..300, any::<bool>()), 0..200),
        ) {
            let mut levels = Levels::new();
            let mut model: Vec<(u32, usize)> = Vec::new();
            for (number, &(level, pop)) in pushes.iter().enumerate() {
                let level = level * level;
                levels.push(level, number);
                model.push((level.min(LEVELS as u32 - 1), number));
                if pop {
                    let deepest = model.iter().map(|&(level, _)| level).max().unwrap();
                    let at = model.iter().position(|&(level, _)| level == deepest).unwrap();
                    prop_assert_eq!(levels.pop(), Some(model.remove(at).1));
                }
            }
            model.sort_by_key(|&(level, _)| std::cmp::Reverse(level));
            let rest: Vec<usize> = std::iter::from_fn(|| levels.pop()).collect();
            prop_assert_eq!(rest, model.into_iter().map(|(_, number)| number).collect::<Vec<_>>());
            prop_assert_eq!(levels.summary, 0);
            prop_assert!(levels.values.nodes.len() <= pushes.len());
        }
    }
}
