// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the engines hold in their local memories.
//!
//! Least recently used atoms leave first.  What an engine has written goes back
//! to the card's memory when it leaves or when nobody is known to write it
//! again; another engine that reads it before takes it from there.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::atoms::Atom;

/// One engine's local memory.
#[derive(Debug, Default)]
struct Local {
    /// When an atom was last used, and the version that is held.
    held: HashMap<Atom, (u64, u32)>,
    /// Uses from oldest to newest; an atom belongs to its last one.
    order: VecDeque<(u64, Atom)>,
    bytes: u64,
    now: u64,
}

/// What is the same for all engines about an atom.
#[derive(Clone, Copy, Debug, Default)]
struct Shared {
    /// Writes so far: a copy of an older version is void.
    version: u32,
    /// The engine that has written it and not given it back.
    dirty: Option<u32>,
}

/// The local memories of all engines.
#[derive(Debug)]
pub struct LocalMemories {
    capacity: u64,
    engines: Vec<Local>,
    shared: Vec<Shared>,
}

impl LocalMemories {
    pub fn new(engines: usize, capacity: u64, atoms: usize) -> Self {
        Self {
            capacity,
            engines: (0..engines).map(|_| Local::default()).collect(),
            shared: vec![Shared::default(); atoms],
        }
    }

    /// Brings an atom of `bytes` to `engine`; returns the bytes that have to be
    /// moved into its local memory.
    pub fn access(
        &mut self,
        engine: usize,
        (atom, bytes): (Atom, u64),
        reads: bool,
        writes: bool,
    ) -> u64 {
        let (Some(local), Some(shared)) = (
            self.engines.get_mut(engine),
            self.shared.get_mut(atom as usize),
        ) else {
            return 0;
        };
        local.now += 1;
        let now = local.now;
        let known = local.held.get(&atom).copied();
        let current = known.is_some_and(|(_, version)| version == shared.version);
        let filled = if reads && !current { bytes } else { 0 };
        if writes {
            shared.version += 1;
            shared.dirty = Some(engine as u32);
        }
        if known.is_none() {
            local.bytes += bytes;
        }
        local.held.insert(atom, (now, shared.version));
        local.order.push_back((now, atom));
        filled
    }

    /// Makes room; `bytes_of` says how large atoms are.  Returns the bytes that
    /// have to go back.
    pub fn evict(&mut self, engine: usize, bytes_of: impl Fn(Atom) -> u64) -> u64 {
        let Some(local) = self.engines.get_mut(engine) else {
            return 0;
        };
        let mut drained = 0;
        while local.bytes > self.capacity {
            let Some((used, atom)) = local.order.pop_front() else {
                break;
            };
            if local.held.get(&atom).is_none_or(|&(last, _)| last != used) {
                continue;
            }
            local.held.remove(&atom);
            let bytes = bytes_of(atom);
            local.bytes -= bytes;
            if let Some(shared) = self.shared.get_mut(atom as usize)
                && shared.dirty == Some(engine as u32)
            {
                shared.dirty = None;
                drained += bytes;
            }
        }
        // Uses that are not an atom's last.
        if local.order.len() > 4 * local.held.len() + 64 {
            let held = &local.held;
            local
                .order
                .retain(|(used, atom)| held.get(atom).is_some_and(|&(last, _)| last == *used));
        }
        drained
    }

    /// Whether only a local memory has the newest bytes of an atom; they are
    /// given back now.
    pub fn give_back(&mut self, atom: Atom) -> bool {
        self.shared
            .get_mut(atom as usize)
            .is_some_and(|shared| shared.dirty.take().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_leaves_and_written_bytes_go_back_once() {
        let mut memories = LocalMemories::new(2, 200, 3);
        let bytes_of = |_| 100;
        assert_eq!(memories.access(0, (0, 100), false, true), 0);
        assert_eq!(memories.access(0, (1, 100), true, false), 100);
        assert_eq!(memories.access(0, (0, 100), true, false), 0);
        assert_eq!(memories.evict(0, bytes_of), 0);
        // The second is the oldest, and clean.
        memories.access(0, (2, 100), true, false);
        assert_eq!(memories.evict(0, bytes_of), 0);
        // The other engine takes the first from where it was written; when it
        // writes it, the first engine's copy is void.
        assert_eq!(memories.access(1, (0, 100), true, true), 100);
        assert_eq!(memories.access(0, (0, 100), true, false), 100);
        assert!(memories.give_back(0));
        assert!(!memories.give_back(0));
    }

    #[test]
    fn what_leaves_and_was_written_here_goes_back() {
        let mut memories = LocalMemories::new(1, 100, 2);
        memories.access(0, (0, 100), false, true);
        memories.access(0, (1, 100), true, false);
        assert_eq!(memories.evict(0, |_| 100), 100);
        assert!(!memories.give_back(0));
    }
}
