// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two-dimensional strides, as of im2col and tiled products: runs of
//! neighbouring pages whose starts lie a constant pitch apart.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::Table;

/// Longest run that is proposed.
const MAX_RUN: u64 = 12;

#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    /// Where the present run started.
    start: u64,
    /// Pages of the present run.
    length: u64,
    /// Pages of the run before.
    previous_length: u64,
    pitch: i64,
    /// Runs in a row with this pitch.
    agreed: u32,
}

/// Proposes the next rows of a tile.
#[derive(Debug)]
pub struct TwoDimensional {
    streams: Table<Rows>,
}

impl TwoDimensional {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            streams: Table::new(10),
        }
    }
}

impl Expert for TwoDimensional {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let rows = self.streams.entry(moment.stream.key());
        if moment.recent.delta(0) == 1 {
            rows.length += 1;
        } else {
            let pitch = moment.page.wrapping_sub(rows.start).cast_signed();
            rows.agreed = if pitch == rows.pitch {
                rows.agreed + 1
            } else {
                0
            };
            rows.pitch = pitch;
            rows.previous_length = rows.length;
            rows.start = moment.page;
            rows.length = 1;
        }
        if rows.agreed == 0 {
            return;
        }
        for row in 0..2_u64 {
            let next = rows
                .start
                .wrapping_add_signed(rows.pitch.wrapping_mul(row as i64 + 1));
            for step in 0..rows.previous_length.clamp(1, MAX_RUN) {
                let rank = (row * MAX_RUN + step) as usize;
                to.add(next.wrapping_add(step), me, rank);
            }
        }
    }
}
