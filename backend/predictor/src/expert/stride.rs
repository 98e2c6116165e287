// SPDX-License-Identifier: MIT OR Apache-2.0
//! Constant strides, within a stream and within each 1 MiB zone of it.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::{Table, mix};

const ZONE_SHIFT: u32 = 8;
const STEPS: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    last: u64,
    stride: i64,
}

/// Proposes pages along strides.
#[derive(Debug)]
pub struct Strides {
    zones: Table<Zone>,
}

impl Strides {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            zones: Table::new(14),
        }
    }
}

fn follow(page: u64, stride: i64, me: usize, to: &mut Proposals) {
    if stride == 0 || stride == 1 {
        return;
    }
    for step in 1..=STEPS {
        to.add(
            page.wrapping_add_signed(stride.wrapping_mul(step as i64)),
            me,
            step - 1,
        );
    }
}

impl Expert for Strides {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let recent = &moment.recent;
        if recent.delta(0) == recent.delta(1) {
            follow(moment.page, recent.delta(0), me, to);
        }
        let zone = self
            .zones
            .entry(mix(moment.stream.key()) ^ (moment.page >> ZONE_SHIFT));
        let stride = moment.page.wrapping_sub(zone.last).cast_signed();
        if zone.last != 0 && stride == zone.stride && stride != recent.delta(0) {
            follow(moment.page, stride, me, to);
        }
        if stride != 0 {
            *zone = Zone {
                last: moment.page,
                stride,
            };
        }
    }
}
