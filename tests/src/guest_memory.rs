// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's memory, written from outside: what a guest whose kernel has gone wrong
//! could do to the card.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use crate::TestGuest;

/// What QEMU's file of the guest's memory is called.
const NAME: &str = "/memfd:memory-backend-memfd";

/// The memory of a booted guest of at most 2 GiB, whose addresses begin at zero.
#[derive(Debug)]
pub struct GuestMemory(File);

impl GuestMemory {
    /// The memory of this guest.
    pub fn of(guest: &TestGuest) -> Self {
        let folder = format!("/proc/{}/fd", guest.machine().process_id());
        let descriptor = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with(NAME))
            })
            .expect("QEMU keeps the guest's memory in a file");
        let file = OpenOptions::new().read(true).write(true).open(descriptor);
        Self(file.unwrap())
    }

    /// Writes bytes at a guest address.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, address).unwrap();
    }

    /// Reads a word at a guest address.
    pub fn read_word(&self, address: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, address).unwrap();
        u64::from_le_bytes(bytes)
    }
}
