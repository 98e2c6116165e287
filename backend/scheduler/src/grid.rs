// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the tracked regions lie, so that a new one finds those near it.
//!
//! Tiles of a row-major matrix interleave in memory: the hulls of all tiles in
//! one row of tiles overlap.  So regions are kept by *pitch*, the distance
//! between their rows, as rectangles of rows and columns; runs are kept apart,
//! as rectangles of one column.  Each family is a hierarchy of hash grids: a
//! rectangle is filed where a bin is at least as large as it is, and so
//! touches at most four bins.  Pitches are learned from the regions
//! themselves.  Candidates are near, not overlapping: the caller decides.

mod runs;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::region::Region;
pub use runs::Hull;
use runs::Runs;

/// Families beyond this many are filed by their hulls: pitches come from the
/// guest, and each is looked at by every search.
const MAX_PITCHES: usize = 16;

/// Rows and columns of a region, ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rectangle {
    rows: (u64, u64),
    columns: (u64, u64),
}

impl Rectangle {
    /// The bins that it touches.
    fn for_each_bin(self, row_bits: u32, column_bits: u32, mut visit: impl FnMut((u64, u64))) {
        let (mut row, last_row) = (self.rows.0 >> row_bits, self.rows.1 >> row_bits);
        let (first, last) = (self.columns.0 >> column_bits, self.columns.1 >> column_bits);
        while row <= last_row {
            let mut column = first;
            while column <= last {
                visit((row, column));
                column += 1;
            }
            row += 1;
        }
    }
}

/// Room for bins of a new level.
const FIRST_BINS: usize = 24;

/// Bins of 2^row_bits rows × 2^column_bits columns.
#[derive(Debug)]
struct Level {
    row_bits: u32,
    column_bits: u32,
    filed: usize,
    bins: HashMap<(u64, u64), SmallVec<[u32; 4]>>,
}

/// Regions of one pitch.
#[derive(Debug)]
struct Family {
    pitch: u64,
    levels: Vec<Level>,
}

/// An index of regions, each named by a number.
#[derive(Debug)]
pub struct Grid {
    runs: Vec<Runs>,
    families: Vec<Family>,
}

impl Grid {
    pub fn new() -> Self {
        Self {
            runs: Vec::new(),
            families: Vec::new(),
        }
    }

    /// Files `name` under the place of `region`.
    pub fn insert(&mut self, region: &Region, name: u32) {
        let Some(family) = self.family_of(region) else {
            self.runs_of(region).insert(region, name);
            return;
        };
        for rectangle in placed(region, family.pitch).into_iter().flatten() {
            let level = family.level_of(rectangle);
            level.filed += 1;
            let bins = &mut level.bins;
            rectangle.for_each_bin(level.row_bits, level.column_bits, |bin| {
                bins.entry(bin).or_default().push(name);
            });
        }
    }

    /// Takes `name` out again; `region` is what it was filed under.
    pub fn remove(&mut self, region: &Region, name: u32) {
        let Some(family) = self.family_of(region) else {
            self.runs_of(region).remove(region, name);
            return;
        };
        for rectangle in placed(region, family.pitch).into_iter().flatten() {
            let level = family.level_of(rectangle);
            level.filed = level.filed.saturating_sub(1);
            let bins = &mut level.bins;
            rectangle.for_each_bin(level.row_bits, level.column_bits, |bin| {
                take_out(bins, bin, name);
            });
        }
    }

    /// Calls `visit` with every name filed near `region`, some more than once.
    pub fn search(&self, region: &Region, mut visit: impl FnMut(u32)) {
        for runs in &self.runs {
            runs.search(region, &mut visit);
        }
        for family in &self.families {
            for rectangle in seen(region, family.pitch).into_iter().flatten() {
                for level in &family.levels {
                    level.search(rectangle, &mut visit);
                }
            }
        }
    }

    fn runs_of(&mut self, region: &Region) -> &mut Runs {
        let bits = bits_of((0, region.end() - region.start() - 1));
        let known = self.runs.iter().position(|runs| runs.are_of(bits));
        let at = known.unwrap_or_else(|| {
            self.runs.push(Runs::new(bits));
            self.runs.len() - 1
        });
        &mut self.runs[at]
    }

    /// All that is filed.
    pub fn names(&self) -> Vec<u32> {
        let levels = self.families.iter().flat_map(|family| &family.levels);
        let bins = levels.flat_map(|level| level.bins.values());
        let runs = self.runs.iter().flat_map(Runs::names);
        let mut names: Vec<u32> = bins.flatten().copied().chain(runs).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The family `region` is filed in, founded when there is room for it; none
    /// when it is filed by its hull.
    fn family_of(&mut self, region: &Region) -> Option<&mut Family> {
        let pitch = pitch_of(region)?;
        let known = self.families.iter().position(|it| it.pitch == pitch);
        let at = match known {
            Some(known) => known,
            // A family once full stays closed, so that what was filed by its
            // hull is found there when it is removed.
            None if self.families.len() >= MAX_PITCHES => return None,
            None => {
                let levels = Vec::new();
                self.families.push(Family { pitch, levels });
                self.families.len() - 1
            }
        };
        self.families.get_mut(at)
    }
}

impl Family {
    fn level_of(&mut self, rectangle: Rectangle) -> &mut Level {
        let row_bits = bits_of(rectangle.rows);
        let column_bits = bits_of(rectangle.columns);
        let known = self
            .levels
            .iter()
            .position(|level| level.row_bits == row_bits && level.column_bits == column_bits);
        let at = known.unwrap_or_else(|| {
            self.levels.push(Level {
                row_bits,
                column_bits,
                filed: 0,
                bins: HashMap::with_capacity(FIRST_BINS),
            });
            self.levels.len() - 1
        });
        &mut self.levels[at]
    }
}

impl Level {
    fn search(&self, rectangle: Rectangle, visit: &mut impl FnMut(u32)) {
        if self.filed == 0 {
            return;
        }
        let rows = (rectangle.rows.1 >> self.row_bits) - (rectangle.rows.0 >> self.row_bits) + 1;
        let columns = (rectangle.columns.1 >> self.column_bits)
            - (rectangle.columns.0 >> self.column_bits)
            + 1;
        if rows.saturating_mul(columns) > self.bins.len() as u64 {
            for names in self.bins.values() {
                names.iter().copied().for_each(&mut *visit);
            }
            return;
        }
        rectangle.for_each_bin(self.row_bits, self.column_bits, |bin| {
            if let Some(names) = self.bins.get(&bin) {
                names.iter().copied().for_each(&mut *visit);
            }
        });
    }
}

/// Takes a name out of a bin, and the bin when it was the last.
fn take_out(bins: &mut HashMap<(u64, u64), SmallVec<[u32; 4]>>, bin: (u64, u64), name: u32) {
    if let Some(names) = bins.get_mut(&bin) {
        if let Some(position) = names.iter().position(|&other| other == name) {
            names.swap_remove(position);
        }
        if names.is_empty() {
            bins.remove(&bin);
        }
    }
}

/// Bits of the smallest power of two that is no smaller than the range.
fn bits_of((first, last): (u64, u64)) -> u32 {
    u64::BITS - (last - first).leading_zeros()
}

/// The pitch a region is filed under: its longest stride, when everything
/// inside one step is shorter than the step.
fn pitch_of(region: &Region) -> Option<u64> {
    let outer = region.dims().first()?;
    (row_span(region) <= outer.stride).then_some(outer.stride)
}

/// Bytes from the first to behind the last of one step of the longest stride.
fn row_span(region: &Region) -> u64 {
    let reach = region.dims().first().map_or(0, |outer| outer.reach());
    region.end() - region.start() - reach
}

/// The rectangles a region covers in the family it belongs to.  A row that
/// crosses a multiple of the pitch makes two.
fn placed(region: &Region, pitch: u64) -> [Option<Rectangle>; 2] {
    let rows = region.dims().first().map_or(1, |outer| outer.count);
    rectangles(region.start(), row_span(region), rows, pitch)
}

/// The rectangles of a family that a region may meet.
fn seen(region: &Region, pitch: u64) -> [Option<Rectangle>; 2] {
    if pitch_of(region) == Some(pitch) {
        return placed(region, pitch);
    }
    let length = region.end() - region.start();
    if length <= pitch {
        return rectangles(region.start(), length, 1, pitch);
    }
    [
        Some(Rectangle {
            rows: (region.start() / pitch, (region.end() - 1) / pitch),
            columns: (0, pitch - 1),
        }),
        None,
    ]
}

fn rectangles(start: u64, length: u64, rows: u64, pitch: u64) -> [Option<Rectangle>; 2] {
    let (row, column) = (start / pitch, start % pitch);
    let last = row + rows - 1;
    if column + length <= pitch {
        return [
            Some(Rectangle {
                rows: (row, last),
                columns: (column, column + length - 1),
            }),
            None,
        ];
    }
    [
        Some(Rectangle {
            rows: (row, last),
            columns: (column, pitch - 1),
        }),
        Some(Rectangle {
            rows: (row + 1, last + 1),
            columns: (0, column + length - 1 - pitch),
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlap::overlaps;
    use proptest::prelude::*;

    fn region() -> impl Strategy<Value = Region> {
        (0usize..4).prop_flat_map(|rank| {
            (
                0u64..4000,
                prop::collection::vec(1u64..6, rank),
                prop::collection::vec(
                    prop_oneof![
                        prop::sample::select(vec![4i64, 16, 64, 256, 100, 400]),
                        1i64..500
                    ],
                    rank,
                ),
            )
                .prop_map(|(base, shape, strides)| Region::read(base, 4, &shape, &strides).unwrap())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn a_search_finds_every_overlapping_region_and_none_that_was_removed(
            regions in prop::collection::vec(region(), 1..60),
            gone in prop::collection::vec(any::<bool>(), 60),
            query in region(),
        ) {
            let mut grid = Grid::new();
            for (name, region) in regions.iter().enumerate() {
                grid.insert(region, name as u32);
            }
            for (name, region) in regions.iter().enumerate().filter(|(name, _)| gone[*name]) {
                grid.remove(region, name as u32);
            }
            let mut found = Vec::new();
            grid.search(&query, |name| found.push(name));
            for (name, region) in regions.iter().enumerate() {
                let listed = found.contains(&(name as u32));
                if gone[name] {
                    prop_assert!(!listed);
                } else if overlaps(region, &query) {
                    prop_assert!(listed);
                }
            }
        }
    }
}
