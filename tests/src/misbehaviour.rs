// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards that turn against their driver while programs use them.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::LIMIT;
use crate::{Builder, TestGuest};

/// The card begins to misbehave.
pub const SIGUSR1: i32 = 10;
/// It behaves again.
pub const SIGUSR2: i32 = 12;

/// Signals the card's process, and waits until it has turned.
pub fn turn(guest: &mut TestGuest, signal: i32) {
    let turns = |log: &Path| {
        let said = fs::read_to_string(log).unwrap();
        said.matches("the card has turned").count()
    };
    let card = &mut guest.guest().cards_mut()[0];
    let before = turns(card.log());
    card.process().signal(signal);
    let began = Instant::now();
    while turns(card.log()) == before {
        assert!(began.elapsed() < LIMIT, "the card did not turn");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Lets programs use a card that misbehaves; afterwards the driver can be
/// unloaded, which frees all that it has, and loaded for an honest card.
#[must_use]
pub fn endure(builder: Builder, how: &str, lost: bool) -> TestGuest {
    let mut guest = builder.misbehaving(how).boot();
    guest.succeed(&["augur-test", "smoke"]);
    let touching = guest.begin_until(&["augur-test", "endure-touch"], "READY");
    let running = guest.begin_until(&["augur-test", "endure"], "READY");
    turn(&mut guest, SIGUSR1);
    // Only now: on a busy host an honest card may well take as long. The programs go on
    // for seconds after this.
    guest.shell(
        "cd /sys/module/augur/parameters; echo 1000 >control_timeout_ms; \
         echo 500 >tdr_timeout_ms; echo 2000 >fault_timeout_ms; touch /tmp/turned",
    );
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
    guest
}

/// Has the card keep a list for itself, whose fence alone fails.
#[must_use]
pub fn keep_a_list(builder: Builder) -> TestGuest {
    let mut guest = builder.misbehaving("hang").boot();
    let job = guest.begin_until(&["augur-test", "card-keeps-list"], "READY");
    turn(&mut guest, SIGUSR1);
    guest.wait_for(&job, "KEPT");
    turn(&mut guest, SIGUSR2);
    let (code, said) = guest.wait_end(&job);
    assert_eq!(code, 0, "{said}");
    guest.shell("rmmod augur; insmod /lib/modules/augur.ko");
    guest.succeed(&["augur-test", "smoke"]);
    guest
}
