// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver under a kernel that watches it: `make debug-kernel`. KASAN, UBSAN,
//! lockdep and kmemleak see what other kernels do not; fault injection lets
//! allocations fail. Not among the ordinary tests: the kernel is compiled first.

#![allow(clippy::unwrap_used)]

use augur::build::tool_root::Kernel;
use augur_e2e::{Builder, TestGuest, misbehaviour};

fn builder(name: &str) -> Builder {
    Builder::new(name)
        .kernel(Kernel::Debug)
        .memory("2G")
        .aperture("16M")
}

fn boot(name: &str) -> TestGuest {
    builder(name).boot()
}

/// Ends a test: the driver goes, and nothing of its memory is left.
fn finish(guest: TestGuest) {
    // The first scan finds candidates, those of the second are leaks.
    let leaks = guest.shell(
        "rmmod augur; echo scan >/sys/kernel/debug/kmemleak; sleep 6; \
         echo scan >/sys/kernel/debug/kmemleak; cat /sys/kernel/debug/kmemleak",
    );
    assert!(!leaks.contains("augur"), "{leaks}");
    guest.finish();
}

#[test]
#[ignore = "compiles a kernel: make debug-kernel"]
fn ordinary_use_is_clean() {
    let guest = boot("debug-ordinary");
    guest.succeed(&[
        "augur-test",
        "probe",
        "smoke",
        "mmap",
        "mmap-fork",
        "mmap-move",
        "lists",
        "object-wait",
        "advice",
        "dma-buf",
        "dma-buf-import",
        "timelines",
        "futures",
        "reset",
    ]);
    finish(guest);
}

#[test]
#[ignore = "compiles a kernel: make debug-kernel"]
fn faults_evictions_and_kills_are_clean() {
    let guest = boot("debug-busy");
    guest.succeed(&["augur-test", "--touches", "400", "random-touch"]);
    guest.succeed(&["augur-test", "--rounds", "60", "churn"]);
    guest.succeed(&[
        "augur-test",
        "killed-in-dma",
        "hang",
        "ioctl-hostile",
        "submit-errors",
    ]);
    finish(guest);
}

#[test]
#[ignore = "compiles a kernel: make debug-kernel"]
fn failed_allocations_give_errors_and_leak_nothing() {
    let guest = boot("debug-failures");
    // Allocations of the test program fail, in the driver and around it, one in
    // fifty: it ends with an error or well, the kernel goes on, and nothing is left.
    guest.shell(
        "cd /sys/kernel/debug/failslab; echo Y >task-filter; echo 2 >probability; \
         echo -1 >times; echo 0 >verbose; echo N >ignore-gfp-wait; \
         for round in 1 2 3 4 5 6 7 8 9 10; do \
           sh -c 'echo 1 >/proc/self/make-it-fail; exec augur-test smoke lists dma-buf' \
             >/dev/null 2>&1 || true; \
         done; echo 0 >probability",
    );
    guest.succeed(&["augur-test", "smoke", "zeroed"]);
    finish(guest);
}

#[test]
#[ignore = "compiles a kernel: make debug-kernel"]
fn cards_that_misbehave_are_endured_cleanly() {
    for (how, lost) in [
        ("used-id", true),
        ("used-range", true),
        ("used-long", false),
        ("used-short", false),
        ("windows", false),
        ("contexts", false),
        ("answers", false),
        ("silent", true),
    ] {
        let builder = builder(&format!("debug-{how}"));
        finish(misbehaviour::endure(builder, how, lost));
    }
    finish(misbehaviour::keep_a_list(builder("debug-hang")));
}
