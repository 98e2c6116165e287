// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest goes down in other ways than a reset: another kernel takes over, it sleeps,
//! or it is switched off.

// A helper of tests stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

use augur::build::tool_root::{Kernel, ToolRoot};
use augur::project::Project;
use augur_e2e::Builder;
use augur_e2e::fixture::LIMIT;
use serde_json::json;

/// Transfers and checks them until it is stopped.
const ENDLESS: [&str; 2] = ["augur-test", "dma-endless"];
/// What it prints now and then.
const ROUND: &str = "READY round";

/// What the second kernel starts first, after what the first one did to find the card.
const SECOND_LIFE: &str = "\
augur-test smoke zeroed >/dev/ttyS0 2>&1
echo \"second life: $?\" >/dev/ttyS0
# Sets nothing, but waits until all has been sent.
stty -F /dev/ttyS0 echo
poweroff -f
";

#[test]
fn another_kernel_takes_over_while_the_card_is_busy() {
    take_over(Kernel::Stable);
}

#[test]
fn another_backports_kernel_takes_over_while_the_card_is_busy() {
    take_over(Kernel::Backports);
}

fn take_over(version: Kernel) {
    let project = Project::find().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let starter = folder.path().join("kexec");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-ffreestanding"])
        .args(["-fno-pie", "-no-pie", "-nostdlib", "-static"])
        .args(["-fno-stack-protector", "-o"])
        .arg(&starter)
        .arg(project.path("tests/src/kexec.c"));
    let output = compiler.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}\n{said}");
    let kernel = folder.path().join("vmlinuz");
    let root = ToolRoot::with_kernel(&project, version).unwrap();
    fs::copy(root.kernel(), &kernel).unwrap();

    let guest = Builder::new("kexec")
        .kernel(version)
        .input(&starter)
        .input(&kernel)
        .boot();
    // The guest's own files, but for what is started first.
    guest.shell(&format!(
        "cd /
        find . -xdev ! -path './tmp/*' ! -path './input/*' ! -path './proc/*' \
            ! -path './sys/*' ! -path './dev/*' ! -path ./init | cpio -o -H newc >/tmp/initramfs
        mkdir /tmp/new
        cd /tmp/new
        sed '/hvc0/,$d' /init >init
        cat >>init <<'END'
{SECOND_LIFE}END
        chmod +x init
        echo init | cpio -o -H newc >>/tmp/initramfs
        cp /input/kexec /tmp
        chmod +x /tmp/kexec"
    ));
    guest.begin_until(&ENDLESS, ROUND);
    guest.machine().qmp().forget_events().unwrap();
    guest.machine().begin(&["/tmp/kexec"]).unwrap();
    let down = guest.machine().qmp().wait_event("SHUTDOWN", LIMIT).unwrap();
    let serial = fs::read_to_string(guest.machine().serial_log()).unwrap();
    assert!(down.is_some(), "no second life:\n{serial}");
    assert!(serial.contains("second life: 0"), "{serial}");
    let complaints = guest.machine().kernel_warnings();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_guest_sleeps_in_the_middle_of_dma_and_is_woken() {
    let guest = Builder::new("sleep").boot();
    let job = guest.begin_until(&ENDLESS, ROUND);
    guest.machine().qmp().forget_events().unwrap();
    let asleep = guest
        .machine()
        .begin(&["sh", "-c", "echo mem >/sys/power/state"])
        .unwrap();
    let event = guest.machine().qmp().wait_event("SUSPEND", LIMIT).unwrap();
    assert!(event.is_some(), "the guest does not go to sleep");
    let woken = guest.machine().qmp().execute("system_wakeup", json!({}));
    woken.unwrap();
    let (code, said) = guest.wait_end(&asleep);
    assert_eq!(code, 0, "{said}");

    // It goes on with what it began before, every byte checked.
    guest.wait_for(&job, ROUND);
    guest.machine().signal(&job, 15).unwrap();
    let (code, said) = guest.wait_end(&job);
    assert_eq!(code, 128 + 15, "{said}");
    guest.succeed(&["augur-test", "smoke", "zeroed"]);
    // QEMU 11.1 does not switch a guest off that has slept, with or without a card.
    let complaints = guest.machine().kernel_warnings();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_guest_is_switched_off_while_the_card_is_busy() {
    let mut guest = Builder::new("off").boot();
    guest.begin_until(&ENDLESS, ROUND);
    guest.begin_until(&ENDLESS, ROUND);
    guest.machine().qmp().forget_events().unwrap();
    guest.machine().begin(&["poweroff", "-f"]).unwrap();
    let down = guest.machine().qmp().wait_event("SHUTDOWN", LIMIT).unwrap();
    assert!(down.is_some(), "the guest stays on");
    let card = guest.guest().cards_mut()[0].process();
    let status = card.wait_at_most(LIMIT).unwrap();
    assert!(
        status.is_some_and(|status| status.success()),
        "the card's process ended with {status:?}"
    );
    let complaints = guest.machine().kernel_warnings();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
