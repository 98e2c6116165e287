// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the driver's touch ring, which is guest memory: nothing in it is
//! believed. An entry names a window by slot and generation; whether there is such
//! a window the memory manager knows.

use std::mem::offset_of;

use augur_abi::touch::{MAX_TOUCHES, TOUCH_WRITE, Touch, TouchRing};
use augur_memory::{Slot, WindowRef};
use zerocopy::FromBytes as _;

use crate::guest::GuestAccess;

/// Entries that are read at one time.
const AT_ONCE: u64 = 256;

/// A touch that the driver claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub window: WindowRef,
    /// Pages behind the window's first that were entered.
    pub first: u64,
    pub pages: u64,
    pub write: bool,
}

/// Where the ring is and how far it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TouchRingReader {
    address: u64,
    entries: u64,
    read: u64,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Entries that were overwritten before they were read.
    pub lost: u64,
    /// Entries that cannot be right.
    pub refused: u64,
    /// Whether more is there.
    pub more: bool,
}

impl TouchRingReader {
    /// A ring of `entries` at a guest address; `None` when it is not wholly in
    /// guest memory, or its size is wrong.
    pub fn new(guest: &GuestAccess<'_>, address: u64, entries: u32) -> Option<Self> {
        let bytes = TouchRing::BYTES as u64 + u64::from(entries) * Touch::BYTES as u64;
        (1..=MAX_TOUCHES).contains(&entries).then_some(())?;
        (address.is_multiple_of(8) && guest.contains(address, bytes)).then_some(Self {
            address,
            entries: entries.into(),
            read: 0,
        })
    }

    /// Reads what is new. A count that jumps costs what one ring's worth costs.
    pub fn read(&mut self, guest: &GuestAccess<'_>, mut claim: impl FnMut(Claim)) -> Read {
        let mut result = Read::default();
        let at = self.address + offset_of!(TouchRing, written) as u64;
        let Some(written) = guest.load(at) else {
            return result;
        };
        // A count that went backwards starts the ring anew.
        let Some(mut new) = written.checked_sub(self.read) else {
            self.read = written;
            result.refused = 1;
            return result;
        };
        if new > self.entries {
            result.lost = new - self.entries;
            self.read = written - self.entries;
            new = self.entries;
        }
        result.more = new > AT_ONCE;
        for number in self.read..self.read + new.min(AT_ONCE) {
            let place = TouchRing::BYTES as u64 + (number % self.entries) * Touch::BYTES as u64;
            let mut bytes = [0; Touch::BYTES];
            let there = guest.read(self.address + place, &mut bytes);
            match Touch::read_from_bytes(&bytes) {
                Ok(touch) if there => {
                    if touch.sequence != (number as u32).wrapping_add(1) {
                        result.lost += 1;
                    } else if touch.pages == 0 || touch.flags & !TOUCH_WRITE != 0 {
                        result.refused += 1;
                    } else {
                        claim(Claim {
                            window: WindowRef {
                                slot: Slot(touch.slot),
                                generation: touch.generation,
                            },
                            first: touch.first_page.into(),
                            pages: touch.pages.into(),
                            write: touch.flags & TOUCH_WRITE != 0,
                        });
                    }
                }
                _ => result.refused += 1,
            }
            self.read = number + 1;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::GuestMemory;
    use proptest::prelude::*;
    use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};
    use zerocopy::IntoBytes as _;

    const RING: u64 = 0x1000;

    fn memory() -> (GuestMemory, GuestMemoryMmap) {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x4000)]).unwrap();
        let gate = GuestMemory::new();
        gate.replace(memory.clone());
        gate.resume();
        (gate, memory)
    }

    fn write(memory: &GuestMemoryMmap, entries: u64, number: u64, slot: u32) {
        let touch = Touch {
            sequence: number as u32 + 1,
            slot,
            generation: 1,
            first_page: 0,
            pages: 1,
            flags: 0,
        };
        let place = RING + 16 + (number % entries) * 16;
        memory
            .write_slice(touch.as_bytes(), GuestAddress(place))
            .unwrap();
        memory.write_obj(number + 1, GuestAddress(RING)).unwrap();
    }

    fn read(reader: &mut TouchRingReader, gate: &GuestMemory) -> (Vec<u32>, Read) {
        let mut slots = Vec::new();
        let read = reader.read(&gate.enter().unwrap(), |claim| {
            slots.push(claim.window.slot.0);
        });
        (slots, read)
    }

    #[test]
    fn entries_come_in_order_and_overwritten_ones_are_counted() {
        let (gate, memory) = memory();
        let mut reader = TouchRingReader::new(&gate.enter().unwrap(), RING, 4).unwrap();
        for number in 0..3 {
            write(&memory, 4, number, number as u32 + 10);
        }
        assert_eq!(
            read(&mut reader, &gate),
            (vec![10, 11, 12], Read::default())
        );
        for number in 3..9 {
            write(&memory, 4, number, number as u32 + 10);
        }
        let (slots, result) = read(&mut reader, &gate);
        assert_eq!((slots, result.lost), (vec![15, 16, 17, 18], 2));
    }

    #[test]
    fn a_ring_outside_guest_memory_is_refused() {
        let (gate, _memory) = memory();
        let guest = gate.enter().unwrap();
        assert!(TouchRingReader::new(&guest, 0x3ff8, 4).is_none());
        assert!(TouchRingReader::new(&guest, u64::MAX - 7, 4).is_none());
        assert!(TouchRingReader::new(&guest, RING + 4, 4).is_none());
        assert!(TouchRingReader::new(&guest, RING, 0).is_none());
        assert!(TouchRingReader::new(&guest, RING, MAX_TOUCHES + 1).is_none());
    }

    proptest! {
        /// Whatever a driver writes, reading ends, with a bounded number of claims.
        #[test]
        fn a_hostile_ring_costs_a_bounded_number_of_claims(
            bytes in prop::collection::vec(any::<u8>(), 16 + 8 * 16),
            counts in prop::collection::vec(any::<u64>(), 1..8),
        ) {
            let (gate, memory) = memory();
            let mut reader = TouchRingReader::new(&gate.enter().unwrap(), RING, 8).unwrap();
            memory.write_slice(&bytes, GuestAddress(RING)).unwrap();
            for count in counts {
                memory.write_obj(count, GuestAddress(RING)).unwrap();
                let (slots, _) = read(&mut reader, &gate);
                prop_assert!(slots.len() <= 8);
            }
        }
    }
}
