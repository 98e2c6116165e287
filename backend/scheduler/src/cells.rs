// SPDX-License-Identifier: MIT OR Apache-2.0
//! The regions that are tracked, each once, and which of them overlap.
//!
//! Programs use the same regions again and again, so the exact overlap test
//! and the search for neighbours are paid once for each distinct region; from
//! then on an access is one hash lookup and a walk over the few neighbours.
//! What happened in a cell is [`crate::history`]'s.

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::history::History;
use crate::list::Object;
use crate::overlap::{covers, overlaps};
use crate::region::Region;
use crate::spaces::Spaces;

/// Number of a cell, below 2^31.
pub type CellId = u32;

/// Cells that there is room for with the first.
const FIRST_CELLS: usize = 1024;

/// Another cell that shares bytes with this one.
#[derive(Clone, Copy, Debug)]
pub struct Link(u32);

impl Link {
    fn new(cell: CellId, covers: bool) -> Self {
        Self(cell << 1 | u32::from(covers))
    }

    /// The other cell.
    pub fn cell(self) -> CellId {
        self.0 >> 1
    }

    /// Every byte of the other cell is in this one.
    pub fn covers(self) -> bool {
        self.0 & 1 != 0
    }
}

/// What a cell is, apart from its history.
#[derive(Debug)]
struct Place {
    region: Region,
    live: bool,
    /// Never searched for by others: it overlaps none.
    apart: bool,
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
    pub links: Vec<SmallVec<[Link; 8]>>,
    link_total: usize,
    free: Vec<CellId>,
    spaces: Spaces,
    searches: u32,
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
            spaces: Spaces::default(),
            searches: 0,
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

    /// Cells tracked that share addresses with a range, and their regions, unless there
    /// are more than `most` cells to look at.
    pub fn beside(&self, start: u64, end: u64, most: usize) -> impl Iterator<Item = &Region> {
        let few = self.places.len() <= most;
        let places = self.places.iter().filter(move |place| few && place.live);
        let regions = places.map(|place| &place.region);
        regions.filter(move |it| it.start() < end && start < it.end())
    }

    /// The cell of exactly this region of `object`, tracked from now on.
    #[inline]
    pub fn intern(&mut self, region: &Region, object: Object) -> CellId {
        match self.find(region) {
            Some(cell) => cell,
            None => self.add(region, object),
        }
    }

    /// Tracks a region that is not tracked, and finds what it overlaps.
    #[inline(never)]
    fn add(&mut self, region: &Region, object: Object) -> CellId {
        let cell = self.track(region, false);
        self.link(cell, region, object);
        cell
    }

    /// As [`Cells::intern`], for a region that overlaps no other cell (blocks of
    /// one size).
    pub fn intern_apart(&mut self, region: &Region) -> CellId {
        match self.find(region) {
            Some(cell) => cell,
            None => self.track(region, true),
        }
    }

    #[inline]
    fn find(&self, region: &Region) -> Option<CellId> {
        let same = |&cell: &CellId| {
            let place = self.places.get(cell as usize);
            place.is_some_and(|place| place.region == *region)
        };
        self.table.find(region.hash(), same).copied()
    }

    fn track(&mut self, region: &Region, apart: bool) -> CellId {
        let place = Place {
            region: region.clone(),
            live: true,
            apart,
            seen: self.searches,
        };
        let cell = if let Some(cell) = self.free.pop() {
            self.places[cell as usize] = place;
            self.histories[cell as usize] = History::new(region);
            cell
        } else {
            let cell = self.places.len() as CellId;
            self.places.push(place);
            self.histories.push(History::new(region));
            self.links.push(SmallVec::new());
            cell
        };
        if self.table.len() == self.table.capacity() {
            self.grow();
        }
        let places = &self.places;
        self.table.insert_unique(region.hash(), cell, |&cell| {
            let place = places.get(cell as usize);
            place.map_or(0, |place| place.region.hash())
        });
        cell
    }

    /// Makes room for as many cells again, and for some at first.
    #[cold]
    fn grow(&mut self) {
        let more = self.table.len().max(FIRST_CELLS);
        let places = &self.places;
        self.table.reserve(more, |&cell| {
            let place = places.get(cell as usize);
            place.map_or(0, |place| place.region.hash())
        });
        self.places.reserve(more);
        self.histories.reserve(more);
        self.links.reserve(more);
    }

    /// Finds the cells that overlap the new one.
    fn link(&mut self, cell: CellId, region: &Region, object: Object) {
        self.searches = self.searches.wrapping_add(1);
        let places = &self.places;
        let region_of = |cell: CellId| places.get(cell as usize).map(|place| &place.region);
        let space = self.spaces.space_of(region, object, region_of);
        let (places, links, searches) = (&mut self.places, &mut self.links, self.searches);
        let mut own = std::mem::take(&mut links[cell as usize]);
        self.spaces.search(space, region, |other| {
            let Some(place) = places.get_mut(other as usize) else {
                return;
            };
            let met = std::mem::replace(&mut place.seen, searches) == searches;
            if !met && overlaps(&place.region, region) {
                own.push(Link::new(other, covers(region, &place.region)));
                let back = Link::new(cell, covers(&place.region, region));
                links[other as usize].push(back);
            }
        });
        self.link_total += 2 * own.len();
        links[cell as usize] = own;
        let places = &self.places;
        let region_of = |cell: CellId| places.get(cell as usize).map(|place| &place.region);
        self.spaces.insert(space, cell, region, region_of);
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
        let region = &place.region;
        let found = self.table.find_entry(region.hash(), |&other| other == cell);
        if let Ok(entry) = found {
            entry.remove();
        }
        if !place.apart {
            self.spaces.take_out(cell, region);
        }
        let links = std::mem::take(&mut self.links[cell as usize]);
        self.link_total -= 2 * links.len();
        for link in links {
            let back = &mut self.links[link.cell() as usize];
            if let Some(position) = back.iter().position(|link| link.cell() == cell) {
                back.swap_remove(position);
            }
        }
        self.free.push(cell);
    }
}
