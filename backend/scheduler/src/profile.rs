// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's sizes and costs, for virtual time.
//!
//! All figures are of the modelled card, not of the host.  Memory has three
//! levels: homes beyond the link, the card's own memory that all engines see,
//! and a local memory in each engine.  The analysis figures start from what the
//! same work costs on the host and are divided by the lanes of the card's
//! analysis unit.

use crate::clock::Nanos;

/// Sizes and costs of a card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Memory that is visible on the card, in bytes; data have to be there
    /// before an engine can use them.
    pub visible_bytes: u64,
    /// Local memory of each compute engine, in bytes.
    pub local_bytes: u64,
    /// Line of the local memories, in bytes; a power of two.
    pub line_bytes: u64,
    /// Bytes per nanosecond of the link all DMA engines share: fills of the
    /// card's memory, and what is written home.
    pub link_bytes_per_ns: f64,
    /// From the start of a move over the link to its first byte.
    pub move_latency: Nanos,
    /// Moves over the link that one DMA engine has in flight.
    pub moves_in_flight: usize,
    /// Bytes per nanosecond of the card's memory, which all moves into, out of
    /// and between local memories share.
    pub memory_bytes_per_ns: f64,
    /// From the start of a move on the card to its first byte.
    pub memory_latency: Nanos,
    /// Moves on the card that one DMA engine has in flight.
    pub memory_moves_in_flight: usize,
    /// Most bytes that one move over the link is made of.
    pub move_bytes: u64,
    /// Instructions that an engine fetches data for while one is running.
    pub prefetch: usize,
    /// Analysis of one tracked cell of one operand.
    pub cell: Nanos,
    /// One edge of the dependence graph.
    pub edge: Nanos,
    /// One change of an object's unit of tracking, either way.
    pub regrain: Nanos,
    /// Lanes of the analysis unit, which share the work evenly.
    pub analysis_lanes: u64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            visible_bytes: 256 << 20,
            local_bytes: 1 << 20,
            line_bytes: 64,
            link_bytes_per_ns: 12.0,
            move_latency: Nanos(2_000),
            moves_in_flight: 4,
            memory_bytes_per_ns: 512.0,
            memory_latency: Nanos(300),
            memory_moves_in_flight: 16,
            move_bytes: 64 << 10,
            prefetch: 2,
            cell: Nanos(20),
            edge: Nanos(48),
            regrain: Nanos(1_000),
            analysis_lanes: 4,
        }
    }
}

impl Profile {
    /// Time that `bytes` take on the link.
    #[must_use]
    pub fn transfer(&self, bytes: u64) -> Nanos {
        Nanos((bytes as f64 / self.link_bytes_per_ns).ceil() as u64)
    }

    /// Time that the analysis unit takes.
    #[must_use]
    pub fn analysis(&self, cells: u64, edges: u64, regrained: u64) -> Nanos {
        let work = cells * self.cell.0 + edges * self.edge.0 + regrained * self.regrain.0;
        Nanos(work.div_ceil(self.analysis_lanes.max(1)))
    }
}
