// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merges neighbouring regions into groups that fit into a local memory.
//!
//! Instructions that write into one group are run by one engine while its data
//! are there.  Regions of one matrix are merged into squares, since a square
//! of tiles needs the fewest tiles of its factors; runs are merged into longer
//! runs.  Buffers of one size are grouped alike: a sweep from one to the other
//! and back meets the same groups again.  Nothing here orders anything; a wrong
//! group costs moves only.

use crate::list::Operand;

/// Part of a local memory that the regions of one group may take together; the
/// rest is for what they are computed from and for what is fetched ahead.
const SHARE: (u64, u64) = (9, 16);

/// A group: what it is made of, and which of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupId {
    /// Pitch and size of the objects it is cut from.
    pub kind: (u64, u64),
    /// Which of them, by row and column.
    pub place: (u64, u64),
}

/// Cuts objects into groups.
#[derive(Debug)]
pub struct Grouping {
    local_bytes: u64,
}

impl Grouping {
    pub fn new(local_bytes: u64) -> Self {
        Self { local_bytes }
    }

    /// The group of an instruction: that of the first region it writes.
    pub fn of(&self, operands: &[Operand]) -> Option<GroupId> {
        let target = operands.iter().find(|operand| operand.access.writes())?;
        let region = &target.region;
        let offset = region.start() - target.object.start();
        let bytes = region.bytes().max(1);
        // What is read beside the target and is as large is of its own for
        // each region of the group; the rest is shared.
        let apart = if target.access.reads() {
            0
        } else {
            let reads = operands.iter().filter(|operand| operand.access.reads());
            reads
                .map(|operand| operand.region.bytes())
                .max()
                .unwrap_or(0)
                .min(bytes * 2)
        };
        let budget = self.local_bytes / SHARE.1 * SHARE.0;
        let (kind, place) = match region.pitch() {
            Some((pitch, rows)) => {
                let width = region.run_bytes();
                let side = (budget / bytes).max(1).isqrt();
                let place = (
                    offset / pitch / (rows * side).max(1),
                    offset % pitch / (width * side).max(1),
                );
                ((pitch, target.object.bytes()), place)
            }
            None => {
                let regions = (self.local_bytes / 4 * 3 / (bytes + apart)).max(1);
                let place = (offset / (regions * bytes).next_power_of_two(), 0);
                ((0, target.object.bytes()), place)
            }
        };
        Some(GroupId { kind, place })
    }
}
