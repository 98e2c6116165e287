// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a program uses its objects, and so which sizes memory is tracked,
//! grouped and moved in: for whoever wants to know why.
//!
//! It counts what [`crate::granularity`] and [`crate::grouping`] go by; it
//! decides nothing.

use std::fmt;

use hashbrown::{HashMap, HashSet};

use crate::grouping::Grouping;
use crate::list::{CommandList, Object};
use crate::region::Region;

/// How one object is used.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// The object.
    pub object: Object,
    /// Operands that read it, and that write it.
    pub reads: u64,
    /// See `reads`.
    pub writes: u64,
    /// Distinct regions of it, and the sizes in bytes of the smallest and the
    /// largest.
    pub regions: usize,
    /// See `regions`.
    pub smallest: u64,
    /// See `regions`.
    pub largest: u64,
    /// Groups that its written regions are merged into for an engine's local
    /// memory; none where regions of several sizes are written in turn, or
    /// nothing is.
    pub groups: usize,
}

impl Sizes {
    /// The use of each object of `list`, by address.
    #[must_use]
    pub fn of(list: &CommandList, local_bytes: u64) -> Vec<Self> {
        let mut grouping = Grouping::new(local_bytes);
        let mut regions = HashMap::<Object, HashSet<Region>>::new();
        let mut groups = HashMap::<Object, HashSet<u16>>::new();
        let mut sizes = HashMap::<Object, Self>::new();
        for (_, operands) in list.iter() {
            for operand in operands {
                let it = sizes.entry(operand.object).or_insert(Self {
                    object: operand.object,
                    reads: 0,
                    writes: 0,
                    regions: 0,
                    smallest: u64::MAX,
                    largest: 0,
                    groups: 0,
                });
                it.reads += u64::from(operand.access.reads());
                it.writes += u64::from(operand.access.writes());
                let bytes = operand.region.bytes();
                it.smallest = it.smallest.min(bytes);
                it.largest = it.largest.max(bytes);
                let known = regions.entry(operand.object).or_default();
                known.insert(operand.region.clone());
            }
            let target = operands.iter().find(|operand| operand.access.writes());
            if let Some(target) = target {
                let group = grouping.of(operands);
                let known = groups.entry(target.object).or_default();
                match group {
                    Some(group) => {
                        known.insert(group.number);
                    }
                    None => known.clear(),
                }
            }
        }
        let mut all: Vec<Self> = sizes.into_values().collect();
        for it in &mut all {
            it.regions = regions.get(&it.object).map_or(0, HashSet::len);
            it.groups = groups.get(&it.object).map_or(0, HashSet::len);
        }
        all.sort_unstable_by_key(|it| (it.object.start(), it.object.bytes()));
        all
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reads,
            writes,
            regions,
            smallest,
            largest,
            groups,
            ..
        } = self;
        write!(
            f,
            "{} B, {reads} reads and {writes} writes of {regions} regions of {smallest} to {largest} B: ",
            self.object.bytes()
        )?;
        if *writes == 0 {
            return f.write_str("tracked as a whole, since nothing writes it");
        }
        write!(f, "tracked by region, since it is written; ")?;
        match groups {
            0 => f.write_str("not grouped, since its regions change size"),
            1 => f.write_str("one group, since it fits into a local memory"),
            _ => write!(f, "{groups} groups, each fit for a local memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    #[test]
    fn sizes_follow_the_use_of_each_object() {
        let program = Workload::Gemm.program().unwrap();
        let sizes = Sizes::of(&program.list, 1 << 20);
        let said: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        assert_eq!(sizes.len(), 3);
        assert_eq!((sizes[0].reads, sizes[0].writes), (46 * 46 * 46, 0));
        assert_eq!((sizes[2].regions, sizes[2].largest), (46 * 46, 16384));
        assert!(said[0].contains("whole") && said[1].contains("whole"));
        assert!(said[2].contains("by region") && said[2].contains("groups"));
        let retile = Workload::Retile.program().unwrap();
        let sizes = Sizes::of(&retile.list, 1 << 20);
        assert!(sizes[1].smallest < sizes[1].largest);
        assert!(sizes[1].to_string().contains("not grouped"), "{}", sizes[1]);
    }
}
