// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where to look for the regions that a new one overlaps: in its own object.
//!
//! Regions lie inside objects, and objects seldom share bytes, so each object
//! has an index of its own, with the pitches and sizes of its own regions; one
//! with few regions is simply gone through.  Objects that do share bytes, as
//! where an address was given anew, are one space.  What overlaps is the
//! caller's to decide.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::cells::CellId;
use crate::grid::{Grid, Hull};
use crate::list::Object;
use crate::recent::Recent;
use crate::region::Region;

/// Regions of a space that are gone through one by one.
const FEW: usize = 12;

#[derive(Debug)]
struct Space {
    start: u64,
    end: u64,
    /// Cells filed.
    count: usize,
    filed: Filed,
}

#[derive(Debug)]
enum Filed {
    /// At most [`FEW`].
    Few(Vec<Hull>),
    Many(Grid),
}

impl Space {
    fn file<'a>(
        &mut self,
        cell: CellId,
        region: &Region,
        region_of: &impl Fn(CellId) -> Option<&'a Region>,
    ) {
        self.count += 1;
        match &mut self.filed {
            Filed::Few(cells) if cells.len() < FEW => cells.push(Hull::new(region, cell)),
            Filed::Few(cells) => {
                let mut grid = Grid::new();
                grid.insert(region, cell);
                for other in &*cells {
                    if let Some(region) = region_of(other.name) {
                        grid.insert(region, other.name);
                    }
                }
                self.filed = Filed::Many(grid);
            }
            Filed::Many(grid) => grid.insert(region, cell),
        }
    }

    fn cells(&self) -> Vec<CellId> {
        match &self.filed {
            Filed::Few(cells) => cells.iter().map(|it| it.name).collect(),
            Filed::Many(grid) => grid.names(),
        }
    }
}

/// All spaces.  They share no bytes.
#[derive(Debug, Default)]
pub struct Spaces {
    /// By their first byte.
    numbers: BTreeMap<u64, usize>,
    spaces: Vec<Space>,
    free: Vec<usize>,
    recent: Recent<usize>,
}

impl Spaces {
    /// The space that holds `object` and `region`; those that were apart until
    /// now become one.  `region_of` knows all that was filed.
    pub fn space_of<'a>(
        &mut self,
        region: &Region,
        object: Object,
        region_of: impl Fn(CellId) -> Option<&'a Region>,
    ) -> usize {
        let start = region.start().min(object.start());
        let end = region.end().max(object.start() + object.bytes());
        let recent = *self.recent.of(object);
        let known = self.spaces.get(recent);
        if known.is_some_and(|it| it.start <= start && end <= it.end && it.count > 0) {
            return recent;
        }
        let mut met: SmallVec<[usize; 4]> = SmallVec::new();
        for (_, &number) in self.numbers.range(..end).rev() {
            if self.spaces.get(number).is_none_or(|it| it.end <= start) {
                break;
            }
            met.push(number);
        }
        let largest = |&number: &usize| self.spaces.get(number).map(|space| space.count);
        let number = match met.iter().copied().max_by_key(largest) {
            Some(kept) => {
                for other in met.into_iter().filter(|&other| other != kept) {
                    self.absorb(kept, other, &region_of);
                }
                self.extend(kept, start, end);
                kept
            }
            None => self.found(start, end),
        };
        *self.recent.of(object) = number;
        number
    }

    fn found(&mut self, start: u64, end: u64) -> usize {
        let space = Space {
            start,
            end,
            count: 0,
            filed: Filed::Few(Vec::with_capacity(FEW)),
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.spaces[number] = space;
                number
            }
            None => {
                self.spaces.push(space);
                self.spaces.len() - 1
            }
        };
        self.numbers.insert(start, number);
        number
    }

    fn extend(&mut self, number: usize, start: u64, end: u64) {
        let Some(space) = self.spaces.get_mut(number) else {
            return;
        };
        space.end = space.end.max(end);
        if start < space.start {
            self.numbers.remove(&space.start);
            space.start = start;
            self.numbers.insert(start, number);
        }
    }

    /// Moves all of `other`, the smaller, to `kept`.
    fn absorb<'a>(
        &mut self,
        kept: usize,
        other: usize,
        region_of: &impl Fn(CellId) -> Option<&'a Region>,
    ) {
        let Some(gone) = self.spaces.get(other) else {
            return;
        };
        let (start, end, cells) = (gone.start, gone.end, gone.cells());
        self.remove(other);
        if let Some(space) = self.spaces.get_mut(kept) {
            for cell in cells {
                if let Some(region) = region_of(cell) {
                    space.file(cell, region, region_of);
                }
            }
        }
        self.extend(kept, start, end);
    }

    fn remove(&mut self, number: usize) {
        if let Some(space) = self.spaces.get_mut(number) {
            self.numbers.remove(&space.start);
            space.count = 0;
            space.filed = Filed::Few(Vec::new());
            self.free.push(number);
        }
    }

    /// Calls `visit` with every cell of a space that may overlap `region`, some
    /// more than once.
    pub fn search(&self, space: usize, region: &Region, mut visit: impl FnMut(CellId)) {
        match self.spaces.get(space).map(|space| &space.filed) {
            Some(Filed::Few(cells)) => {
                let near = cells.iter().filter(|it| it.meets(region));
                near.for_each(|it| visit(it.name));
            }
            Some(Filed::Many(grid)) => grid.search(region, &mut visit),
            None => {}
        }
    }

    /// Files a cell in the space of its region.
    pub fn insert<'a>(
        &mut self,
        space: usize,
        cell: CellId,
        region: &Region,
        region_of: impl Fn(CellId) -> Option<&'a Region>,
    ) {
        if let Some(space) = self.spaces.get_mut(space) {
            space.file(cell, region, &region_of);
        }
    }

    /// Takes a cell out again; `region` is what it was filed under.
    pub fn take_out(&mut self, cell: CellId, region: &Region) {
        let known = self.numbers.range(..=region.start()).next_back();
        let Some((_, &number)) = known else {
            return;
        };
        let Some(space) = self.spaces.get_mut(number) else {
            return;
        };
        match &mut space.filed {
            Filed::Few(cells) => {
                let Some(position) = cells.iter().position(|other| other.name == cell) else {
                    return;
                };
                cells.swap_remove(position);
            }
            Filed::Many(grid) => grid.remove(region, cell),
        }
        space.count = space.count.saturating_sub(1);
        if space.count == 0 {
            self.remove(number);
        }
    }
}
