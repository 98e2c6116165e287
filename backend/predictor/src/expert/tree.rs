// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dense neighbourhoods, as in the UVM tree: the untouched pages of the largest
//! aligned block around a fault of which more than half was touched lately.

use super::{Expert, Moment};
use crate::proposal::Proposals;

/// Proposes the gaps of dense blocks of up to 64 pages.
#[derive(Debug)]
pub struct DensityTree;

impl Expert for DensityTree {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        if !moment.fault {
            return;
        }
        let Some(zone) = moment.history.zone(moment.page) else {
            return;
        };
        let index = moment.page & 63;
        let mut best = None;
        for (rank, size) in [16_u64, 32, 64].into_iter().enumerate() {
            let first = index / size * size;
            let block = (u64::MAX >> (64 - size)) << first;
            if u64::from((zone.touched & block).count_ones()) * 2 > size {
                best = Some((block, rank));
            }
        }
        let Some((block, rank)) = best else { return };
        let base = moment.page & !63;
        let mut left = block & !zone.touched;
        while left != 0 {
            to.add(base + u64::from(left.trailing_zeros()), me, rank);
            left &= left - 1;
        }
    }
}
