// SPDX-License-Identifier: MIT OR Apache-2.0
//! The density prefetcher of NVIDIA's open UVM driver (`uvm_perf_prefetch.c`).
//!
//! Each 2 MiB block has a binary tree over 512 leaves of 4 KiB. On a fault,
//! over `resident ∪ faulted`: the 64 KiB big page around the fault is filled,
//! then the walk from the leaf to the root keeps the largest subtree whose
//! density is above 51 %, and that subtree is wanted whole. Nothing crosses
//! 2 MiB. Residency is asked of the aperture, so an eviction clears its bit.

use augur_memory::PageNumber;

use crate::{Observation, Origin, Prefetcher, Residency};

/// Leaves of a tree: pages of a 2 MiB block.
pub const LEAVES: u32 = 512;
/// Pages of a 64 KiB big page.
const BIG_PAGE: u32 = 16;
/// A subtree denser than this percentage is wanted whole.
const THRESHOLD: u32 = 51;

/// The UVM tree.
#[derive(Debug)]
pub struct UvmTree {
    degree: u32,
}

impl UvmTree {
    /// The tree, asking for at most the `degree` pages nearest to the fault.
    pub fn new(degree: u32) -> Self {
        Self { degree }
    }
}

/// The leaves (first, count) that a fault on `leaf` wants, where
/// `occupied(first, count)` counts resident or faulted leaves.
fn region(leaf: u32, occupied: impl Fn(u32, u32) -> u32) -> (u32, u32) {
    let mut best = (leaf / BIG_PAGE * BIG_PAGE, BIG_PAGE);
    let mut size = BIG_PAGE;
    while size <= LEAVES {
        let first = leaf / size * size;
        if occupied(first, size) * 100 > size * THRESHOLD {
            best = (first, size);
        }
        size *= 2;
    }
    best
}

impl Prefetcher for UvmTree {
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        if observation.origin != Origin::Fault {
            return;
        }
        let page = observation.page.0;
        let block = page & !u64::from(LEAVES - 1);
        let leaf = (page - block) as u32;
        let big_page = leaf / BIG_PAGE;
        let mut before = [0_u32; LEAVES as usize + 1];
        for index in 0..LEAVES {
            let filled = index / BIG_PAGE == big_page
                || residency.is_visible(
                    observation.stream.context,
                    PageNumber(block + u64::from(index)),
                );
            before[index as usize + 1] = before[index as usize] + u32::from(filled);
        }
        let occupied =
            |first: u32, count: u32| before[(first + count) as usize] - before[first as usize];
        let (first, count) = region(leaf, occupied);
        let start = wanted.len();
        wanted.extend(
            (first..first + count)
                .filter(|&index| index != leaf)
                .map(|index| PageNumber(block + u64::from(index))),
        );
        if self.degree < count {
            wanted[start..].sort_by_key(|other| (other.0.abs_diff(page), other.0 < page));
            wanted.truncate(start + self.degree as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_in(resident: &[u32], fault: u32) -> impl Fn(u32, u32) -> u32 {
        move |first, count| {
            (first..first + count)
                .filter(|leaf| leaf / BIG_PAGE == fault / BIG_PAGE || resident.contains(leaf))
                .count() as u32
        }
    }

    #[test]
    fn a_lone_fault_fills_its_big_page_only() {
        assert_eq!(region(37, count_in(&[], 37)), (32, 16));
    }

    #[test]
    fn the_largest_dense_subtree_is_wanted() {
        // 16 filled + 1 of 32 is 53 %; 17 of 64 is not enough.
        assert_eq!(region(5, count_in(&[20], 5)), (0, 32));
        // Exactly half is below the threshold.
        assert_eq!(region(5, count_in(&[], 5)), (0, 16));
    }

    #[test]
    fn density_above_a_sparse_level_still_counts() {
        // Leaves 0..16 faulted, 16..32 empty, 32..64 resident: 48 of 64.
        let resident: Vec<u32> = (32..64).collect();
        assert_eq!(region(3, count_in(&resident, 3)), (0, 64));
    }

    #[test]
    fn nothing_crosses_two_megabytes() {
        let all: Vec<u32> = (0..LEAVES).collect();
        assert_eq!(region(511, count_in(&all, 511)), (0, LEAVES));
    }
}
