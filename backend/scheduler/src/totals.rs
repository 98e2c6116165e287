// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scheduler has done since it was made.

use std::ops::AddAssign;

use crate::clock::Nanos;
use crate::profile::Profile;

/// Counts over all contexts, those that are gone included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Regions, or coarser units, that are tracked now.
    pub regions: u64,
    /// Tracked units that operands were compared with.
    pub lookups: u64,
    /// Orderings between instructions.
    pub edges: u64,
    /// Times that the unit of tracking of an object was split.
    pub splits: u64,
    /// Times that it was merged.
    pub merges: u64,
    /// Instructions whose analysis was replayed.
    pub replayed: u64,
    /// Instructions that were taken where their data were.
    pub near: u64,
    /// Instructions that were taken from another engine's share.
    pub stolen: u64,
}

impl Totals {
    /// What the analysis unit of the modelled card would have worked.
    #[must_use]
    pub fn analysis(&self, profile: &Profile) -> Nanos {
        profile.analysis(self.lookups, self.edges, self.splits + self.merges)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.regions += other.regions;
        self.lookups += other.lookups;
        self.edges += other.edges;
        self.splits += other.splits;
        self.merges += other.merges;
        self.replayed += other.replayed;
        self.near += other.near;
        self.stolen += other.stolen;
    }
}
