// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects that commands use together come to lie side by side, memory in pieces
//! becomes whole, and nobody sees a byte of it move.

use std::time::{Duration, Instant};

use augur_abi::control::{ObjectDestroyRequest, Request};
use augur_abi::{DataType, Status};
use augur_card::CardConfig;

use crate::driver::{Driver, PATIENCE, dense, pattern, small};
use crate::lists::{add, bytes_of, counters, fill, floats, load, store, whole_numbers};

/// Lets the card move things until there has been enough of it.
fn until(driver: &mut Driver, mut enough: impl FnMut(&mut Driver) -> bool) {
    let start = Instant::now();
    while !enough(driver) {
        assert!(start.elapsed() < PATIENCE, "{:?}", counters(driver));
        driver.handle_events();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Uses so much other memory that all windows are of that.
fn sweep(driver: &mut Driver, filler: u64, bytes: u64) {
    for at in (0..bytes).step_by(16 << 10) {
        driver.touch(filler + at, false);
    }
}

/// Twice the aperture.
const FILLER: u64 = 2 << 20;

fn destroy(driver: &Driver, object: u64) {
    let body = zerocopy::IntoBytes::as_bytes(&ObjectDestroyRequest { object }).to_vec();
    let gone = driver.ask::<[u8; 0]>(Request::ObjectDestroy, driver.context, &body);
    assert_eq!(gone, Ok([]));
}

#[test]
fn what_commands_use_together_comes_to_lie_side_by_side_while_they_run() {
    const ELEMENTS: u32 = 16 << 10;
    const BYTES: usize = ELEMENTS as usize * 4;
    let mut driver = Driver::start(CardConfig {
        compute_engines: 2,
        ..small()
    });
    // Each third object is used with the others like it; what lies between is not.
    let mut used = Vec::new();
    let mut between = Vec::new();
    for _ in 0..4 {
        used.push(driver.object(BYTES as u64).device_address);
        between.push(driver.object(200 << 10).device_address);
    }
    let [a, b, sum, other] = used[..] else {
        unreachable!()
    };
    let values = [whole_numbers(1, BYTES / 4), whole_numbers(2, BYTES / 4)];
    store(&mut driver, a, &bytes_of(&values[0]));
    store(&mut driver, b, &bytes_of(&values[1]));
    let untouched = pattern(7, 200 << 10);
    store(&mut driver, between[1], &untouched);
    // 64 ranges, so that the list has enough commands to be held as a whole.
    let part = ELEMENTS / 8;
    let range = |object: u64, at: u32| floats(object + u64::from(at * part) * 4, &[part]);
    let list: Vec<_> = (0..8)
        .flat_map(|at| {
            [
                add(range(sum, at), range(a, at), range(b, at)),
                add(range(other, at), range(sum, at), range(a, at)),
            ]
        })
        .collect();
    let held = |driver: &mut Driver| {
        let before = counters(driver);
        assert_eq!(driver.run(&list, &[]).status, Status::Ok.code());
        let after = counters(driver);
        (
            after.held_ranges - before.held_ranges,
            after.held_runs - before.held_runs,
        )
    };
    let filler = driver.object(FILLER).device_address;
    sweep(&mut driver, filler, FILLER);
    // What takes long is held more than once.
    let (ranges, runs) = held(&mut driver);
    assert!(ranges >= 4 && runs == ranges, "{runs} of {ranges}");
    let mut round = 0;
    let mut input = values[0].clone();
    until(&mut driver, |driver| {
        // The guest changes an input through its window, wherever that lies.
        let at = (round * 4099) % input.len();
        input[at] = (round % 8) as f32;
        let page = at / 1024 * 1024;
        let bytes = bytes_of(&input[page..page + 1024]);
        store(driver, a + page as u64 * 4, &bytes);
        held(driver);
        let wanted: Vec<f32> = (input.iter().zip(&values[1]))
            .map(|(a, b)| 2.0 * a + b)
            .collect();
        let found = load(driver, other, BYTES);
        assert!(found == bytes_of(&wanted), "round {round}");
        round += 1;
        counters(driver).relocations >= 4
    });
    sweep(&mut driver, filler, FILLER);
    let (ranges, runs) = held(&mut driver);
    assert!(ranges >= 4 && runs * 4 == ranges, "{runs} of {ranges}");
    assert!(load(&mut driver, between[1], untouched.len()) == untouched);
    assert!(load(&mut driver, b, BYTES) == bytes_of(&values[1]));
    let moved = counters(&driver).relocated_bytes;
    // None of them twice; it does not go on.
    assert_eq!(moved, 4 * BYTES as u64);
}

#[test]
fn memory_is_not_used_far_above_the_most_that_has_lived_at_once() {
    const EACH: u64 = 64 << 10;
    let mut driver = Driver::start(small());
    let objects: Vec<_> = (0..256).map(|_| driver.object(EACH)).collect();
    let bytes = |seed: u64| pattern(seed, 4096);
    for (at, object) in objects.iter().enumerate() {
        store(&mut driver, object.device_address + 4096, &bytes(at as u64));
    }
    for object in objects.iter().step_by(2) {
        destroy(&driver, object.object);
    }
    // None of these fits where one of those was.
    let large: Vec<_> = (0..60).map(|_| driver.object(2 * EACH)).collect();
    for object in &large {
        let end = object.device_address + 2 * EACH - 4096;
        let list = [fill(dense(end, DataType::U8, &[4096]), 9)];
        assert_eq!(driver.run(&list, &[]).status, Status::Ok.code());
    }
    let peak = counters(&driver).peak_object_bytes;
    assert_eq!(peak, 256 * EACH);
    assert!(counters(&driver).home_end_bytes * 20 > peak * 23);
    until(&mut driver, |driver| {
        counters(driver).home_end_bytes * 20 <= peak * 23
    });
    for (at, object) in objects.iter().enumerate().skip(1).step_by(2) {
        let found = load(&mut driver, object.device_address + 4096, 4096);
        assert!(found == bytes(at as u64), "object {at}");
        assert_eq!(load(&mut driver, object.device_address, 4096), [0; 4096]);
    }
    for object in &large {
        let end = object.device_address + 2 * EACH - 4096;
        assert_eq!(load(&mut driver, end, 4096), [9; 4096]);
        assert_eq!(load(&mut driver, object.device_address, 4096), [0; 4096]);
    }
    let moved = counters(&driver).relocated_bytes;
    assert!(moved <= peak, "{moved} of {peak}");
}

#[test]
fn an_object_that_had_to_be_allocated_in_pieces_becomes_one() {
    const EACH: u64 = 1 << 20;
    let mut driver = Driver::start(CardConfig {
        compute_engines: 1,
        ..small()
    });
    // 63 MiB at home.
    let objects: Vec<_> = (0..62).map(|_| driver.object(EACH)).collect();
    for object in objects.iter().step_by(2) {
        destroy(&driver, object.object);
    }
    let large = driver.object(8 * EACH);
    let address = large.device_address;
    let value = pattern(3, 4096);
    store(&mut driver, address + 8192, &value);
    for object in [&objects[1], &objects[3]] {
        sweep(&mut driver, object.device_address, EACH);
    }
    let list = [fill(dense(address + EACH, DataType::U8, &[7 << 20]), 5)];
    let runs = |driver: &mut Driver| {
        let before = counters(driver).held_runs;
        assert_eq!(driver.run(&list, &[]).status, Status::Ok.code());
        counters(driver).held_runs - before
    };
    assert_eq!(runs(&mut driver), 7);
    for object in objects.iter().skip(5).step_by(2) {
        destroy(&driver, object.object);
    }
    until(&mut driver, |driver| {
        counters(driver).relocated_bytes >= 8 * EACH
    });
    assert_eq!(runs(&mut driver), 1);
    assert_eq!(load(&mut driver, address + 8192, 4096), value);
    assert_eq!(load(&mut driver, address, 4096), [0; 4096]);
    assert_eq!(load(&mut driver, address + 5 * EACH, 4096), [5; 4096]);
    assert_eq!(
        load(&mut driver, address + 8 * EACH - 4096, 4096),
        [5; 4096]
    );
}
