// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of lists: those of one context on one queue run one after another,
//! all others in parallel. A list has one command at a time with an engine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use augur_memory::ContextId;

use crate::list::List;

/// A command that may start now.
#[derive(Clone)]
pub(crate) struct Work {
    pub list: Arc<List>,
    /// Index in the list.
    pub command: usize,
}

/// Lists by context and queue; the first of each runs.
#[derive(Default)]
pub(crate) struct Order {
    queues: HashMap<(ContextId, usize), VecDeque<Arc<List>>>,
}

impl Order {
    /// Adds a list; answers its first command if nothing is before it.
    pub fn add(&mut self, list: Arc<List>) -> Option<Work> {
        let queue = self.queues.entry((list.context, list.queue)).or_default();
        queue.push_back(list.clone());
        (queue.len() == 1).then_some(Work { list, command: 0 })
    }

    /// Removes the list that runs; answers the next one's first command.
    pub fn finished(&mut self, list: &List) -> Option<Work> {
        let key = (list.context, list.queue);
        let queue = self.queues.get_mut(&key)?;
        queue.pop_front();
        match queue.front() {
            Some(list) => Some(Work {
                list: list.clone(),
                command: 0,
            }),
            None => {
                self.queues.remove(&key);
                None
            }
        }
    }

    /// Takes out the lists that have not started, of one context or of all. Those
    /// that run stay until they have ended.
    pub fn take_waiting(&mut self, context: Option<ContextId>) -> Vec<Arc<List>> {
        let mut taken = Vec::new();
        for ((owner, _), queue) in &mut self.queues {
            if context.is_none_or(|context| context == *owner) {
                taken.extend(queue.drain(1..));
            }
        }
        taken
    }
}
