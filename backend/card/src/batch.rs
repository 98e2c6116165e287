// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that an engine takes and ends together. Which they are the dispatcher
//! decides.

use std::ops::Range;
use std::sync::Arc;

use augur_scheduler::graph::Outcome;
use augur_scheduler::scheduler::{Engine, ListId, Work as Taken};

use crate::list::List;

/// Lists that are kept at hand while the engine works.
const AT_HAND: usize = 4;

struct Item {
    /// Index of its list among those at hand.
    list: usize,
    command: usize,
}

/// What an engine has taken. See the module's description.
pub(crate) struct Batch {
    engine: usize,
    lists: Vec<(ListId, Arc<List>)>,
    items: Vec<Item>,
    /// What the scheduler knows the same commands by, and what becomes of them.
    outcomes: Vec<(Taken, Outcome)>,
    /// The dispatcher's signal when it had nothing for the engine.
    pub seen: u64,
}

impl Batch {
    /// Nothing, for a compute engine.
    pub fn new(engine: usize) -> Self {
        Batch {
            engine,
            lists: Vec::new(),
            items: Vec::new(),
            outcomes: Vec::new(),
            seen: 0,
        }
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        Engine::Compute(self.engine)
    }

    /// Number of the engine.
    pub fn number(&self) -> usize {
        self.engine
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Adds a command of a list, which `find` looks up when it is not at hand; `Err`
    /// with the command when there is no such list. Answers the estimate of the
    /// command's time in nanoseconds.
    pub fn push(
        &mut self,
        taken: Taken,
        find: impl FnOnce() -> Option<Arc<List>>,
    ) -> Result<u64, Taken> {
        let known = self.lists.iter().position(|(id, _)| *id == taken.list);
        let list = match known {
            Some(known) => known,
            None => {
                let Some(list) = find() else {
                    return Err(taken);
                };
                if self.items.is_empty() && self.lists.len() >= AT_HAND {
                    self.lists.clear();
                }
                self.lists.push((taken.list, list));
                self.lists.len() - 1
            }
        };
        let command = taken.position as usize;
        let commands = self.lists.get(list).map(|(_, list)| list.commands());
        let nanos = commands.and_then(|commands| commands.get(command));
        self.items.push(Item { list, command });
        self.outcomes.push((taken, Outcome::Done));
        Ok(nanos.map_or(0, |command| command.nanos))
    }

    /// Commands from `start` on that are of one list, and the list.
    pub fn run_from(&self, start: usize) -> Option<(&Arc<List>, Range<usize>)> {
        let rest = self.items.get(start..)?;
        let list = rest.first()?.list;
        let count = rest.iter().take_while(|item| item.list == list).count();
        let (_, list) = self.lists.get(list)?;
        Some((list, start..start + count))
    }

    /// Index of a command in its list.
    pub fn command(&self, at: usize) -> usize {
        self.items.get(at).map_or(usize::MAX, |item| item.command)
    }

    /// A command has failed.
    pub fn fail(&mut self, at: usize) {
        if let Some((_, outcome)) = self.outcomes.get_mut(at) {
            *outcome = Outcome::Failed;
        }
    }

    /// What became of the commands.
    pub fn outcomes(&self) -> &[(Taken, Outcome)] {
        &self.outcomes
    }

    /// Takes out all commands.
    pub fn clear(&mut self) {
        self.items.clear();
        self.outcomes.clear();
    }

    /// Lets go of lists that nothing is to be done for.
    pub fn forget(&mut self) {
        if self.items.is_empty() {
            self.lists.clear();
        }
    }
}
