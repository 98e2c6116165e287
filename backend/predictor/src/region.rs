// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predicted regions: what the card expects to be touched next, for whoever
//! allocates, maps, reports or draws it.

use augur_memory::{ContextId, Nanos, PageNumber};

/// Pages of the largest region: 2 MiB. What is longer is several regions.
pub const MAX_PAGES: u32 = 512;

/// A run of neighbouring pages that are expected to be touched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Whose pages they are.
    pub context: ContextId,
    /// The first page.
    pub start: PageNumber,
    /// How many, from 1 to 512.
    pub pages: u32,
    /// Touches expected while they are mapped, all pages together.
    pub expected_touches: f32,
    /// Time until the first of them is expected to be touched.
    pub time_to_use: Nanos,
    /// Mean probability that a page of it is touched before it is unmapped.
    pub probability: f32,
}

/// Unites neighbours. `pages` are regions of one page each, in any order; the
/// result is in order of address.
pub fn unite(pages: &mut [Region]) -> Vec<Region> {
    pages.sort_by_key(|region| (region.context, region.start));
    let mut united: Vec<Region> = Vec::new();
    for &page in pages.iter() {
        match united.last_mut() {
            Some(last)
                if last.context == page.context
                    && last.start.0 + u64::from(last.pages) == page.start.0
                    && last.pages + page.pages <= MAX_PAGES =>
            {
                let (before, added) = (last.pages as f32, page.pages as f32);
                last.probability =
                    (last.probability * before + page.probability * added) / (before + added);
                last.pages += page.pages;
                last.expected_touches += page.expected_touches;
                last.time_to_use = last.time_to_use.min(page.time_to_use);
            }
            _ => united.push(page),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(start: u64, probability: f32) -> Region {
        Region {
            context: ContextId(1),
            start: PageNumber(start),
            pages: 1,
            expected_touches: 2.0 * probability,
            time_to_use: Nanos(1000 + start),
            probability,
        }
    }

    #[test]
    fn neighbours_are_united_and_gaps_kept() {
        let mut pages = [page(11, 0.5), page(20, 0.25), page(10, 1.0)];
        let united = unite(&mut pages);
        let expected = Region {
            pages: 2,
            expected_touches: 3.0,
            probability: 0.75,
            ..page(10, 1.0)
        };
        assert_eq!(united, [expected, page(20, 0.25)]);
    }

    #[test]
    fn a_region_is_at_most_two_mebibytes() {
        let mut pages: Vec<Region> = (0..1200).map(|start| page(start, 0.5)).collect();
        let sizes: Vec<u32> = unite(&mut pages)
            .iter()
            .map(|region| region.pages)
            .collect();
        assert_eq!(sizes, [512, 512, 176]);
    }
}
