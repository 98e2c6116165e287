// SPDX-License-Identifier: MIT OR Apache-2.0
//! The touch ring: guest memory in which the driver notes which windows programs
//! begin to use, for the card to read when it likes.
//!
//! The driver never waits for the card: it overwrites the oldest entries. The card
//! believes nothing it finds: a false entry costs it a look at its window table.

/// Entries of a touch ring, at most.
pub const MAX_TOUCHES: u32 = 65_536;
/// Flag of [`TouchRingRequest`]: the driver obeys ZAP events.
pub const TOUCH_RING_ZAPS: u32 = 1;
/// Flag of [`Touch`]: the access was a write.
pub const TOUCH_WRITE: u8 = 1;

wire_structures! {
    /// Body of TOUCH_RING.
    pub struct TouchRingRequest("augur_touch_ring_request") {
        /// Guest address of struct augur_touch_ring, a multiple of 8; entries follow it.
        pub address: u64,
        /// Entries, at most AUGUR_MAX_TOUCHES; 0 ends the use of the ring.
        pub entries: u32,
        /// AUGUR_TOUCH_RING_ZAPS, or zero.
        pub flags: u32,
    }

    /// Start of the touch ring in guest memory; struct augur_touch entries follow.
    pub struct TouchRing("augur_touch_ring") {
        /// Entries ever written. Entry number n, from 0, stands at place n modulo
        /// the number of entries; this is raised after the entry was written.
        pub written: u64,
        /// Not looked at.
        pub reserved: u64,
    }

    /// Pages of a window that the driver has entered into a page table.
    pub struct Touch("augur_touch") {
        /// The low bits of the entry's number plus one: an entry that is being
        /// overwritten does not have it.
        pub sequence: u32,
        /// Window slot.
        pub slot: u32,
        /// Generation of the slot.
        pub generation: u32,
        /// First of the pages, counted from the start of the window.
        pub first_page: u16,
        /// Pages entered, not zero.
        pub pages: u8,
        /// AUGUR_TOUCH_WRITE, or zero.
        pub flags: u8,
    }
}
