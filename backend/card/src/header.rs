// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map header: what the card tells of itself in the first page of the
//! aperture. It is only written here; nothing is read back from it, because the
//! guest can write it.

use std::mem::offset_of;

use augur_abi::header::MAP_HEADER_MAGIC;
use augur_abi::{CardState, MapHeader};
use augur_memory::{Counters, PhysicalOffset};

use crate::device_memory::DeviceMemory;

fn store(memory: &DeviceMemory, field: usize, value: u64) {
    memory.store(PhysicalOffset(field as u64), value);
}

/// Writes state and resync count, which share a word.
fn store_state(memory: &DeviceMemory, state: CardState, resyncs: u32) {
    const _: () = assert!(offset_of!(MapHeader, resync) == offset_of!(MapHeader, state) + 4);
    let word = u64::from(state.code()) | u64::from(resyncs) << 32;
    store(memory, offset_of!(MapHeader, state), word);
}

/// Begins a driver life.
pub(crate) fn begin(memory: &DeviceMemory, nonce: u64, resyncs: u32) {
    store(memory, offset_of!(MapHeader, magic), MAP_HEADER_MAGIC);
    store_state(memory, CardState::Running, resyncs);
    store(memory, offset_of!(MapHeader, life), nonce);
}

/// Tells the state.
pub(crate) fn state(memory: &DeviceMemory, state: CardState, resyncs: u32) {
    store_state(memory, state, resyncs);
}

/// Shows that the card lives, and its counters.
pub(crate) fn beat(
    memory: &DeviceMemory,
    heartbeat: u64,
    event_sequence: u64,
    counters: &Counters,
) {
    store(
        memory,
        offset_of!(MapHeader, event_sequence),
        event_sequence,
    );
    store(memory, offset_of!(MapHeader, faults), counters.faults);
    store(memory, offset_of!(MapHeader, maps), counters.maps);
    store(memory, offset_of!(MapHeader, revokes), counters.revokes);
    let moved = counters.filled_bytes + counters.zeroed_bytes + counters.written_home_bytes;
    store(memory, offset_of!(MapHeader, moved_bytes), moved);
    store(memory, offset_of!(MapHeader, heartbeat), heartbeat);
}
