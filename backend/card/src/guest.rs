// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's memory behind a gate.
//!
//! While the virtual machine is stopped, or its rings are being reset, nothing
//! may touch guest memory: a transfer that went on would write into a kernel
//! that has just booted. Everybody enters through [`GuestMemory::enter`], stays
//! for at most a piece of a transfer, and is kept out while the gate is closed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use augur_memory::{Nanos, PhysicalOffset};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

use crate::device_memory::DeviceMemory;

/// The guest's memory. See the module's description.
pub struct GuestMemory {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    memory: Option<Arc<GuestMemoryMmap>>,
    open: bool,
    inside: usize,
    /// Those who wait until nobody is inside.
    waiting: usize,
    /// Time with the gate open, up to `since`.
    running: Duration,
    since: Instant,
}

impl State {
    /// Time with the gate open.
    fn running(&self) -> Duration {
        if self.open {
            self.running + self.since.elapsed()
        } else {
            self.running
        }
    }

    fn set_open(&mut self, open: bool) {
        self.running = self.running();
        self.since = Instant::now();
        self.open = open;
    }
}

impl Default for GuestMemory {
    fn default() -> Self {
        GuestMemory::new()
    }
}

/// Permission to touch guest memory; whoever holds one delays a stop.
pub struct GuestAccess<'a> {
    gate: &'a GuestMemory,
    memory: Arc<GuestMemoryMmap>,
}

impl GuestMemory {
    /// Guest memory that is not known yet, with the gate closed.
    pub fn new() -> Self {
        GuestMemory {
            state: Mutex::new(State {
                memory: None,
                open: false,
                inside: 0,
                waiting: 0,
                running: Duration::ZERO,
                since: Instant::now(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Replaces the memory, when nobody is inside.
    pub fn replace(&self, memory: GuestMemoryMmap) {
        let mut state = self.empty();
        state.memory = Some(Arc::new(memory));
        drop(state);
        self.changed.notify_all();
    }

    /// Closes the gate; returns when nobody is inside.
    pub fn stop(&self) {
        self.lock().set_open(false);
        drop(self.empty());
        self.changed.notify_all();
    }

    /// Opens the gate.
    pub fn resume(&self) {
        self.lock().set_open(true);
        self.changed.notify_all();
    }

    /// How long the gate was open in all: time in which the driver could run.
    pub fn running_time(&self) -> Nanos {
        Nanos(u64::try_from(self.lock().running().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Enters, or answers `None` while the gate is closed.
    pub fn enter(&self) -> Option<GuestAccess<'_>> {
        self.enter_locked(self.lock())
    }

    /// Enters, waiting at most `timeout` for the gate to open.
    pub fn enter_within(&self, timeout: Duration) -> Option<GuestAccess<'_>> {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| !state.open)
            .unwrap_or_else(PoisonError::into_inner);
        self.enter_locked(state)
    }

    fn enter_locked(&self, mut state: MutexGuard<'_, State>) -> Option<GuestAccess<'_>> {
        if !state.open {
            return None;
        }
        let memory = state.memory.clone()?;
        state.inside += 1;
        Some(GuestAccess { gate: self, memory })
    }

    fn empty(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.waiting += 1;
        let mut state = self
            .changed
            .wait_while(state, |state| state.inside > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GuestAccess<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.inside -= 1;
        // A wakeup is a system call, several of which a request cannot afford.
        let wake = state.inside == 0 && state.waiting > 0;
        drop(state);
        if wake {
            self.gate.changed.notify_all();
        }
    }
}

impl GuestAccess<'_> {
    /// The memory, for walking rings.
    pub fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    /// Whether all the bytes are in guest memory.
    pub fn contains(&self, address: u64, bytes: u64) -> bool {
        address.checked_add(bytes).is_some()
            && usize::try_from(bytes)
                .is_ok_and(|bytes| self.memory.check_range(GuestAddress(address), bytes))
    }

    /// Copies from guest memory; answers whether all the bytes are there.
    pub fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.memory.read_slice(into, GuestAddress(address)).is_ok()
    }

    /// Loads an aligned 64-bit word that the driver writes meanwhile; what it wrote
    /// before is seen by reads after this.
    pub(crate) fn load(&self, address: u64) -> Option<u64> {
        self.memory
            .load(GuestAddress(address), Ordering::Acquire)
            .ok()
    }

    /// Copies guest memory to device memory; answers whether all the bytes are there.
    pub(crate) fn copy_in(
        &self,
        device: &DeviceMemory,
        from: u64,
        mut to: PhysicalOffset,
        bytes: u64,
    ) -> bool {
        for slice in self.memory.get_slices(GuestAddress(from), bytes as usize) {
            let Ok(slice) = slice else { return false };
            let guard = slice.ptr_guard();
            // SAFETY: the slice is guest memory that stays mapped while this access
            // is held.
            unsafe { device.copy_in(guard.as_ptr(), to, slice.len() as u64) };
            to.0 += slice.len() as u64;
        }
        true
    }

    /// Copies device memory to guest memory; answers whether all the bytes are there.
    pub(crate) fn copy_out(
        &self,
        device: &DeviceMemory,
        mut from: PhysicalOffset,
        to: u64,
        bytes: u64,
    ) -> bool {
        for slice in self.memory.get_slices(GuestAddress(to), bytes as usize) {
            let Ok(slice) = slice else { return false };
            let guard = slice.ptr_guard_mut();
            // SAFETY: as in `copy_in`.
            unsafe { device.copy_out(from, guard.as_ptr(), slice.len() as u64) };
            from.0 += slice.len() as u64;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> GuestMemoryMmap {
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0x1000), 0x2000)]).unwrap()
    }

    #[test]
    fn a_stop_waits_for_those_inside_and_keeps_others_out() {
        let gate = GuestMemory::new();
        gate.replace(memory());
        assert!(gate.enter().is_none(), "the gate starts closed");
        gate.resume();
        let inside = gate.enter().unwrap();
        std::thread::scope(|scope| {
            let stop = scope.spawn(|| gate.stop());
            while gate.is_open() {
                std::thread::yield_now();
            }
            assert!(gate.enter().is_none());
            assert!(!stop.is_finished());
            drop(inside);
            stop.join().unwrap();
        });
        assert!(gate.enter_within(Duration::from_millis(1)).is_none());
        gate.resume();
        assert!(gate.enter().is_some());
    }

    #[test]
    fn ranges_outside_memory_are_refused() {
        let gate = GuestMemory::new();
        gate.replace(memory());
        gate.resume();
        let access = gate.enter().unwrap();
        assert!(access.contains(0x1000, 0x2000));
        assert!(!access.contains(0x1000, 0x2001));
        assert!(!access.contains(0xfff, 2));
        assert!(!access.contains(u64::MAX, 2));
        assert!(!access.read(0x2fff, &mut [0; 2]));
    }
}
