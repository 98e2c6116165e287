// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merges neighbouring regions into groups that fit into a local memory.
//!
//! Instructions that write into one group are run by one engine while its data
//! are there.  Regions of one matrix are merged into squares, since a square
//! of tiles needs the fewest tiles of its factors; runs are merged into longer
//! runs.  Buffers of one size are grouped alike: a sweep from one to the other
//! and back meets the same groups again.  An object that is written in regions
//! of several sizes in turn is not grouped: what is cut for one size is
//! straddled by the next, and work follows its data better alone.  Nothing here
//! orders anything; a wrong group costs moves only.  [`crate::sizes`]
//! says which sizes a program's objects get, and why.

use std::num::NonZeroU32;

use hashbrown::HashMap;

use crate::list::{Object, Operand};

/// Part of a local memory that the regions of one group may take together; the
/// rest is for what they are computed from and for what is fetched ahead.
const SHARE: (u64, u64) = (9, 16);

/// Objects whose writes are counted; others are grouped.
const MAX_OBJECTS: usize = 4096;
/// Sizes counted for each.
const SIZES: usize = 4;
/// Writes of one size after which its object is looked at again.
const LOOK_EVERY: u32 = 32;
/// A second size matters from this part of the writes of the first on; the
/// last region of each sweep is often shorter, and does not.
const SECOND: u32 = 8;

/// Numbers of groups.  Groups that get one number are one group: that costs
/// moves at most.
pub const GROUPS: usize = 1 << 12;

/// A group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Which it is, below [`GROUPS`].
    pub number: u16,
    /// What it is cut from: objects of one pitch and size are of one kind.
    pub kind: NonZeroU32,
}

impl Group {
    fn new(kind: (u64, u64), place: (u64, u64)) -> Self {
        let kind = mixed(kind.0, kind.1);
        let number = mixed(mixed(place.0, place.1), kind);
        Self {
            number: (number >> 32) as u16 % GROUPS as u16,
            kind: NonZeroU32::MIN | (kind >> 32) as u32,
        }
    }
}

/// Two numbers as one, whose upper half depends on all bits of both.
fn mixed(a: u64, b: u64) -> u64 {
    let sum = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.rotate_left(32);
    let sum = (sum ^ sum >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    sum ^ sum >> 32
}

/// Cuts objects into groups.
#[derive(Debug)]
pub struct Grouping {
    local_bytes: u64,
    /// How often each object was written in runs of which size.
    sizes: HashMap<Object, [(u64, u32); SIZES]>,
    /// The object and size of the last write of a run, whether the object's
    /// sizes varied, and how often that was met since it was looked at.
    latest: Option<(Object, u64, bool, u32)>,
    /// The shape that was met last: bytes and tiles along a side.
    square: (u64, u64),
    /// The sizes of a run and of what it is computed from that were met last,
    /// and the bits of a group's bytes.
    span: ((u64, u64), u32),
}

impl Grouping {
    pub fn new(local_bytes: u64) -> Self {
        Self {
            local_bytes,
            sizes: HashMap::new(),
            latest: None,
            square: (0, 1),
            span: ((0, 0), 0),
        }
    }

    /// The group of an instruction: that of the first region it writes.
    pub fn of(&mut self, operands: &[Operand]) -> Option<Group> {
        let target = operands.iter().find(|operand| operand.access.writes())?;
        let region = &target.region;
        let offset = region.start() - target.object.start();
        let bytes = region.bytes().max(1);
        let (kind, place) = match region.pitch() {
            Some((pitch, rows)) => {
                let width = region.run_bytes();
                if self.square.0 != bytes {
                    let budget = self.local_bytes / SHARE.1 * SHARE.0;
                    self.square = (bytes, (budget / bytes).max(1).isqrt());
                }
                let (_, side) = self.square;
                let place = (
                    offset / pitch / (rows * side).max(1),
                    offset % pitch / (width * side).max(1),
                );
                ((pitch, target.object.bytes()), place)
            }
            None => {
                if self.sizes_vary(target.object, bytes) {
                    return None;
                }
                // What is read beside the target and is as large is of its own
                // for each region of the group; the rest is shared.
                let mut apart = 0;
                if !target.access.reads() {
                    for read in operands.iter().filter(|it| it.access.reads()) {
                        apart = read.region.bytes().max(apart);
                    }
                    apart = apart.min(bytes * 2);
                }
                if self.span.0 != (bytes, apart) {
                    let regions = (self.local_bytes / 4 * 3 / (bytes + apart)).max(1);
                    let span = (regions * bytes).next_power_of_two();
                    self.span = ((bytes, apart), span.trailing_zeros());
                }
                let place = (offset >> self.span.1, 0);
                ((0, target.object.bytes()), place)
            }
        };
        Some(Group::new(kind, place))
    }

    /// Counts a write of a run and says whether several sizes are common.
    fn sizes_vary(&mut self, object: Object, bytes: u64) -> bool {
        let mut writes = 1;
        if let Some((known, size, vary, met)) = &mut self.latest {
            if (*known, *size) == (object, bytes) && *met < LOOK_EVERY {
                *met += 1;
                return *vary;
            }
            let (known, size) = (*known, *size);
            let met = std::mem::take(met);
            if (known, size) == (object, bytes) {
                writes += met;
            } else if met > 0 {
                self.count(known, size, met);
            }
        }
        let vary = self.count(object, bytes, writes);
        self.latest = Some((object, bytes, vary, 0));
        vary
    }

    fn count(&mut self, object: Object, bytes: u64, writes: u32) -> bool {
        if self.sizes.len() >= MAX_OBJECTS && !self.sizes.contains_key(&object) {
            return false;
        }
        let sizes = self.sizes.entry(object).or_default();
        match sizes
            .iter_mut()
            .find(|(size, count)| *size == bytes || *count == 0)
        {
            Some(slot) => *slot = (bytes, slot.1.saturating_add(writes)),
            // The rarest makes room.
            None => {
                if let Some(slot) = sizes.iter_mut().min_by_key(|(_, count)| *count) {
                    *slot = (bytes, writes);
                }
            }
        }
        let most = sizes.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let common = |&&(_, count): &&(u64, u32)| count > most / SECOND;
        sizes.iter().filter(common).count() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Access;
    use crate::region::Region;

    fn write(start: u64, bytes: u64) -> [Operand; 1] {
        [Operand {
            region: Region::contiguous(start, bytes).unwrap(),
            object: Object::new(0, 1 << 20).unwrap(),
            access: Access::Write,
        }]
    }

    #[test]
    fn an_object_is_grouped_until_its_regions_change_size() {
        let mut grouping = Grouping::new(1 << 16);
        for step in 0..64 {
            // The last region of a sweep is shorter.
            let bytes = if step % 16 == 15 { 1000 } else { 4096 };
            let group = grouping.of(&write(step % 16 * 4096, bytes));
            assert!(group.is_some() || step == 0, "{step}");
        }
        let of_many = (0..64).map(|step| grouping.of(&write(step * 5000, 5000)));
        assert_eq!(of_many.last(), Some(None));
    }
}
