// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which windows leave: those whose return costs least, by what the learning thread
//! found out of the class of each.

use std::thread;
use std::time::{Duration, Instant};

use augur_card::{CardConfig, PredictorMode};

use super::driver::*;
use super::prediction::{counters, report_touches};

/// The aperture has 64 windows. So many are needed again and again, in no order, ...
const AGAIN: u64 = 16;
/// ... and so many once, between two uses of each of the others, which by recency alone
/// would have left before the second.
const ONCE: u64 = 60;
/// Windows that are needed once, all together: hundreds of spans pass before the first
/// comes back.
const PASSING: u64 = 1 << 17;
const WINDOW: u64 = 16 << 10;
/// Rounds that are judged together.
const ROUNDS: u64 = 8;

#[test]
fn windows_that_are_needed_again_stay_and_those_that_pass_leave() {
    let mut driver = Driver::start(CardConfig {
        predictor: PredictorMode::Full,
        demand_window_bytes: WINDOW,
        memory_bytes: 4 << 30,
        // What is foreseen nevertheless takes a single window.
        speculative_bytes: WINDOW,
        ..small()
    });
    report_touches(&driver);
    let again = driver.object(AGAIN * WINDOW).device_address;
    let passing = driver.object(PASSING * WINDOW).device_address;
    let end = Instant::now() + PATIENCE;
    let (mut round, mut once) = (0, 0);
    let (mut dropped, mut pause) = (0, Duration::from_millis(1));
    loop {
        let mut stayed = 0;
        for _ in 0..ROUNDS {
            // An odd step visits each of a power of two once.
            let step = round * 6 % AGAIN + 5;
            round += 1;
            for place in 0..AGAIN {
                let address = again + (place * step + round) % AGAIN * WINDOW;
                driver.handle_events();
                stayed += u64::from(driver.has(address));
                driver.touch(address, false);
                thread::sleep(pause);
            }
            for _ in 0..ONCE {
                // Of period 2^17, and no difference is often the same.
                once = (once * 1_664_525 + 1_013_904_223) % PASSING;
                driver.touch(passing + once * WINDOW, false);
                thread::sleep(pause);
            }
        }
        // The learning thread takes its time, and what it is told beyond that is lost.
        let lost = counters(&driver).accesses_dropped;
        if lost > dropped {
            (dropped, pause) = (lost, pause * 2);
        }
        if stayed > ROUNDS * AGAIN / 3 {
            return;
        }
        assert!(
            Instant::now() < end,
            "only {stayed} of {} uses found their window",
            ROUNDS * AGAIN
        );
    }
}
