// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map header: the first page of the aperture, written by the card and
//! never mapped to programs.

/// First field of the map header: `AUGURMAP`.
pub const MAP_HEADER_MAGIC: u64 = u64::from_le_bytes(*b"AUGURMAP");

wire_enumerations! {
    /// State of the card, in the map header.
    pub enum CardState("AUGUR_STATE_"): u32 {
        /// Not yet greeted with HELLO in this life.
        Idle = 0 => "IDLE",
        /// Working.
        Running = 1 => "RUNNING",
        /// The card cannot go on; the driver fails everything and may send HELLO to start again.
        Failed = 2 => "FAILED",
        /// The card's process is ending in an orderly way; nothing will be answered any more.
        Gone = 3 => "GONE",
    }
}

wire_structures! {
    /// The first page of the aperture. The card writes it and never reads it
    /// back. A counter may be torn against another, never within itself.
    pub struct MapHeader("augur_map_header") {
        /// AUGUR_MAP_HEADER_MAGIC.
        pub magic: u64,
        /// Grows by one every heartbeat_ms while the card's process lives.
        pub heartbeat: u64,
        /// The nonce of the last accepted HELLO.
        pub life: u64,
        /// AUGUR_STATE_*.
        pub state: u32,
        /// Grows by one each time events were dropped: the driver then calls LIST_WINDOWS.
        pub resync: u32,
        /// Sequence number of the last event written.
        pub event_sequence: u64,
        /// Demand faults answered.
        pub faults: u64,
        /// Windows mapped.
        pub maps: u64,
        /// Windows revoked.
        pub revokes: u64,
        /// Bytes moved between home and visible frames.
        pub moved_bytes: u64,
    }
}
