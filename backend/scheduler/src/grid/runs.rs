// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs of about one length, found by where they begin.
//!
//! A bin is several times as long as the runs in it, so that a search looks at one
//! or two; what in it is near is told by its hull, which lies in the bin, without
//! a look at the region.

use hashbrown::HashMap;

use crate::pool::{EMPTY, Pool};
use crate::region::Region;

/// Bins are 2 to this power times as long as the longest runs in them.
const BIN_BITS: u32 = 2;
/// Room for bins at first.
const FIRST_BINS: usize = 12;

/// A region by its number, and what it spans.
#[derive(Clone, Copy, Debug)]
pub struct Hull {
    start: u64,
    end: u64,
    pub name: u32,
}

impl Hull {
    pub fn new(region: &Region, name: u32) -> Self {
        Self {
            start: region.start(),
            end: region.end(),
            name,
        }
    }

    /// Whether the region may overlap this one.
    #[inline]
    pub fn meets(&self, region: &Region) -> bool {
        self.start < region.end() && region.start() < self.end
    }
}

/// Runs, and hulls of what is in no family, of up to 2^bits bytes, by the bin
/// that they begin in.
#[derive(Debug)]
pub struct Runs {
    bits: u32,
    bins: HashMap<u64, u32>,
    /// A bit for each bin in use, and others of the same lower bits: where long and short
    /// runs mix, most bins of either are empty.
    in_use: u64,
    /// What lies in the bins.
    hulls: Pool<Hull>,
}

impl Runs {
    /// Of up to 2^bits bytes.
    pub fn new(bits: u32) -> Self {
        Self {
            bits,
            bins: HashMap::with_capacity(FIRST_BINS),
            in_use: 0,
            hulls: Pool::new(),
        }
    }

    /// Whether they are of up to 2^bits bytes.
    pub fn are_of(&self, bits: u32) -> bool {
        self.bits == bits
    }

    fn bin_of(&self, at: u64) -> u64 {
        at >> (self.bits + BIN_BITS)
    }

    pub fn insert(&mut self, region: &Region, name: u32) {
        let number = self.bin_of(region.start());
        self.in_use |= bit_of(number);
        let bin = self.bins.entry(number).or_insert(EMPTY);
        self.hulls.push(bin, Hull::new(region, name));
    }

    pub fn remove(&mut self, region: &Region, name: u32) {
        let number = self.bin_of(region.start());
        if let Some(bin) = self.bins.get_mut(&number)
            && self.hulls.retain(bin, |hull| hull.name != name) == 0
        {
            self.bins.remove(&number);
            if self.bins.is_empty() {
                self.in_use = 0;
            }
        }
    }

    /// Calls `visit` with all whose hull meets that of `region`.
    #[inline]
    pub fn search(&self, region: &Region, mut visit: impl FnMut(u32)) {
        // None that starts earlier reaches the region.
        let first = self.bin_of((region.start() + 1).saturating_sub(1 << self.bits));
        let last = self.bin_of(region.end() - 1);
        let mut look = |bin: u32| {
            let near = self.hulls.iter(bin).filter(|hull| hull.meets(region));
            near.for_each(|hull| visit(hull.name));
        };
        if last - first >= self.bins.len() as u64 {
            self.bins.values().for_each(|&bin| look(bin));
            return;
        }
        for number in first..=last {
            if self.in_use & bit_of(number) != 0
                && let Some(&bin) = self.bins.get(&number)
            {
                look(bin);
            }
        }
    }

    /// All that are filed.
    pub fn names(&self) -> impl Iterator<Item = u32> {
        let bins = self.bins.values();
        bins.flat_map(|&bin| self.hulls.iter(bin).map(|hull| hull.name))
    }
}

/// Of [`Runs::in_use`].
#[inline]
fn bit_of(number: u64) -> u64 {
    1 << (number % u64::from(u64::BITS))
}
