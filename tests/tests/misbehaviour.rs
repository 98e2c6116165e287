// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards that turn against their driver: it answers with errors, and neither
//! the guest nor the driver come to harm.

// A helper of tests stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use augur_e2e::Builder;
use augur_e2e::misbehaviour::{self, SIGUSR1, SIGUSR2, turn};

/// Lets programs use a card that misbehaves, under the ordinary kernel.
fn endure(how: &str, lost: bool) {
    misbehaviour::endure(Builder::new(how).aperture("16M"), how, lost).finish();
}

#[test]
fn descriptors_that_are_not_in_flight_lose_the_card() {
    endure("used-id", true);
}

#[test]
fn descriptors_that_do_not_exist_lose_the_card() {
    endure("used-range", true);
}

#[test]
fn lengths_beyond_the_buffers_are_cut() {
    endure("used-long", false);
}

#[test]
fn empty_answers_are_errors() {
    endure("used-short", false);
}

#[test]
fn windows_outside_the_aperture_are_refused() {
    endure("windows", false);
}

#[test]
fn events_for_dead_contexts_are_ignored() {
    endure("contexts", false);
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    endure("answers", false);
}

#[test]
fn a_card_that_does_not_answer_is_lost() {
    endure("silent", true);
}

#[test]
fn a_list_that_the_card_keeps_fails_alone() {
    misbehaviour::keep_a_list(Builder::new("hang")).finish();
}

#[test]
fn waits_for_a_late_card_sleep_and_are_woken() {
    // Twelve processes at once: who looks at a ring keeps its interrupts off, and
    // others sleep until one.
    let mut guest = Builder::new("late")
        .misbehaving("late")
        .aperture("32M")
        .boot();
    turn(&mut guest, SIGUSR1);
    guest.succeed(&[
        "augur-test",
        "--processes",
        "12",
        "--bytes",
        "32M",
        "--touches",
        "100",
        "random-touch",
    ]);
    guest.succeed(&["augur-test", "lists", "wait", "--rounds", "40", "churn"]);
    guest.finish();
}

#[test]
fn an_answer_whose_interrupt_is_lost_counts() {
    let mut guest = Builder::new("quiet").misbehaving("quiet").boot();
    guest.shell("echo 1000 >/sys/module/augur/parameters/control_timeout_ms");
    turn(&mut guest, SIGUSR1);
    guest.shell("cat /sys/class/accel/accel0/device/npu_busy_time_us");
    turn(&mut guest, SIGUSR2);
    guest.succeed(&["augur-test", "smoke"]);
    guest.finish();
}
