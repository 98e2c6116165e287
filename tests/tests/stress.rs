// SPDX-License-Identifier: MIT OR Apache-2.0
//! A long run that is not part of the others: `make stress`.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use augur_e2e::Builder;
use serde_json::json;

/// How long it takes, unless `AUGUR_STRESS_MINUTES` says otherwise.
const MINUTES: u64 = 10;

fn duration() -> Duration {
    let minutes = std::env::var("AUGUR_STRESS_MINUTES")
        .ok()
        .and_then(|minutes| minutes.parse().ok())
        .unwrap_or(MINUTES);
    Duration::from_secs(60 * minutes)
}

#[test]
#[ignore = "takes ten minutes: make stress"]
fn reloads_resets_removals_and_kills_leave_no_trace() {
    let mut guest = Builder::new("stress").aperture("16M").boot();
    let began = Instant::now();
    let mut turns = 0;
    while began.elapsed() < duration() {
        let seed = turns.to_string();
        let touching = guest
            .machine()
            .begin(&[
                "augur-test",
                "--seed",
                &seed,
                "--bytes",
                "64M",
                "random-touch",
            ])
            .unwrap();
        guest.succeed(&["augur-test", "lists", "timelines", "mmap-fork"]);
        let (code, said) = guest.wait_end(&touching);
        assert_eq!(code, 0, "{said}");
        // It compares the books of before and after, so nothing else runs.
        guest.succeed(&["augur-test", "--seed", &seed, "--rounds", "1000", "churn"]);
        guest.succeed(&["augur-test", "hang", "killed-in-dma"]);
        // A program that still has the card's old file makes the next one's number
        // another.
        match turns % 4 {
            0 => guest.shell("rmmod augur; insmod /lib/modules/augur.ko"),
            1 => guest.shell(
                "d=$(readlink -f /sys/class/accel/accel*/device); v=$(basename $d); \
                 augur-test dma-endless >/dev/null 2>&1 & sleep 1; \
                 echo $v >/sys/bus/virtio/drivers/augur/unbind; \
                 echo $v >/sys/bus/virtio/drivers/augur/bind; wait; true",
            ),
            2 => guest.shell(
                "p=$(readlink -f /sys/class/accel/accel*/device/..); \
                 augur-test dma-endless >/dev/null 2>&1 & sleep 1; echo 1 >$p/remove; \
                 echo 1 >/sys/bus/pci/rescan; \
                 until ls /dev/accel/accel* >/dev/null 2>&1; do sleep 0.1; done; wait; true",
            ),
            _ => {
                guest.begin_until(&["augur-test", "dma-endless"], "READY round");
                let complaints = guest.machine().kernel_warnings();
                assert!(complaints.is_empty(), "{complaints:#?}");
                guest.machine().qmp().forget_events().unwrap();
                guest
                    .machine()
                    .qmp()
                    .execute("system_reset", json!({}))
                    .unwrap();
                guest.wait_for_reboot();
                String::new()
            }
        };
        guest.succeed(&["augur-test", "smoke", "zeroed"]);
        turns += 1;
    }
    println!("{turns} turns in {:?}", began.elapsed());
    guest.finish();
}
