// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stride detector for each 1 MiB zone and stream: two equal strides in a
//! row make a pattern, which is then followed.

use augur_memory::PageNumber;

use super::{distance, offset_by};
use crate::table::{Table, mix};
use crate::{Observation, Prefetcher, Residency};

/// log2 of the pages of a zone: 1 MiB.
const ZONE_SHIFT: u32 = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    last: Option<PageNumber>,
    stride: i64,
    confirmed: bool,
}

/// The per-zone stride prefetcher.
#[derive(Debug)]
pub struct ZoneStride {
    degree: u32,
    zones: Table<Zone>,
}

impl ZoneStride {
    /// Asks for `degree` pages along a confirmed stride.
    pub fn new(degree: u32) -> Self {
        Self {
            degree,
            zones: Table::new(16),
        }
    }
}

impl Prefetcher for ZoneStride {
    fn observe(
        &mut self,
        observation: &Observation,
        _residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let page = observation.page;
        let zone = self
            .zones
            .entry(mix(observation.stream.key()) ^ (page.0 >> ZONE_SHIFT));
        if let Some(last) = zone.last {
            let stride = distance(last, page);
            if stride == 0 {
                return;
            }
            zone.confirmed = stride == zone.stride;
            zone.stride = stride;
        }
        zone.last = Some(page);
        if zone.confirmed {
            let stride = zone.stride;
            wanted.extend((1..=i64::from(self.degree)).filter_map(|i| offset_by(page, i * stride)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::asked;

    #[test]
    fn two_equal_strides_make_a_pattern() {
        let mut stride = ZoneStride::new(2);
        assert_eq!(asked(&mut stride, &[10, 13]), Vec::<u64>::new());
        assert_eq!(asked(&mut stride, &[16]), [19, 22]);
        assert_eq!(asked(&mut stride, &[17]), Vec::<u64>::new());
    }

    #[test]
    fn zones_do_not_disturb_each_other() {
        let mut stride = ZoneStride::new(1);
        assert_eq!(asked(&mut stride, &[0, 1000, 2, 1003, 4, 1006]), [6, 1009]);
    }
}
