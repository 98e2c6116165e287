// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the engines hold in their local memories.
//!
//! Memory is counted in sectors: the largest power of two, at least a line,
//! that divides every run of a program, so nothing is rounded that a line
//! would not round.  Least recently used sectors leave first; a sector that an
//! engine has written goes home before it leaves, before another engine reads
//! it, and at the end.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::region::Region;

/// Bytes of a number of sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// From device memory into the local memory.
    pub filled: u64,
    /// From a local memory to device memory.
    pub drained: u64,
    /// Moves these bytes are made of.
    pub moves: u64,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    used: u64,
    dirty: bool,
}

/// One engine's local memory.
#[derive(Debug, Default)]
struct Local {
    held: HashMap<u64, Held>,
    /// Accesses from oldest to newest; a sector belongs to its last one.
    accesses: VecDeque<(u64, Region)>,
    now: u64,
}

/// The local memories of all engines.
#[derive(Debug)]
pub struct LocalMemories {
    sector: u64,
    capacity: usize,
    engines: Vec<Local>,
    /// The engines that hold each sector.
    holders: HashMap<u64, Vec<usize>>,
}

impl LocalMemories {
    pub fn new(engines: usize, bytes: u64, sector: u64) -> Self {
        Self {
            sector,
            capacity: (bytes / sector) as usize,
            engines: (0..engines).map(|_| Local::default()).collect(),
            holders: HashMap::new(),
        }
    }

    /// Brings `region` to `engine`.  A region that is only written is not
    /// filled: all of its sectors are overwritten.
    pub fn access(&mut self, engine: usize, region: &Region, reads: bool, writes: bool) -> Moved {
        let mut moved = Moved::default();
        let Some(local) = self.engines.get_mut(engine) else {
            return moved;
        };
        local.now += 1;
        let now = local.now;
        local.accesses.push_back((now, *region));
        let mut wanted = Vec::new();
        sectors(region, self.sector, |sector| wanted.push(sector));
        let (mut fills, mut drains) = (0, 0);
        for sector in wanted {
            let local = &mut self.engines[engine];
            let known = local.held.get_mut(&sector);
            let held = known.is_some();
            match known {
                Some(held) => {
                    held.used = now;
                    held.dirty |= writes;
                }
                None => {
                    local.held.insert(
                        sector,
                        Held {
                            used: now,
                            dirty: writes,
                        },
                    );
                }
            }
            if held && !writes {
                continue;
            }
            let holders = self.holders.entry(sector).or_default();
            if !held && reads {
                fills += 1;
                for &other in holders.iter() {
                    if let Some(theirs) = self.engines[other].held.get_mut(&sector)
                        && theirs.dirty
                    {
                        theirs.dirty = false;
                        drains += 1;
                    }
                }
            }
            if writes {
                // Other copies are void; what they had not sent home is
                // overwritten here, or was drained just now.
                for other in holders.drain(..).filter(|&other| other != engine) {
                    self.engines[other].held.remove(&sector);
                }
            }
            holders.push(engine);
        }
        moved.filled = fills * self.sector;
        moved.moves = u64::from(fills > 0) + u64::from(drains > 0);
        moved.drained = drains * self.sector;
        let evicted = self.evict(engine);
        moved.drained += evicted;
        moved.moves += u64::from(evicted > 0);
        moved
    }

    /// Makes room; returns the bytes that have to go home.
    fn evict(&mut self, engine: usize) -> u64 {
        let local = &mut self.engines[engine];
        let mut drained = 0;
        while local.held.len() > self.capacity {
            let Some((used, region)) = local.accesses.pop_front() else {
                break;
            };
            let (held, holders) = (&mut local.held, &mut self.holders);
            sectors(&region, self.sector, |sector| {
                if held.get(&sector).is_some_and(|entry| entry.used == used) {
                    if held.remove(&sector).is_some_and(|entry| entry.dirty) {
                        drained += 1;
                    }
                    if let Some(engines) = holders.get_mut(&sector) {
                        engines.retain(|&other| other != engine);
                    }
                }
            });
        }
        // Accesses whose sectors all belong to later ones.
        if local.accesses.len() > 4 * self.capacity + 64 {
            let (held, size) = (&local.held, self.sector);
            local.accesses.retain(|(used, region)| {
                let mut owns = false;
                sectors(region, size, |sector| {
                    owns |= held.get(&sector).is_some_and(|entry| entry.used == *used);
                });
                owns
            });
        }
        drained * self.sector
    }

    /// Bytes that are only in local memories, which are clean afterwards.
    pub fn flush(&mut self) -> u64 {
        let mut drained = 0;
        for local in &mut self.engines {
            for held in local.held.values_mut() {
                drained += u64::from(std::mem::take(&mut held.dirty));
            }
        }
        drained * self.sector
    }
}

/// Calls `visit` for each sector that `region` touches, without immediate
/// repetition.
pub fn sectors(region: &Region, sector: u64, mut visit: impl FnMut(u64)) {
    let shift = sector.trailing_zeros();
    let mut latest = None;
    region.for_each_run(|start, length| {
        for at in start >> shift..=(start + length - 1) >> shift {
            if latest != Some(at) {
                latest = Some(at);
                visit(at);
            }
        }
    });
}
