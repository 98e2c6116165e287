// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a guest put its rings, checked before the vhost crate sees it.
//!
//! A driver writes those addresses into QEMU's registers, QEMU hands them on unchecked,
//! and the crate gives up the whole connection, and with it the virtual machine, for one
//! that is misaligned or outside of guest memory. Here such a ring gets a harmless address
//! and stands still until its driver sets another.
//!
//! Knows two of vhost-user's messages; never a socket.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use augur_card::log_limit::warn_of_guest;
use vhost::vhost_user::message::{
    FrontendReq, VhostUserMemory, VhostUserMemoryRegion, VhostUserVringAddr,
};
use vm_memory::ByteValued;

/// The rings that stand still because of where they are, by number.
#[derive(Debug)]
pub struct RefusedRings(Vec<AtomicBool>);

impl RefusedRings {
    /// None of so many rings.
    pub fn new(rings: usize) -> Self {
        RefusedRings((0..rings).map(|_| AtomicBool::new(false)).collect())
    }

    /// Whether this ring stands still.
    pub fn contains(&self, ring: u16) -> bool {
        self.0
            .get(usize::from(ring))
            .is_some_and(|refused| refused.load(Ordering::Acquire))
    }

    fn set(&self, ring: u32, refused: bool) {
        let known = usize::try_from(ring).ok().and_then(|ring| self.0.get(ring));
        if let Some(known) = known {
            known.store(refused, Ordering::Release);
        }
    }
}

/// Checks a front end's messages. See the module's description.
#[derive(Debug, Default)]
pub struct RingAddresses {
    /// Guest memory, in the front end's addresses.
    memory: Vec<Range<u64>>,
}

impl RingAddresses {
    /// Looks at a message before the crate does. Where it puts a ring somewhere
    /// impossible, its addresses are replaced and the ring is refused.
    pub fn check(&mut self, request: u32, payload: &mut [u8], refused: &RefusedRings) {
        if request == u32::from(FrontendReq::SET_MEM_TABLE) {
            self.memory = memory_of(payload);
        } else if request == u32::from(FrontendReq::SET_VRING_ADDR) {
            self.check_ring(payload, refused);
        }
    }

    fn check_ring(&self, payload: &mut [u8], refused: &RefusedRings) {
        let Some(mut ring) = leading::<VhostUserVringAddr>(payload) else {
            return;
        };
        let index = ring.index;
        let fault = self.fault_of(&ring);
        refused.set(index, fault.is_some());
        let Some(fault) = fault else {
            return;
        };
        warn_of_guest(format_args!(
            "the guest's driver put ring {index} where none can be, it stands still: {fault}"
        ));
        let harmless = self
            .memory
            .iter()
            .rev()
            .map(|region| (region.start.next_multiple_of(16), region.end))
            .find(|(start, end)| start < end);
        // A front end sets rings after memory, or is not QEMU.
        let Some((harmless, _)) = harmless else {
            return;
        };
        (ring.descriptor, ring.available, ring.used) = (harmless, harmless, harmless);
        if let Some(place) = payload.get_mut(..size_of::<VhostUserVringAddr>()) {
            place.copy_from_slice(ring.as_slice());
        }
    }

    /// What is wrong with a ring's place. The alignments are those of virtio 1.2, 2.7.
    fn fault_of(&self, ring: &VhostUserVringAddr) -> Option<String> {
        let parts = [
            ("descriptor table", ring.descriptor, 16),
            ("available ring", ring.available, 2),
            ("used ring", ring.used, 4),
        ];
        parts.into_iter().find_map(|(part, address, alignment)| {
            if !address.is_multiple_of(alignment) {
                let over = address % alignment;
                Some(format!(
                    "its {part} is {over} bytes behind a multiple of {alignment}"
                ))
            } else if !self.memory.iter().any(|region| region.contains(&address)) {
                Some(format!("its {part} is not in guest memory"))
            } else {
                None
            }
        })
    }
}

/// The regions of a memory table. What is not there is left out: the crate refuses
/// such a table.
fn memory_of(payload: &[u8]) -> Vec<Range<u64>> {
    let Some(table) = leading::<VhostUserMemory>(payload) else {
        return Vec::new();
    };
    payload
        .get(size_of::<VhostUserMemory>()..)
        .unwrap_or_default()
        .chunks_exact(size_of::<VhostUserMemoryRegion>())
        .take(table.num_regions as usize)
        .filter_map(leading::<VhostUserMemoryRegion>)
        .map(|region| region.user_addr..region.user_addr.saturating_add(region.memory_size))
        .collect()
}

/// The value at the beginning of `bytes`, wherever they lie in memory.
fn leading<T: ByteValued + Default>(bytes: &[u8]) -> Option<T> {
    let mut value = T::default();
    let bytes = bytes.get(..size_of::<T>())?;
    value.as_mut_slice().copy_from_slice(bytes);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: u64 = 0x7000_0000_1000;
    const BYTES: u64 = 0x10000;

    fn checker() -> RingAddresses {
        let mut table = VhostUserMemory::new(1).as_slice().to_vec();
        let region = VhostUserMemoryRegion::new(0, BYTES, MEMORY, 0);
        table.extend_from_slice(region.as_slice());
        let mut checker = RingAddresses::default();
        checker.check(
            FrontendReq::SET_MEM_TABLE.into(),
            &mut table,
            &RefusedRings::new(0),
        );
        checker
    }

    /// Whether ring 1 is refused there, and the addresses that the crate gets.
    fn placed(descriptor: u64, available: u64, used: u64) -> (bool, [u64; 3]) {
        let refused = RefusedRings::new(2);
        let flags = vhost::vhost_user::message::VhostUserVringAddrFlags::empty();
        let message = VhostUserVringAddr::new(1, flags, descriptor, used, available, 0);
        let mut payload = message.as_slice().to_vec();
        checker().check(FrontendReq::SET_VRING_ADDR.into(), &mut payload, &refused);
        let after = leading::<VhostUserVringAddr>(&payload).unwrap();
        assert!(!refused.contains(0));
        assert!(!refused.contains(2));
        (
            refused.contains(1),
            [after.descriptor, after.available, after.used],
        )
    }

    #[test]
    fn a_ring_in_memory_passes_unchanged() {
        let good = [MEMORY, MEMORY + 0x402, MEMORY + 0x804];
        assert_eq!(placed(good[0], good[1], good[2]), (false, good));
        let last = MEMORY + BYTES - 16;
        assert_eq!(placed(last, last, last), (false, [last; 3]));
    }

    #[test]
    fn a_misaligned_or_missing_part_is_replaced() {
        for (descriptor, available, used) in [
            (MEMORY + 8, MEMORY, MEMORY),
            (MEMORY, MEMORY + 1, MEMORY),
            (MEMORY, MEMORY, MEMORY + 2),
            (MEMORY - 16, MEMORY, MEMORY),
            (MEMORY, MEMORY + BYTES, MEMORY),
            (MEMORY, MEMORY, 0),
        ] {
            assert_eq!(placed(descriptor, available, used), (true, [MEMORY; 3]));
        }
    }

    #[test]
    fn a_good_place_ends_the_refusal() {
        let refused = RefusedRings::new(1);
        refused.set(0, true);
        let flags = vhost::vhost_user::message::VhostUserVringAddrFlags::empty();
        let message = VhostUserVringAddr::new(0, flags, MEMORY, MEMORY, MEMORY, 0);
        let mut payload = message.as_slice().to_vec();
        checker().check(FrontendReq::SET_VRING_ADDR.into(), &mut payload, &refused);
        assert!(!refused.contains(0));
    }

    #[test]
    fn short_messages_are_left_to_the_crate() {
        let refused = RefusedRings::new(1);
        for length in 0..size_of::<VhostUserVringAddr>() {
            let mut payload = vec![0xff; length];
            checker().check(FrontendReq::SET_VRING_ADDR.into(), &mut payload, &refused);
            checker().check(FrontendReq::SET_MEM_TABLE.into(), &mut payload, &refused);
            assert_eq!(payload, vec![0xff; length]);
        }
        assert!(!refused.contains(0));
    }
}
