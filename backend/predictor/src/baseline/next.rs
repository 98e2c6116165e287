// SPDX-License-Identifier: MIT OR Apache-2.0
//! Next-k: after an access to page p, pages p+1 … p+k.

use augur_memory::PageNumber;

use super::offset_by;
use crate::{Observation, Prefetcher, Residency};

/// Asks for the next pages after every access.
#[derive(Debug)]
pub struct Next {
    degree: u32,
}

impl Next {
    /// Next-`degree`.
    pub fn new(degree: u32) -> Self {
        Self { degree }
    }
}

impl Prefetcher for Next {
    fn observe(
        &mut self,
        observation: &Observation,
        _residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        wanted.extend((1..=i64::from(self.degree)).filter_map(|i| offset_by(observation.page, i)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::asked;

    #[test]
    fn next_4_asks_for_the_four_pages_that_follow() {
        assert_eq!(asked(&mut Next::new(4), &[10]), [11, 12, 13, 14]);
    }

    #[test]
    fn the_end_of_the_address_space_is_no_page() {
        assert_eq!(asked(&mut Next::new(4), &[u64::MAX - 1]), [u64::MAX]);
    }
}
