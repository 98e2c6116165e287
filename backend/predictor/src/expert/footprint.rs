// SPDX-License-Identifier: MIT OR Apache-2.0
//! Footprints: which pages of a 32-page zone were touched while the zone was
//! last in use, proposed again when it is entered anew.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::Table;

const ZONE_SHIFT: u32 = 5;
const ZONE_PAGES: u64 = 1 << ZONE_SHIFT;
/// A zone not touched for so many accesses has been left.
const LEFT_AFTER: u32 = 256;

#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    /// Pages touched since the zone was entered.
    now: u32,
    /// Pages touched in the last stay.
    before: u32,
    last: u32,
}

/// Proposes a zone's last footprint.
#[derive(Debug)]
pub struct Footprint {
    zones: Table<Zone>,
}

impl Footprint {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            zones: Table::new(15),
        }
    }
}

impl Expert for Footprint {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let events = moment.history.events;
        let zone = self.zones.entry(moment.page >> ZONE_SHIFT);
        if events.wrapping_sub(zone.last) > LEFT_AFTER {
            if zone.now != 0 {
                zone.before = zone.now;
            }
            zone.now = 0;
        }
        let first_touches = zone.now.count_ones();
        zone.last = events;
        zone.now |= 1 << (moment.page & (ZONE_PAGES - 1));
        if !moment.fault && first_touches > 3 {
            return;
        }
        let base = moment.page & !(ZONE_PAGES - 1);
        let mut left = zone.before & !zone.now;
        while left != 0 {
            let index = u64::from(left.trailing_zeros());
            left &= left - 1;
            to.add(base + index, me, (first_touches as usize).min(3));
        }
    }
}
