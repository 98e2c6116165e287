// SPDX-License-Identifier: MIT OR Apache-2.0
//! Units: what the predictor calls a page is a demand window of the card.
//!
//! A fault makes one demand window visible, so nothing smaller can be predicted;
//! larger windows come of regions of several units.

use augur_memory::PageNumber;

/// The size of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnitSize {
    shift: u32,
}

impl UnitSize {
    /// Units of a power of two of pages.
    pub fn of(pages: u32) -> Self {
        UnitSize {
            shift: pages.ilog2(),
        }
    }

    /// Pages of a unit.
    pub fn pages(self) -> u64 {
        1 << self.shift
    }

    /// The unit that holds a page.
    pub fn holding(self, page: PageNumber) -> PageNumber {
        PageNumber(page.0 >> self.shift)
    }

    /// A unit's first page.
    pub fn first_page(self, unit: PageNumber) -> PageNumber {
        PageNumber(unit.0 << self.shift)
    }

    /// The units that hold any of `pages` pages.
    pub fn covering(self, first: PageNumber, pages: u64) -> impl Iterator<Item = PageNumber> {
        let last = first.0.saturating_add(pages.max(1) - 1) >> self.shift;
        (first.0 >> self.shift..=last).map(PageNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_covered_by_whole_units() {
        let size = UnitSize::of(16);
        let covering = |first, pages| -> Vec<u64> {
            size.covering(PageNumber(first), pages)
                .map(|unit| unit.0)
                .collect()
        };
        assert_eq!(covering(15, 2), [0, 1]);
        assert_eq!(covering(16, 16), [1]);
        assert_eq!(covering(31, 0), [1]);
        assert_eq!(size.first_page(PageNumber(3)), PageNumber(48));
    }
}
