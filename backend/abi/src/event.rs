// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: the one ordered channel from the card to the driver.

/// The window answers a demand fault: it may be wanted before it is touched.
pub const EVENT_DEMAND: u16 = 1;

wire_enumerations! {
    /// What an event says.
    pub enum EventKind("AUGUR_EVENT_"): u16 {
        /// A window is filled and may be mapped: context, slot, generation, device_address, aperture_offset, bytes are valid.
        Map = 1 => "MAP",
        /// A window is taken back: unmap it, read its dirtiness, acknowledge slot and generation with REVOKE_ACK.
        Revoke = 2 => "REVOKE",
        /// A demand fault could not be served: context and device_address name it, status says why.
        FaultFailed = 3 => "FAULT_FAILED",
        /// The context has failed, status says why; its windows are not valid any more and its lists end with CANCELLED or CONTEXT_FAILED.
        ContextFailed = 4 => "CONTEXT_FAILED",
        /// Events were dropped. Everything that waits for an event before this one asks again, after LIST_WINDOWS.
        Resync = 5 => "RESYNC",
        /// Take a window out of page tables but keep it: the card wants to know whether it is used again, which the touch ring says. Context, slot and generation are valid; nothing is acknowledged. Sent only to drivers that set AUGUR_TOUCH_RING_ZAPS.
        Zap = 6 => "ZAP",
    }
}

wire_structures! {
    /// One event. A buffer of the events queue takes as many as fit it; the
    /// used length is a multiple of this structure's size.
    pub struct Event("augur_event") {
        /// Grows by one from event to event, from 1 in each life.
        pub sequence: u64,
        /// AUGUR_EVENT_*.
        pub kind: u16,
        /// AUGUR_EVENT_DEMAND, or zero.
        pub flags: u16,
        /// Context id.
        pub context: u32,
        /// Window slot.
        pub slot: u32,
        /// Generation of the slot: grows each time the slot is used again.
        pub generation: u32,
        /// First device address of the window.
        pub device_address: u64,
        /// Where the window starts in the aperture.
        pub aperture_offset: u64,
        /// Bytes of the window.
        pub bytes: u32,
        /// AUGUR_STATUS_*.
        pub status: u32,
        /// Card clock in nanoseconds.
        pub time_ns: u64,
        /// Zero.
        pub reserved: u64,
    }
}
