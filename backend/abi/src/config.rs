// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtio config space, read once when the driver probes.

/// Virtio device id of the card. The id is registered for a device that no
/// driver exists for, hence the magic.
pub const VIRTIO_ID: u32 = 38;
/// First field of the config space: `AUGURACC`.
pub const CONFIG_MAGIC: u64 = u64::from_le_bytes(*b"AUGURACC");
/// Virtqueue of requests to the card.
pub const QUEUE_CONTROL: u16 = 0;
/// Virtqueue of events from the card.
pub const QUEUE_EVENTS: u16 = 1;
/// First of the submit virtqueues.
pub const QUEUE_SUBMIT: u16 = 2;

wire_structures! {
    /// The config space. The driver reads it in probe and never again: a read
    /// after the card's process is gone can end the virtual machine.
    pub struct Config("augur_config") {
        /// AUGUR_CONFIG_MAGIC; probe refuses anything else.
        pub magic: u64,
        /// AUGUR_ABI_MAJOR; probe refuses another.
        pub abi_major: u16,
        /// AUGUR_ABI_MINOR; a driver works with any.
        pub abi_minor: u16,
        /// Compute engines.
        pub compute_engines: u16,
        /// DMA channels.
        pub dma_channels: u16,
        /// Device memory in bytes, aperture included.
        pub memory_bytes: u64,
        /// Bytes of the aperture: shared memory region 0, BAR 4. A power of two.
        pub aperture_bytes: u64,
        /// Device memory in bytes that objects can have: memory minus aperture.
        pub usable_bytes: u64,
        /// Submit virtqueues.
        pub submit_queues: u16,
        /// Contexts at one time.
        pub max_contexts: u16,
        /// Bytes of the window that answers a demand fault, at most.
        pub demand_window_bytes: u32,
        /// Bytes of the largest window.
        pub max_window_bytes: u32,
        /// Window slots: a slot number is below this.
        pub window_slots: u32,
        /// Bytes of one submission, at most.
        pub max_submit_bytes: u32,
        /// Milliseconds between two heartbeats in the map header.
        pub heartbeat_ms: u32,
        /// Milliseconds the driver has to acknowledge a revoke before the card fails the context.
        pub revoke_timeout_ms: u32,
        /// Zero.
        pub reserved: u32,
    }
}
