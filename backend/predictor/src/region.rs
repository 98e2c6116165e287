// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predicted regions: what the card expects to be touched next, for whoever
//! allocates and maps it. Pages are the units that the predictor was told of.

use augur_memory::{ContextId, Nanos, PageNumber};

/// Pages of the largest region: 2 MiB of the smallest pages. What is longer is several
/// regions.
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
/// region with the most probable page comes first.
pub fn unite(pages: &mut [Region]) -> Vec<Region> {
    pages.sort_by_key(|region| (region.context, region.start));
    // With the probability of the region's most probable page.
    let mut united: Vec<(Region, f32)> = Vec::new();
    for &page in pages.iter() {
        match united.last_mut() {
            Some((last, most))
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
                *most = most.max(page.probability);
            }
            _ => united.push((page, page.probability)),
        }
    }
    united.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    united.into_iter().map(|(region, _)| region).collect()
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
    fn neighbours_are_united_gaps_kept_and_the_most_probable_page_is_first() {
        let mut pages = [page(11, 0.5), page(2, 0.875), page(20, 0.25), page(10, 1.0)];
        let united = unite(&mut pages);
        let expected = Region {
            pages: 2,
            expected_touches: 3.0,
            probability: 0.75,
            ..page(10, 1.0)
        };
        assert_eq!(united, [expected, page(2, 0.875), page(20, 0.25)]);
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
