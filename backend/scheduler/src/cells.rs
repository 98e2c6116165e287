// SPDX-License-Identifier: MIT OR Apache-2.0
//! The regions that are tracked, each once, and which of them overlap.
//!
//! Programs use the same regions again and again, so the exact overlap test
//! and the search for neighbours are paid once for each distinct region; from
//! then on an access is one hash lookup and a walk over the few neighbours.
//! What happened in a cell is [`crate::history`]'s.

use hashbrown::HashTable;

use crate::grid::Grid;
use crate::history::History;
use crate::overlap::{covers, overlaps};
use crate::region::Region;

/// Number of a cell.
pub type CellId = u32;

/// Another cell that shares bytes with this one.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The other cell.
    pub cell: CellId,
    /// Every byte of the other cell is in this one.
    pub covers: bool,
}

/// What a cell is, apart from its history.
#[derive(Debug)]
struct Place {
    region: Region,
    live: bool,
    /// The search that last met this cell.
    seen: u32,
}

/// All tracked regions.
#[derive(Debug)]
pub struct Cells {
    table: HashTable<CellId>,
    places: Vec<Place>,
    /// Parallel to `places`: what analysis touches for every access.
    pub histories: Vec<History>,
    pub links: Vec<Vec<Link>>,
    link_total: usize,
    free: Vec<CellId>,
    grid: Grid,
    searches: u32,
    scratch: Vec<CellId>,
}

impl Cells {
    pub fn new() -> Self {
        Self {
            table: HashTable::new(),
            places: Vec::new(),
            histories: Vec::new(),
            links: Vec::new(),
            link_total: 0,
            free: Vec::new(),
            grid: Grid::new(),
            searches: 0,
            scratch: Vec::new(),
        }
    }

    /// Cells tracked now.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Pairs of overlapping cells, counted from both sides.
    pub fn link_total(&self) -> usize {
        self.link_total
    }

    /// The region of a cell.
    pub fn region(&self, cell: CellId) -> Option<&Region> {
        self.places
            .get(cell as usize)
            .filter(|place| place.live)
            .map(|place| &place.region)
    }

    /// The cell of exactly this region, tracked from now on.  `apart` promises
    /// that it overlaps no other cell (blocks of one size).
    pub fn intern(&mut self, region: &Region, apart: bool) -> CellId {
        let hash = region.hash();
        let places = &self.places;
        let found = self.table.find(hash, |&cell| {
            places
                .get(cell as usize)
                .is_some_and(|place| place.region == *region)
        });
        match found {
            Some(&cell) => cell,
            None => self.track(region, apart),
        }
    }

    fn track(&mut self, region: &Region, apart: bool) -> CellId {
        let place = Place {
            region: *region,
            live: true,
            seen: self.searches,
        };
        let cell = if let Some(cell) = self.free.pop() {
            self.places[cell as usize] = place;
            self.histories[cell as usize] = History::new();
            cell
        } else {
            let cell = self.places.len() as CellId;
            self.places.push(place);
            self.histories.push(History::new());
            self.links.push(Vec::new());
            cell
        };
        if !apart {
            self.link(cell, region);
            self.grid.insert(region, cell);
        }
        let places = &self.places;
        self.table.insert_unique(region.hash(), cell, |&cell| {
            let place = places.get(cell as usize);
            place.map_or(0, |place| place.region.hash())
        });
        cell
    }

    /// Finds the cells that overlap the new one.
    fn link(&mut self, cell: CellId, region: &Region) {
        self.searches = self.searches.wrapping_add(1);
        let mut found = std::mem::take(&mut self.scratch);
        let (places, searches) = (&mut self.places, self.searches);
        self.grid.search(region, |candidate| {
            if let Some(place) = places.get_mut(candidate as usize)
                && place.seen != searches
            {
                place.seen = searches;
                if overlaps(&place.region, region) {
                    found.push(candidate);
                }
            }
        });
        for other in found.drain(..) {
            let theirs = &self.places[other as usize].region;
            let (inside, outside) = (covers(region, theirs), covers(theirs, region));
            self.links[cell as usize].push(Link {
                cell: other,
                covers: inside,
            });
            self.links[other as usize].push(Link {
                cell,
                covers: outside,
            });
            self.link_total += 2;
        }
        self.scratch = found;
    }

    /// Stops tracking every cell that `idle` lets go.
    pub fn sweep(&mut self, mut idle: impl FnMut(&mut History) -> bool) {
        for cell in 0..self.places.len() {
            if self.places[cell].live && idle(&mut self.histories[cell]) {
                self.untrack(cell as CellId);
            }
        }
    }

    fn untrack(&mut self, cell: CellId) {
        let place = &mut self.places[cell as usize];
        place.live = false;
        let region = place.region;
        let found = self.table.find_entry(region.hash(), |&other| other == cell);
        if let Ok(entry) = found {
            entry.remove();
        }
        self.grid.remove(&region, cell);
        let links = std::mem::take(&mut self.links[cell as usize]);
        self.link_total -= 2 * links.len();
        for link in links {
            let back = &mut self.links[link.cell as usize];
            if let Some(position) = back.iter().position(|link| link.cell == cell) {
                back.swap_remove(position);
            }
        }
        self.free.push(cell);
    }
}
