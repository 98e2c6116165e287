// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens to guest, driver and card when something stops, resets,
//! reloads, is killed, or is looked at by a debugger.

// A helper of tests stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use augur_e2e::debugger::Debugger;
use augur_e2e::fixture::LIMIT;
use augur_e2e::{Builder, TestGuest};
use augur_qemu::agent::Job;
use serde_json::json;

/// Transfers and checks them until it is stopped; fails at the first wrong byte.
const ENDLESS: [&str; 2] = ["augur-test", "dma-endless"];
/// What it prints now and then.
const ROUND: &str = "READY round";

/// Lets the endless transfers go on for a while, then ends them; they must
/// have found every byte right.
fn end_transfers(guest: &TestGuest, job: &Job) {
    guest.wait_for(job, ROUND);
    guest.machine().signal(job, 15).unwrap();
    let (code, said) = guest.wait_end(job);
    assert_eq!(code, 128 + 15, "{said}");
    guest.succeed(&["augur-test", "smoke"]);
}

#[test]
fn stop_and_cont_in_the_middle_of_dma_lose_nothing() {
    let guest = Builder::new("stop-cont").boot();
    let job = guest.begin_until(&ENDLESS, ROUND);
    for _ in 0..5 {
        guest.machine().qmp().execute("stop", json!({})).unwrap();
        let status = guest
            .machine()
            .qmp()
            .execute("query-status", json!({}))
            .unwrap();
        assert_eq!(status["status"], "paused");
        guest.machine().qmp().execute("cont", json!({})).unwrap();
        guest.wait_for(&job, ROUND);
    }
    end_transfers(&guest, &job);
    guest.finish();
}

#[test]
fn a_debugger_may_stop_the_guest_in_the_middle_of_dma() {
    let sockets = augur_qemu::sockets::folder().unwrap();
    let socket = sockets.path().join("gdb");
    let stub = format!("unix:{},server=on,wait=off", socket.display());
    let guest = Builder::new("debugger")
        .kernel_argument("nokaslr")
        .qemu(&["-gdb", &stub])
        .boot();
    let symbol = guest.shell("grep -w augur_ioctl_submit /proc/kallsyms");
    let address = u64::from_str_radix(symbol.split_whitespace().next().unwrap(), 16).unwrap();
    let job = guest.begin_until(&ENDLESS, ROUND);
    let mut debugger = Debugger::attach(&socket);
    for _ in 0..5 {
        debugger.breakpoint(address, true);
        debugger.resume();
        debugger.wait_stop();
        debugger.breakpoint(address, false);
        debugger.resume();
        guest.wait_for(&job, ROUND);
        debugger.interrupt();
    }
    debugger.detach();
    end_transfers(&guest, &job);
    guest.finish();
}

#[test]
fn the_driver_is_unloaded_and_loaded_twenty_times() {
    let guest = Builder::new("reload").boot();
    for _ in 0..20 {
        guest.shell("rmmod augur; test ! -e /dev/accel/accel0; insmod /lib/modules/augur.ko; augur-test smoke");
    }
    // Objects and mappings of a killed program must not hold the module.
    guest.begin_until(&ENDLESS, ROUND);
    guest.shell("kill -9 $(pidof augur-test); until rmmod augur 2>/dev/null; do sleep 0.1; done; insmod /lib/modules/augur.ko");
    guest.succeed(&["augur-test", "smoke"]);
    guest.finish();
}

#[test]
fn the_guest_is_reset_ten_times_some_of_them_in_the_middle_of_dma() {
    let mut guest = Builder::new("reboot").boot();
    for round in 0..10 {
        if round % 2 == 0 {
            guest.begin_until(&ENDLESS, ROUND);
        }
        guest.machine().qmp().forget_events().unwrap();
        if round % 4 < 2 {
            guest
                .machine()
                .qmp()
                .execute("system_reset", json!({}))
                .unwrap();
        } else {
            guest.machine().begin(&["reboot", "-f"]).unwrap();
        }
        guest.wait_for_reboot();
        guest.succeed(&["augur-test", "smoke"]);
    }
    guest.succeed(&["augur-test", "zeroed"]);
    guest.finish();
}

#[test]
fn a_program_killed_in_the_middle_of_dma_leaves_nothing_behind() {
    let guest = Builder::new("killed").boot();
    guest.succeed(&["augur-test", "killed-in-dma"]);
    guest.finish();
}

#[test]
fn short_lives_of_eight_processes_with_kills_leave_nothing_behind() {
    let guest = Builder::new("churn").aperture("16M").boot();
    guest.succeed(&["augur-test", "churn", "--rounds", "1000"]);
    guest.finish();
}

#[test]
fn memory_and_lists_survive_resets_of_the_card_and_suspends_of_the_guest() {
    let guest = Builder::new("recovery").boot();
    guest.succeed(&["augur-test", "reset", "suspend", "smoke"]);
    guest.finish();
}

#[test]
fn programs_hear_of_the_cards_death_within_seconds_and_the_guest_lives_on() {
    let mut guest = Builder::new("card-death").boot();
    let job = guest.begin_until(&["augur-test", "card-death"], "READY");
    guest.guest().cards_mut()[0].process().kill();
    let (code, said) = guest.wait_end(&job);
    assert_eq!(code, 0, "{said}");
    // The guest goes on without the card.
    assert_eq!(guest.shell("echo alive"), "alive\n");
    assert!(
        guest.machine().kernel_warnings().is_empty(),
        "{:?}",
        guest.machine().kernel_warnings()
    );
}

/// Pulls a card and waits until the guest has let go of it.
fn unplug(guest: &TestGuest, card: &str) {
    let mut qmp = guest.machine().qmp();
    qmp.execute("device_del", json!({ "id": card })).unwrap();
    let gone = qmp.wait_event("DEVICE_DELETED", LIMIT).unwrap();
    assert!(gone.is_some(), "the guest did not let go of the card");
}

#[test]
fn a_card_behind_its_root_port_can_be_unplugged() {
    let guest = Builder::new("unplug").cards(2).boot();
    unplug(&guest, "card1");
    guest.shell("test ! -e /dev/accel/accel1");
    guest.succeed(&["augur-test", "--device", "/dev/accel/accel0", "smoke"]);
    guest.finish();
}

/// What a program holds and does while its card is taken away.
const BUSY: [&str; 2] = ["augur-test", "removed"];

/// The card's device on the virtio bus, and of that on the PCI bus.
const PATHS: &str = "virtio=$(basename $(readlink -f /sys/class/accel/accel0/device)); \
                     pci=$(readlink -f /sys/class/accel/accel0/device/..)";

#[test]
fn the_driver_may_be_unbound_from_a_card_that_is_mapped_and_busy() {
    let guest = Builder::new("unbind").boot();
    for _ in 0..3 {
        let job = guest.begin_until(&BUSY, "READY");
        guest.shell(&format!(
            "{PATHS}; echo $virtio >/sys/bus/virtio/drivers/augur/unbind; \
             test ! -e /dev/accel/accel0; echo $virtio >/tmp/virtio"
        ));
        let (code, said) = guest.wait_end(&job);
        assert_eq!(code, 0, "{said}");
        guest.shell("echo $(cat /tmp/virtio) >/sys/bus/virtio/drivers/augur/bind");
        guest.succeed(&["augur-test", "smoke", "zeroed"]);
    }
    guest.shell("rmmod augur; insmod /lib/modules/augur.ko");
    guest.finish();
}

#[test]
fn a_busy_card_may_be_removed_from_the_bus_and_found_again() {
    let guest = Builder::new("remove").boot();
    let job = guest.begin_until(&BUSY, "READY");
    guest.shell(&format!(
        "{PATHS}; echo 1 >$pci/remove; test ! -e /dev/accel/accel0"
    ));
    let (code, said) = guest.wait_end(&job);
    assert_eq!(code, 0, "{said}");
    guest.shell("echo 1 >/sys/bus/pci/rescan; until test -e /dev/accel/accel0; do sleep 0.1; done");
    guest.succeed(&["augur-test", "smoke", "zeroed"]);
    guest.finish();
}

#[test]
fn a_busy_card_may_be_unplugged() {
    let guest = Builder::new("unplug-busy").boot();
    let job = guest.begin_until(&BUSY, "READY");
    unplug(&guest, "card0");
    let (code, said) = guest.wait_end(&job);
    assert_eq!(code, 0, "{said}");
    guest.shell("test ! -e /dev/accel/accel0; rmmod augur");
    guest.finish();
}
