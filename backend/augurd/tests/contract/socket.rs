// SPDX-License-Identifier: MIT OR Apache-2.0
//! A front end that is broken. It is trusted, so that a broken message may end
//! the connection, but nothing worse; the card is served again from a new one.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

use augur_abi::Status;
use vhost::VhostBackend as _;
use vmm_sys_util::sock_ctrl_msg::ScmSocket as _;

use crate::fixture::*;

/// Another machine with its own card: what a process that ended in an orderly
/// way leaves to the next.
fn another_is_served() {
    let mut driver = Driver::ready(Machine::started(small()));
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

/// The bytes of a vhost-user message: request, flags, size, body.
fn message(request: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [request, 1 | 8, body.len() as u32] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

const HEADER_BYTES: usize = 12;
const SET_MEM_TABLE: u32 = 5;
const GET_CONFIG: u32 = 24;

#[test]
fn fd_count_mismatch() {
    let machine = Machine::connected(small());
    // Two regions, one descriptor.
    let mut body = Vec::from(2u32.to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    for region in machine.guest.table() {
        let fields = [
            region.guest_phys_addr,
            region.memory_size,
            region.userspace_addr,
            region.mmap_offset,
        ];
        fields
            .iter()
            .for_each(|field| body.extend_from_slice(&field.to_le_bytes()));
    }
    let mut stream = machine.raw_connection();
    let bytes = message(SET_MEM_TABLE, &body);
    stream
        .send_with_fd(&bytes[..], machine.guest.file.as_raw_fd())
        .unwrap();
    let mut reply = [0; 20];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply[12..], 1u64.to_le_bytes(), "the message is refused");
    let ended = machine.disconnect();
    assert!(ended.is_err(), "the daemon says why it gave up");
    another_is_served();
}

#[test]
fn config_offset_overflow() {
    let mut machine = Machine::connected(small());
    for (offset, bytes) in [(0, 256), (255, 1), (72, 184), (8, 8)] {
        assert_eq!(machine.config_space(offset, bytes).len(), bytes as usize);
    }
    let get = |offset: u32, bytes: u32| {
        let words: Vec<u8> = [offset, bytes, 0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        message(GET_CONFIG, &[words, vec![0; bytes as usize]].concat())
    };
    // What is not there is answered with size 0, which means an error.
    let mut stream = machine.raw_connection();
    for (offset, bytes) in [(256, 1), (1, 256), (4000, 8)] {
        stream.write_all(&get(offset, bytes)).unwrap();
        let mut reply = [0; 24];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[16..20], [0; 4], "{offset} {bytes}");
    }
    assert_eq!(machine.config_space(0, 72).len(), 72);
    // An end beyond 2^32 makes the message malformed.
    stream.write_all(&get(u32::MAX - 3, 8)).unwrap();
    assert_eq!(
        stream.read(&mut [0; 24]).unwrap(),
        0,
        "the connection is given up"
    );
    assert!(machine.disconnect().is_err());
    another_is_served();
}

#[test]
fn mem_table_shrinks_in_flight() {
    let mut driver = Driver::ready(Machine::started(small()));
    let bytes = 8 << 20;
    let object = driver.object(bytes).device_address;
    let bytes = bytes as u32;
    let table = driver.guest.table();
    for _ in 0..20 {
        let high = 64 << 20;
        let segments = [(DATA, bytes - (2 << 20)), (high, 2 << 20)];
        let submission = driver.submit(&[transfer_out(object, bytes)], &segments);
        driver.front_end.set_mem_table(&table[..1]).unwrap();
        let status = driver.finish(submission).status;
        assert!(
            [Status::Ok, Status::BadAddress]
                .map(Status::code)
                .contains(&status)
        );
        let gone = driver.run(&[transfer_out(object, 4096)], &[(high, 4096)]);
        assert_eq!(gone, Status::BadAddress);
        driver.front_end.set_mem_table(&table).unwrap();
    }
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

/// A table that names more than its file has is refused.
#[test]
fn memory_file_truncated() {
    let machine = Machine::connected(small());
    let table = machine.guest.table();
    machine.guest.file.set_len(16 << 20).unwrap();
    assert!(machine.front_end.set_mem_table(&table).is_err());
    assert!(machine.disconnect().is_err());
    another_is_served();
}

#[test]
fn disconnect_mid_message() {
    for cut in [1, 4, 11, 13, 15, 19] {
        let machine = Machine::connected(small());
        let bytes = message(SET_MEM_TABLE, &[0; 8]);
        machine.raw_connection().write_all(&bytes[..cut]).unwrap();
        // Without a whole header it is an end, with one a broken message.
        assert_eq!(machine.disconnect().is_ok(), cut < HEADER_BYTES);
    }
    another_is_served();
}

#[test]
fn messages_of_any_bytes() {
    for seed in 1..60u64 {
        let machine = Machine::connected(small());
        let body = pattern(seed, (seed * 3 % 80) as usize);
        let request = (seed % 45) as u32;
        let mut stream: UnixStream = machine.raw_connection();
        // The daemon may have closed its end already.
        let _ = stream.write_all(&message(request, &body));
        drop(stream);
        // However it ends, it ends.
        let _ = machine.disconnect();
    }
    another_is_served();
}
