// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operands of a program as whole handles, for task systems that know no
//! overlap: regions that share bytes, directly or by way of others, are one
//! handle. That is the finest division in which no ordering is missed.

use std::collections::{BTreeSet, HashMap};

use augur_scheduler::list::CommandList;
use augur_scheduler::overlap::overlaps;
use augur_scheduler::region::Region;

/// A program in handles.
pub struct Stream {
    /// Instructions: modelled nanoseconds, and the handles with whether they are
    /// written.
    pub tasks: Vec<(u32, Vec<(u32, bool)>)>,
    /// Number of handles.
    pub handles: usize,
    /// Number of distinct regions.
    pub regions: usize,
}

impl Stream {
    /// The stream of a program.
    pub fn of(list: &CommandList) -> Self {
        let mut numbers = HashMap::new();
        let mut regions: Vec<Region> = Vec::new();
        for operand in list.operands() {
            numbers.entry(operand.region.clone()).or_insert_with(|| {
                regions.push(operand.region.clone());
                regions.len() - 1
            });
        }
        let handles = merge(&regions);
        let roots: BTreeSet<usize> = handles.iter().copied().collect();
        let names: HashMap<usize, u32> = roots.into_iter().zip(0..).collect();
        let tasks = list.iter().map(|(instruction, operands)| {
            let mut uses: Vec<(u32, bool)> = Vec::new();
            for operand in operands {
                let region = numbers.get(&operand.region).copied().unwrap_or(0);
                let root = handles.get(region).copied().unwrap_or(0);
                let handle = names.get(&root).copied().unwrap_or(0);
                let writes = operand.access.writes();
                match uses.iter_mut().find(|(known, _)| *known == handle) {
                    Some((_, written)) => *written |= writes,
                    None => uses.push((handle, writes)),
                }
            }
            (u32::try_from(instruction.cost.0).unwrap_or(u32::MAX), uses)
        });
        Self {
            tasks: tasks.collect(),
            handles: names.len(),
            regions: regions.len(),
        }
    }

    /// The stream as the peers' programs read it.
    pub fn bytes(&self) -> Vec<u8> {
        let uses: usize = self.tasks.iter().map(|(_, uses)| uses.len()).sum();
        let mut words = vec![self.tasks.len(), self.handles, uses];
        let mut first = 0;
        for (nanoseconds, uses) in &self.tasks {
            words.extend([*nanoseconds as usize, first, uses.len()]);
            first += uses.len();
        }
        for (handle, writes) in self.tasks.iter().flat_map(|(_, uses)| uses) {
            words.extend([*handle as usize, usize::from(*writes)]);
        }
        words
            .into_iter()
            .flat_map(|word| (word as u32).to_ne_bytes())
            .collect()
    }
}

/// For each region the first one that it is joined with.
fn merge(regions: &[Region]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..regions.len()).collect();
    let mut order: Vec<usize> = (0..regions.len()).collect();
    order.sort_by_key(|&index| regions.get(index).map_or(0, Region::start));
    let mut open: Vec<usize> = Vec::new();
    for &index in &order {
        let Some(region) = regions.get(index) else {
            continue;
        };
        open.retain(|&other| {
            regions
                .get(other)
                .is_some_and(|other| other.end() > region.start())
        });
        for &other in &open {
            if root(&parents, other) != root(&parents, index)
                && regions
                    .get(other)
                    .is_some_and(|other| overlaps(other, region))
            {
                let (a, b) = (root(&parents, other), root(&parents, index));
                if let Some(parent) = parents.get_mut(a.max(b)) {
                    *parent = a.min(b);
                }
            }
        }
        open.push(index);
    }
    (0..regions.len())
        .map(|index| root(&parents, index))
        .collect()
}

fn root(parents: &[usize], mut index: usize) -> usize {
    while let Some(&parent) = parents.get(index).filter(|parent| **parent != index) {
        index = parent;
    }
    index
}

#[cfg(test)]
mod tests {
    use augur_scheduler::clock::Nanos;
    use augur_scheduler::list::{Access, Object, Operand, Unit};

    use super::*;

    fn list(instructions: &[&[(u64, u64, Access)]]) -> CommandList {
        let mut list = CommandList::new(100);
        for operands in instructions {
            let operands: Vec<Operand> = operands
                .iter()
                .map(|&(start, length, access)| Operand {
                    region: Region::contiguous(start, length).unwrap(),
                    object: Object::new(0, 4096).unwrap(),
                    access,
                })
                .collect();
            list.push(&operands, Nanos(7), Unit::Compute).unwrap();
        }
        list
    }

    #[test]
    fn regions_that_overlap_by_way_of_others_are_one_handle() {
        let list = list(&[
            &[(0, 64, Access::Write)],
            &[(128, 64, Access::Write), (1000, 8, Access::Read)],
            &[(32, 16, Access::Read), (160, 64, Access::Read)],
            &[(60, 70, Access::Read), (2000, 8, Access::Write)],
        ]);
        let stream = Stream::of(&list);
        assert_eq!((stream.regions, stream.handles), (7, 3));
        let [first, second, third, fourth] = &stream.tasks[..] else {
            panic!("four instructions");
        };
        assert_eq!(first.1, [(0, true)]);
        assert_eq!(second.1, [(0, true), (1, false)]);
        assert_eq!(third.1, [(0, false)]);
        assert_eq!(fourth.1, [(0, false), (2, true)]);
        let words = stream.bytes().len() / 4;
        assert_eq!(words, 3 + 4 * 3 + 6 * 2);
    }
}
