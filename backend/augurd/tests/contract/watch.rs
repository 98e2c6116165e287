// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers that look for work before they sleep, and a driver that kicks only when
//! it is asked to: it is served without kicks as long as somebody looks, and never
//! waits in vain when nobody does.

use std::time::Duration;

use augur_abi::command::FillParams;
use augur_abi::config::{QUEUE_CONTROL, QUEUE_SUBMIT};
use augur_abi::{Opcode, Status};
use zerocopy::IntoBytes as _;

use crate::fixture::*;

/// Much longer than a request takes; rings are started when it is over.
const LONG: Duration = Duration::from_millis(200);
const OBJECT_BYTES: u32 = 1 << 20;

/// A driver that kicks when it is asked to, with an object.
fn sparing(busy_poll: Duration) -> (Driver, u64) {
    let mut machine = Machine::watched(small(), busy_poll);
    machine.start();
    let mut driver = Driver::probed(machine);
    for queue in &mut driver.queues {
        queue.sparing = true;
    }
    let mut driver = driver.greeted();
    let object = driver.object(OBJECT_BYTES.into()).device_address;
    (driver, object)
}

fn fills(object: u64, count: usize) -> Vec<Vec<u8>> {
    let fill = || {
        let parameters = FillParams { value: 7 };
        command(Opcode::Fill, parameters.as_bytes(), &[dense(object, 64)])
    };
    std::iter::repeat_with(fill).take(count).collect()
}

/// Runs a list of so many commands on a submit queue.
fn run(driver: &mut Driver, queue: usize, object: u64, commands: usize) {
    let submission = driver.submit_to(queue, &fills(object, commands), &[]);
    assert_eq!(driver.finish(submission).status, Status::Ok.code());
}

fn kicks(driver: &Driver) -> u32 {
    let asked = [QUEUE_CONTROL, QUEUE_SUBMIT, QUEUE_SUBMIT + 1];
    let queues = asked.map(|number| driver.queues[usize::from(number)].kicks);
    queues.iter().sum()
}

#[test]
fn requests_by_turns_need_no_kicks_while_a_worker_watches() {
    let (mut driver, object) = sparing(LONG);
    let by_turns = |driver: &mut Driver| {
        run(driver, 0, object, 1);
        driver.counters();
        run(driver, 1, object, 1);
        driver.counters();
    };
    // Until every queue is started and somebody watches.
    (0..3).for_each(|_| by_turns(&mut driver));
    let before = kicks(&driver);
    let requests = 4 * 100;
    (0..100).for_each(|_| by_turns(&mut driver));
    // None, unless the whole process stood still for longer than anybody watches.
    let needed = kicks(&driver) - before;
    assert!(
        needed < requests / 8,
        "{needed} kicks for {requests} requests"
    );
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn what_is_long_is_left_to_the_worker_whose_it_is() {
    let (mut driver, object) = sparing(LONG);
    run(&mut driver, 0, object, 1);
    // Its worker is the one that watches from now on.
    driver.counters();
    driver.counters();
    for _ in 0..20 {
        run(&mut driver, 0, object, 100);
        driver.counters();
        driver.object(4096);
    }
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn a_driver_that_kicks_when_asked_never_waits_in_vain() {
    for busy_poll in [0, 20, 200] {
        let (mut driver, object) = sparing(Duration::from_micros(busy_poll));
        let mut state = busy_poll + 1;
        for _ in 0..1000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let number = (state >> 40) as usize;
            match (state >> 33) % 8 {
                0 => drop(driver.object(4096)),
                1 => run(&mut driver, number % 2, object, 100),
                2 | 3 => run(&mut driver, number % 2, object, 1),
                4 => drop(driver.load(object + (number as u64 % 256) * 4096, 1)),
                5 => std::thread::sleep(Duration::from_micros(number as u64 % 400)),
                6 => {
                    // Both sides at once.
                    let submission = driver.submit_to(number % 2, &fills(object, 100), &[]);
                    driver.counters();
                    assert_eq!(driver.finish(submission).status, Status::Ok.code());
                }
                _ => drop(driver.counters()),
            }
        }
        driver.serves_a_good_driver_afterwards();
    }
}
