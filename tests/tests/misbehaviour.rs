//! Cards that turn against their driver: it answers with errors, and neither
//! the guest nor the driver come to harm.

// A helper of tests stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use augur_e2e::{Builder, TestGuest};

const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;

fn turn(guest: &mut TestGuest, signal: i32) {
    guest.guest().cards_mut()[0].process().signal(signal);
}

/// Lets programs use a card that misbehaves; afterwards the driver can be
/// unloaded, which frees all that it has, and loaded for an honest card.
fn endure(how: &str, lost: bool) {
    let mut guest = Builder::new(how).misbehaving(how).aperture("16M").boot();
    guest.shell("echo 1000 >/sys/module/augur/parameters/control_timeout_ms; echo 500 >/sys/module/augur/parameters/tdr_timeout_ms; echo 2000 >/sys/module/augur/parameters/fault_timeout_ms");
    guest.succeed(&["augur-test", "smoke"]);
    let touching = guest.begin_until(&["augur-test", "endure-touch"], "READY");
    let running = guest.begin_until(&["augur-test", "endure"], "READY");
    turn(&mut guest, SIGUSR1);
    let (code, said) = guest.wait_end(&running);
    assert_eq!(code, 0, "{said}");
    let (code, said) = guest.wait_end(&touching);
    // Its memory may be gone.
    assert!(code == 0 || code == 128 + 7, "{code}: {said}");
    let state = guest.shell("augur-test smoke >/dev/null 2>&1 && echo works || echo lost");
    assert!(!lost || state == "lost\n", "{how}: the card {state}");

    turn(&mut guest, SIGUSR2);
    guest.shell("rmmod augur; insmod /lib/modules/augur.ko");
    guest.succeed(&["augur-test", "smoke", "zeroed"]);
    guest.finish();
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
    let mut guest = Builder::new("hang").misbehaving("hang").boot();
    let job = guest.begin_until(&["augur-test", "card-keeps-list"], "READY");
    turn(&mut guest, SIGUSR1);
    guest.wait_for(&job, "KEPT");
    turn(&mut guest, SIGUSR2);
    let (code, said) = guest.wait_end(&job);
    assert_eq!(code, 0, "{said}");
    guest.shell("rmmod augur; insmod /lib/modules/augur.ko");
    guest.succeed(&["augur-test", "smoke"]);
    guest.finish();
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
    guest.shell("echo 3000 >/sys/module/augur/parameters/control_timeout_ms");
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
