// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that misuses the rings. Each test ends with a good driver being
//! served.

use augur_abi::control::{Request, RequestHeader, ResponseHeader};
use augur_abi::submit::SubmitStatus;
use augur_abi::{Status, submit::SubmitHeader};
use vhost::vhost_user::VhostUserFrontend as _;
use vhost::{VhostBackend as _, VringConfigData};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::fixture::*;

const CONTROL: usize = 0;
const SUBMIT: usize = 2;
/// Where the tests put a request, an answer and an indirect table.
const REQUEST: u64 = DATA;
const ANSWER: u64 = DATA + (64 << 10);
const TABLE: u64 = DATA + (128 << 10);

fn driver() -> Driver {
    let driver = Driver::ready(Machine::started(small()));
    let header = RequestHeader {
        opcode: Request::Counters.code(),
        ..RequestHeader::default()
    };
    driver.guest.write(REQUEST, header.as_bytes());
    driver
}

/// Makes chains of hand-made descriptors available on the control queue and
/// expects each to be used with length 0.
fn refused(driver: &mut Driver, heads: &[u16]) {
    let control = &mut driver.queues[CONTROL];
    for &head in heads {
        control.offer(head);
        control.notify();
        assert_eq!(control.wait_used(), (head.into(), 0));
    }
}

/// The same requests on the submit queue.
fn refused_submission(driver: &mut Driver, head: u16) {
    let submit = &mut driver.queues[SUBMIT];
    submit.offer(head);
    submit.notify();
    assert_eq!(submit.wait_used(), (head.into(), 0));
}

fn ends_well(mut driver: Driver) {
    // The same life goes on, and another one.
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn chain_self_loop() {
    let mut driver = driver();
    driver.queues[CONTROL].describe(5, REQUEST, 8, NEXT, 5);
    driver.queues[CONTROL].describe(6, ANSWER, 64, NEXT | WRITE, 6);
    driver.queues[SUBMIT].describe(5, REQUEST, 8, NEXT, 5);
    refused(&mut driver, &[5, 6]);
    refused_submission(&mut driver, 5);
    ends_well(driver);
}

#[test]
fn chain_two_cycle() {
    let mut driver = driver();
    driver.queues[CONTROL].describe(5, REQUEST, 8, NEXT, 6);
    driver.queues[CONTROL].describe(6, REQUEST, 8, NEXT, 5);
    driver.queues[CONTROL].describe(7, ANSWER, 8, NEXT | WRITE, 8);
    driver.queues[CONTROL].describe(8, ANSWER, 8, NEXT | WRITE, 7);
    refused(&mut driver, &[5, 6, 7]);
    ends_well(driver);
}

#[test]
fn chain_longer_than_queue() {
    let mut driver = driver();
    // Only an indirect table can be longer without a loop.
    let count = QUEUE_SIZE + 1;
    let control = &mut driver.queues[CONTROL];
    for index in 0..count {
        let next = if index + 1 < count { NEXT } else { 0 };
        control.describe_in(TABLE, index, ANSWER, 64, next | WRITE, index + 1);
    }
    control.describe(5, TABLE, 16 * u32::from(count), INDIRECT, 0);
    refused(&mut driver, &[5]);
    // One descriptor less is allowed: there is no request in it.
    let control = &mut driver.queues[CONTROL];
    control.describe_in(TABLE, QUEUE_SIZE - 1, ANSWER, 64, WRITE, 0);
    control.offer(5);
    control.notify();
    assert_eq!(control.wait_used(), (5, ResponseHeader::BYTES as u32));
    ends_well(driver);
}

#[test]
fn desc_next_out_of_range() {
    let mut driver = driver();
    for (head, next) in [(5, QUEUE_SIZE), (6, u16::MAX)] {
        driver.queues[CONTROL].describe(head, REQUEST, 8, NEXT, next);
    }
    refused(&mut driver, &[5, 6]);
    // In an indirect table, too.
    driver.queues[CONTROL].describe_in(TABLE, 0, REQUEST, 8, NEXT, 2);
    driver.queues[CONTROL].describe(5, TABLE, 32, INDIRECT, 0);
    refused(&mut driver, &[5]);
    ends_well(driver);
}

#[test]
fn avail_head_out_of_range() {
    let mut driver = driver();
    for number in [CONTROL, SUBMIT, 1] {
        for head in [QUEUE_SIZE, QUEUE_SIZE + 1, u16::MAX] {
            driver.queues[number].offer(head);
            driver.queues[number].notify();
        }
    }
    // There is nothing that such a head could be used as.
    driver.counters();
    ends_well(driver);
}

#[test]
fn avail_idx_jump() {
    let mut driver = driver();
    for number in [CONTROL, SUBMIT, 1] {
        let index = driver.queues[number].available_index();
        driver.queues[number].set_available_index(index.wrapping_add(QUEUE_SIZE + 1));
        driver.queues[number].notify();
        driver.queues[number].set_available_index(index.wrapping_add(0x7fff));
        driver.queues[number].notify();
        driver.queues[number].set_available_index(index);
    }
    ends_well(driver);
}

#[test]
fn avail_idx_backwards() {
    let mut driver = driver();
    for number in [CONTROL, SUBMIT, 1] {
        let index = driver.queues[number].available_index();
        driver.queues[number].set_available_index(index.wrapping_sub(1));
        driver.queues[number].notify();
        driver.queues[number].set_available_index(index);
    }
    ends_well(driver);
}

#[test]
fn indirect_in_indirect() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe_in(TABLE, 0, TABLE + 4096, 16, INDIRECT, 0);
    control.describe_in(TABLE + 4096, 0, ANSWER, 64, WRITE, 0);
    control.describe(5, TABLE, 16, INDIRECT, 0);
    // A table that names itself.
    control.describe_in(TABLE + 8192, 0, TABLE + 8192, 16, INDIRECT, 0);
    control.describe(6, TABLE + 8192, 16, INDIRECT, 0);
    refused(&mut driver, &[5, 6]);
    ends_well(driver);
}

#[test]
fn indirect_len_not_16() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe_in(TABLE, 0, ANSWER, 64, WRITE, 0);
    control.describe_in(TABLE, 1, ANSWER, 64, WRITE, 0);
    let lengths = [0, 1, 15, 17, 24, u32::MAX, 16 * 65536];
    for (head, length) in (5u16..).zip(lengths) {
        control.describe(head, TABLE, length, INDIRECT, 0);
    }
    let heads: Vec<u16> = (5..5 + lengths.len() as u16).collect();
    refused(&mut driver, &heads);
    ends_well(driver);
}

#[test]
fn zero_length_desc() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    // Between others they are nothing; alone there is no room for an answer.
    control.describe(5, REQUEST, 0, NEXT, 6);
    control.describe(6, REQUEST, 8, NEXT, 7);
    control.describe(7, HOLE, 0, NEXT | WRITE, 8);
    control.describe(8, ANSWER, 4096, WRITE, 0);
    control.offer(5);
    control.notify();
    let (head, bytes) = control.wait_used();
    assert!(head == 5 && bytes > ResponseHeader::BYTES as u32);
    control.describe(9, REQUEST, 0, NEXT, 10);
    control.describe(10, ANSWER, 0, WRITE, 0);
    refused(&mut driver, &[9, 10]);
    ends_well(driver);
}

#[test]
fn len_u32_max() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe(5, REQUEST, u32::MAX, NEXT, 6);
    control.describe(6, ANSWER, 64, WRITE, 0);
    control.describe(7, REQUEST, 8, NEXT, 8);
    control.describe(8, ANSWER, u32::MAX, WRITE, 0);
    driver.queues[SUBMIT].describe(5, REQUEST, u32::MAX, 0, 0);
    refused(&mut driver, &[5, 7]);
    refused_submission(&mut driver, 5);
    ends_well(driver);
}

#[test]
fn sum_len_overflow() {
    let mut driver = driver();
    // Every descriptor is in memory, all together are 2^32 bytes and more.
    let each = 16u32 << 20;
    let count = 257;
    let control = &mut driver.queues[CONTROL];
    for index in 0..count {
        let next = if index + 1 < count { NEXT } else { 0 };
        control.describe_in(TABLE, index, 0, each, next | WRITE, index + 1);
    }
    control.describe(5, TABLE, 16 * u32::from(count), INDIRECT, 0);
    refused(&mut driver, &[5]);
    // Readable, it is only too long a request: as much as may be is copied.
    let header = SubmitHeader {
        context: driver.context,
        ..SubmitHeader::default()
    };
    driver.guest.write(0, header.as_bytes());
    let each = 1u32 << 20;
    let count = QUEUE_SIZE - 1;
    let submit = &mut driver.queues[SUBMIT];
    for index in 0..count {
        submit.describe_in(TABLE, index, 0, each, NEXT, index + 1);
    }
    submit.describe_in(TABLE, count, ANSWER, SubmitStatus::BYTES as u32, WRITE, 0);
    submit.describe(5, TABLE, 16 * u32::from(count + 1), INDIRECT, 0);
    submit.offer(5);
    submit.notify();
    assert_eq!(submit.wait_used(), (5, SubmitStatus::BYTES as u32));
    let status = driver.guest.read(ANSWER, SubmitStatus::BYTES);
    let status = SubmitStatus::read_from_bytes(&status).unwrap();
    assert_eq!(status.status, Status::Invalid.code());
    ends_well(driver);
}

#[test]
fn addr_plus_len_wraps() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe(5, u64::MAX - 3, 8, NEXT, 6);
    control.describe(6, ANSWER, 64, WRITE, 0);
    control.describe(7, REQUEST, 8, NEXT, 8);
    control.describe(8, u64::MAX - 3, 64, WRITE, 0);
    control.describe(9, u64::MAX - 15, 32, INDIRECT, 0);
    refused(&mut driver, &[5, 7, 9]);
    ends_well(driver);
}

#[test]
fn addr_unmapped() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe(5, HOLE, 8, NEXT, 6);
    control.describe(6, ANSWER, 64, WRITE, 0);
    control.describe(7, REQUEST, 8, NEXT, 8);
    control.describe(8, 1 << 50, 4096, WRITE, 0);
    control.describe(9, HOLE + 4096, 64, INDIRECT, 0);
    refused(&mut driver, &[5, 7, 9]);
    ends_well(driver);
}

#[test]
fn span_crosses_hole() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe(5, LOW_BYTES - 4, 8, NEXT, 6);
    control.describe(6, ANSWER, 64, WRITE, 0);
    control.describe(7, REQUEST, 8, NEXT, 8);
    control.describe(8, LOW_BYTES - 32, 4096, WRITE, 0);
    control.describe(9, LOW_BYTES - 16, 32, INDIRECT, 0);
    control.describe_in(LOW_BYTES - 16, 0, ANSWER, 64, NEXT | WRITE, 1);
    refused(&mut driver, &[5, 7, 9]);
    // From below the hole to beyond it.
    let control = &mut driver.queues[CONTROL];
    control.describe(5, LOW_BYTES - 4096, 48 << 20, WRITE, 0);
    refused(&mut driver, &[5]);
    ends_well(driver);
}

#[test]
fn write_only_request() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe(5, ANSWER, 4096, WRITE, 0);
    control.offer(5);
    control.notify();
    // An empty request is a wrong one.
    assert_eq!(control.wait_used(), (5, ResponseHeader::BYTES as u32));
    let answer = driver.guest.read(ANSWER, ResponseHeader::BYTES);
    let header = ResponseHeader::read_from_bytes(&answer).unwrap();
    assert_eq!(header.status, Status::Invalid.code());
    // A readable one has no place for an answer; on the events queue neither.
    driver.queues[CONTROL].describe(6, REQUEST, 8, 0, 0);
    refused(&mut driver, &[6]);
    ends_well(driver);
}

#[test]
fn read_after_write_order() {
    let mut driver = driver();
    let control = &mut driver.queues[CONTROL];
    control.describe(5, ANSWER, 64, NEXT | WRITE, 6);
    control.describe(6, REQUEST, 8, 0, 0);
    control.describe(7, REQUEST, 4, NEXT, 8);
    control.describe(8, ANSWER, 64, NEXT | WRITE, 9);
    control.describe(9, REQUEST, 4, NEXT, 10);
    control.describe(10, ANSWER, 64, WRITE, 0);
    refused(&mut driver, &[5, 7]);
    ends_well(driver);
}

#[test]
fn same_head_twice_in_flight() {
    let mut driver = driver();
    let object = driver.object(8 << 20);
    let transfer = transfer_out(object.device_address, 8 << 20);
    let submission = driver.submit(&[transfer], &[(DATA, 8 << 20)]);
    let submit = &mut driver.queues[SUBMIT];
    for _ in 0..3 {
        submit.offer(submission.head);
    }
    submit.notify();
    // Each of them is used once; those that came while the first was in flight
    // did nothing.
    let mut used = Vec::new();
    wait_for("four used elements", || {
        used.extend(submit.all_used());
        (used.len() == 4).then_some(())
    });
    assert!(
        used.iter()
            .all(|&(head, _)| head == u32::from(submission.head))
    );
    assert!(
        used.iter()
            .any(|&(_, bytes)| bytes as usize == SubmitStatus::BYTES)
    );
    driver.serves_a_good_driver_afterwards();
}

/// The bytes of a submission change from the moment it is made available.
#[test]
fn header_changes_between_check_and_use() {
    let mut driver = driver();
    let object = driver.object(1 << 20);
    let header = SubmitHeader {
        context: driver.context,
        list_bytes: 128,
        command_count: 1,
        ..SubmitHeader::default()
    };
    let list = [
        header.as_bytes(),
        &transfer_out(object.device_address, 1 << 20),
    ]
    .concat();
    for round in 0..300u32 {
        driver.guest.write(REQUEST, &list);
        let submit = &mut driver.queues[SUBMIT];
        submit.describe(5, REQUEST, list.len() as u32, NEXT, 6);
        submit.describe(6, ANSWER, SubmitStatus::BYTES as u32, WRITE, 0);
        submit.offer(5);
        submit.notify();
        let guest = driver.guest.clone();
        let submit = &mut driver.queues[SUBMIT];
        let mut value = round;
        wait_for("the end of the list", || {
            for field in 0..6 {
                value = value.wrapping_mul(1664525).wrapping_add(1013904223);
                guest.write(REQUEST + 4 * field, &value.to_le_bytes());
            }
            submit.try_used()
        });
    }
    ends_well(driver);
}

#[test]
fn desc_rewritten_in_flight() {
    let mut driver = driver();
    let object = driver.object(8 << 20);
    let transfer = transfer_out(object.device_address, 8 << 20);
    let submission = driver.submit(&[transfer], &[(DATA, 8 << 20)]);
    // Once the chain has been taken, its descriptors have no meaning.
    wait_for("the chain to be taken", || {
        let started = driver.counters();
        (started.lists + started.commands > 0
            || driver.queues[SUBMIT].used_index() > 0
            || started.dma_out_bytes > 0)
            .then_some(())
    });
    for index in 0..QUEUE_SIZE {
        driver.queues[SUBMIT].describe(index, HOLE, u32::MAX, NEXT | WRITE, index);
    }
    assert_eq!(driver.finish(submission).status, Status::Ok.code());
    ends_well(driver);
}

#[test]
fn kick_storm() {
    let driver = driver();
    for _ in 0..100_000 {
        driver.queues[CONTROL].notify();
        driver.queues[1].notify();
        driver.queues[SUBMIT].notify();
    }
    ends_well(driver);
}

#[test]
fn kick_before_ready() {
    let mut machine = Machine::connected(small());
    // The kick descriptors without addresses, and kicks on them.
    machine
        .front_end
        .set_mem_table(&machine.guest.table())
        .unwrap();
    for number in 0..machine.queues.len() {
        let queue = &machine.queues[number];
        queue.notify();
        machine
            .front_end
            .set_vring_kick(number, &queue.kick)
            .unwrap();
        machine.front_end.set_vring_enable(number, true).unwrap();
        queue.notify();
    }
    machine.start();
    let mut driver = Driver::ready(machine);
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

/// Ring addresses and sizes are the guest's to set; nonsense stops the queue,
/// not the card.
#[test]
fn ring_setup_that_cannot_work() {
    let mut machine = Machine::connected(small());
    let table = machine.guest.table();
    machine.front_end.set_mem_table(&table).unwrap();
    let mut addresses = machine.addresses(CONTROL);
    addresses.used_ring_addr = machine.guest.host_address(LOW_BYTES - 1) + 1 - 4;
    for size in [48, QUEUE_SIZE] {
        machine.front_end.set_vring_num(CONTROL, size).unwrap();
        machine
            .front_end
            .set_vring_addr(CONTROL, &addresses)
            .unwrap();
        let kick = &machine.queues[CONTROL].kick;
        machine.front_end.set_vring_kick(CONTROL, kick).unwrap();
        machine.front_end.set_vring_enable(CONTROL, true).unwrap();
        machine.queues[CONTROL].notify();
        machine.stop();
    }
    machine.start();
    let mut driver = Driver::ready(machine);
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

/// QEMU hands on what the guest wrote, aligned or not, in guest memory or not. Nothing
/// is read from such a ring or written to it.
#[test]
fn rings_where_none_can_be() {
    let mut machine = Machine::connected(small());
    let table = machine.guest.table();
    // Where the card moves such rings.
    let place = table.last().unwrap().guest_phys_addr;
    machine.front_end.set_mem_table(&table).unwrap();
    // As an available ring: a chain of the empty descriptor 5. As a used ring: one was used.
    let mut begin = [0; 128];
    (begin[2], begin[4]) = (1, 5);
    machine.guest.write(place, &begin);
    let good = machine.addresses(CONTROL);
    let outside = machine.guest.host_address(0) - 4096;
    let misplaced: [fn(&mut VringConfigData, u64); 4] = [
        |addresses, _| addresses.desc_table_addr += 8,
        |addresses, _| addresses.avail_ring_addr += 1,
        |addresses, _| addresses.used_ring_addr += 2,
        |addresses, outside| addresses.desc_table_addr = outside,
    ];
    for misplace in misplaced {
        let mut addresses = good;
        misplace(&mut addresses, outside);
        let front_end = &machine.front_end;
        front_end.set_vring_num(CONTROL, QUEUE_SIZE).unwrap();
        front_end.set_vring_base(CONTROL, 0).unwrap();
        front_end.set_vring_addr(CONTROL, &addresses).unwrap();
        let kick = &machine.queues[CONTROL].kick;
        front_end.set_vring_kick(CONTROL, kick).unwrap();
        machine.front_end.set_vring_enable(CONTROL, true).unwrap();
        machine.queues[CONTROL].notify();
        machine.queues[CONTROL].wait_until_noticed();
        machine.stop();
        assert_eq!(machine.guest.read(place, begin.len()), begin);
    }
    machine.start();
    let mut driver = Driver::ready(machine);
    driver.works();
    driver.serves_a_good_driver_afterwards();
}
