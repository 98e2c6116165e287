// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens when the virtual machine stops (QMP `stop`, a debugger) and goes
//! on, or reboots, at any moment.

use augur_abi::Status;
use augur_abi::control::{ObjectCreateRequest, Request};
use zerocopy::IntoBytes as _;

use crate::fixture::*;

const BYTES: u32 = 8 << 20;

/// A driver with 8 MiB of a pattern in an object.
fn loaded() -> (Driver, u64, Vec<u8>) {
    let mut driver = Driver::ready(Machine::started(small()));
    let data = pattern(9, BYTES as usize);
    let address = load(&mut driver, &data);
    (driver, address, data)
}

/// An object with this data.
fn load(driver: &mut Driver, data: &[u8]) -> u64 {
    let address = driver.object(BYTES.into()).device_address;
    driver.guest.write(DATA, data);
    assert_eq!(
        driver.run(&[transfer_in(address, BYTES)], &[(DATA, BYTES)]),
        Status::Ok
    );
    address
}

#[test]
fn a_transfer_goes_on_after_a_stop_and_nothing_is_written_during_it() {
    let (mut driver, address, data) = loaded();
    for round in 0..20 {
        driver.guest.fill(DATA, BYTES as usize, 0);
        let submission = driver.submit(&[transfer_out(address, BYTES)], &[(DATA, BYTES)]);
        // Stops at different points of the transfer, some before its start.
        let seen = |driver: &Driver| driver.guest.read(DATA + (round % 5) * (1 << 20), 1)[0] != 0;
        if round % 5 > 0 {
            wait_for("a part of the transfer", || seen(&driver).then_some(()));
        }
        driver.stop();
        let during = driver.guest.read(0, LOW_BYTES as usize);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(
            driver.guest.read(0, LOW_BYTES as usize) == during,
            "written while stopped"
        );
        driver.start();
        assert_eq!(driver.finish(submission).status, Status::Ok.code());
        assert!(
            driver.guest.read(DATA, BYTES as usize) == data,
            "round {round}"
        );
    }
    driver.works();
}

#[test]
fn requests_around_stops_are_all_answered_once() {
    let mut driver = Driver::ready(Machine::started(small()));
    let mut objects = 0;
    for _ in 0..50 {
        let create = ObjectCreateRequest {
            bytes: 4096,
            flags: 0,
        };
        driver.send(Request::ObjectCreate, driver.context, create.as_bytes());
        driver.stop();
        driver.start();
        driver.answer().unwrap();
        objects += 1;
        assert!(driver.queues[0].try_used().is_none());
    }
    assert_eq!(driver.counters().objects, objects);
    assert_eq!(driver.counters().lives, 1);
    driver.works();
}

#[test]
fn requests_that_were_made_while_stopped_are_answered_afterwards() {
    let mut driver = Driver::ready(Machine::started(small()));
    driver.stop();
    driver.send(Request::Counters, 0, &[]);
    assert!(driver.queues[0].try_used().is_none());
    driver.start();
    driver.answer().unwrap();
    driver.works();
}

#[test]
fn windows_and_their_contents_survive_a_stop() {
    let mut driver = Driver::ready(Machine::started(small()));
    let address = driver.object(1 << 20).device_address;
    driver.store(address, b"before the stop");
    driver.stop();
    driver.start();
    assert_eq!(
        driver.window.read(driver.windows[0].0.aperture_offset, 15),
        b"before the stop"
    );
    assert_eq!(
        *driver.window.log.lock().unwrap(),
        ["map", "barrier"],
        "mapped once"
    );
    driver.works();
}

/// A reboot in the middle of DMA: the memory belongs to another kernel then.
#[test]
fn reset_during_dma() {
    let (mut driver, mut address, data) = loaded();
    for round in 0..20 {
        driver.guest.fill(DATA, BYTES as usize, 0);
        driver.submit(&[transfer_out(address, BYTES)], &[(DATA, BYTES)]);
        if round % 4 > 0 {
            let at = DATA + (round % 4) * (1 << 20);
            wait_for("a part of the transfer", || {
                (driver.guest.read(at, 1)[0] != 0).then_some(())
            });
        }
        let mut machine = driver.into_machine();
        machine.stop();
        machine.guest.fill(DATA, BYTES as usize, 0x5a);
        machine.queues.iter_mut().for_each(Virtqueue::reset);
        machine.start();
        driver = Driver::probed(machine);
        // Whatever the card still did would show while it answers these.
        assert_eq!(
            driver.ask_bytes(Request::ContextCreate, 0, &[0; 24]),
            Err(Status::NoHello)
        );
        driver = driver.rebooted();
        let found = driver.guest.read(DATA, BYTES as usize);
        let written = found.iter().any(|&byte| byte != 0x5a);
        assert!(
            !written,
            "round {round}: the new kernel's memory was written"
        );
        assert!(
            driver.queues[2].try_used().is_none(),
            "a chain of the old life was used"
        );
        address = load(&mut driver, &data);
    }
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn reset_during_map() {
    let mut driver = Driver::ready(Machine::started(small()));
    for round in 0..30u64 {
        let object = driver.object(4 << 20);
        for page in 0..round * 8 {
            driver
                .fault(object.device_address + page * 4096, page % 2 == 0)
                .unwrap();
        }
        driver = driver.rebooted();
        let counters = driver.counters();
        assert_eq!(
            (
                counters.windows,
                counters.objects,
                counters.quarantined_bytes
            ),
            (0, 0, 0)
        );
    }
    driver.serves_a_good_driver_afterwards();
}

/// The same rings are reset twice, and without anybody having used them.
#[test]
fn double_reset() {
    let mut driver = Driver::ready(Machine::started(small()));
    driver.works();
    driver.reboot();
    driver.reboot();
    driver.stop();
    driver.stop();
    let driver = driver.rebooted();
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn reboot_100() {
    let mut driver = Driver::ready(Machine::started(small()));
    for _ in 0..100 {
        let object = driver.object(1 << 20);
        driver.store(object.device_address, b"x");
        driver.submit(
            &[transfer_out(object.device_address, 1 << 20)],
            &[(DATA, 1 << 20)],
        );
        driver = driver.rebooted();
    }
    let counters = driver.counters();
    assert_eq!(
        (counters.lives, counters.contexts, counters.objects),
        (101, 1, 0)
    );
    driver.serves_a_good_driver_afterwards();
}

/// A driver that goes away without a word while everything is in flight.
#[test]
fn unload_in_flight() {
    let (mut driver, address, _) = loaded();
    for _ in 0..8 {
        driver.submit(&[transfer_out(address, BYTES)], &[(DATA, BYTES)]);
        driver.fault(address, true).unwrap();
    }
    driver.send(Request::Counters, 0, &[]);
    driver.serves_a_good_driver_afterwards();
}
