// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver and the card from inside a guest: each subtest of `augur-test`
//! that needs nobody outside the guest.

use augur::build::tool_root::Kernel;
use augur_e2e::{Builder, TestGuest};

/// The card's PCI function: virtio's vendor, and 0x1040 + virtio id 38.
const VENDOR_AND_DEVICE: &str = "0x1af4 0x1066";

fn subtests(guest: &TestGuest, names: &[&str]) {
    let words: Vec<&str> = ["augur-test"].iter().chain(names).copied().collect();
    guest.succeed(&words);
}

#[test]
fn the_card_is_found_and_its_aperture_is_bar_4() {
    let guest = Builder::new("probe").aperture("64M").boot();
    subtests(&guest, &["probe"]);
    let script =
        "for d in /sys/bus/pci/devices/*; do echo \"$(cat $d/vendor) $(cat $d/device) $d\"; done";
    let devices = guest.shell(script);
    let card = devices
        .lines()
        .find_map(|line| line.strip_prefix(VENDOR_AND_DEVICE))
        .expect("the card is on the bus");
    let resources = guest.shell(&format!("cat {}/resource", card.trim()));
    let line = resources.lines().nth(4).unwrap();
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map(|number| u64::from_str_radix(&number[2..], 16).unwrap())
        .collect();
    assert_eq!(numbers[1] - numbers[0] + 1, 64 << 20, "{line}");
    // Behind a root port of its own: its address is on another bus than 0.
    assert!(!card.contains("0000:00:"), "{card}");
    guest.finish();
}

#[test]
fn memory_is_allocated_to_exhaustion_and_comes_back_zeroed() {
    let guest = Builder::new("memory").boot();
    subtests(&guest, &["exhaustion", "zeroed"]);
    guest.finish();
}

#[test]
fn dma_is_exact_at_odd_offsets_and_up_to_256_mib() {
    let guest = Builder::new("dma").memory("2G").boot();
    subtests(
        &guest,
        &["dma-odd", "dma-scatter", "dma-sizes", "--bytes", "256M"],
    );
    guest.finish();
}

#[test]
fn mappings_follow_the_rules_of_shared_memory() {
    let guest = Builder::new("mappings").boot();
    subtests(
        &guest,
        &[
            "mmap",
            "mmap-refused",
            "mmap-fork",
            "mmap-move",
            "mmap-kernel-access",
        ],
    );
    guest.finish();
}

#[test]
fn commands_compute_what_the_reference_computes() {
    let guest = Builder::new("commands").boot();
    subtests(&guest, &["commands", "engine-and-cpu", "list-order"]);
    guest.finish();
}

#[test]
fn programs_order_lists_by_timelines_and_wait_for_them_as_futures() {
    let guest = Builder::new("fences").boot();
    subtests(
        &guest,
        &["timelines", "futures", "submit-wait", "mmap-slices"],
    );
    guest.finish();
}

#[test]
fn contexts_are_isolated_and_malformed_requests_refused() {
    let guest = Builder::new("hostile").boot();
    subtests(
        &guest,
        &["isolation", "submit-errors", "ioctl-hostile", "wait"],
    );
    guest.finish();
}

#[test]
fn programs_say_what_comes_first_and_what_memory_is_for() {
    let guest = Builder::new("hints").aperture("16M").boot();
    subtests(&guest, &["lists", "object-wait", "priority", "advice"]);
    guest.finish();
}

#[test]
fn memory_is_shared_with_programs_cards_and_other_drivers() {
    let guest = Builder::new("sharing").cards(2).boot();
    subtests(&guest, &["dma-buf", "dma-buf-import", "dma-buf-cards"]);
    guest.finish();
}

#[test]
fn an_aperture_of_16_mib_serves_256_mib_touched_at_random_by_four_processes() {
    let guest = Builder::new("aperture").aperture("16M").boot();
    subtests(
        &guest,
        &["random-touch", "--bytes", "256M", "--processes", "4"],
    );
    guest.finish();
}

#[test]
fn two_cards_in_one_guest_do_not_disturb_each_other() {
    let guest = Builder::new("two-cards").cards(2).boot();
    let script = "augur-test --device /dev/accel/accel0 smoke dma-odd mmap & first=$!; \
                  augur-test --device /dev/accel/accel1 smoke dma-odd mmap; wait $first";
    guest.shell(script);
    guest.finish();
}

#[test]
fn the_driver_works_on_the_backports_kernel_as_well() {
    let guest = Builder::new("backports")
        .kernel(Kernel::Backports)
        .aperture("16M")
        .boot();
    let release = guest.shell("uname -r");
    let major: u32 = release.split('.').next().unwrap().parse().unwrap();
    assert!(major > 6, "{release}");
    subtests(&guest, &["--bytes", "48M"]);
    guest.finish();
}

#[test]
fn monitors_see_what_programs_use_and_the_card_does() {
    let guest = Builder::new("monitors").boot();
    subtests(&guest, &["fdinfo", "sensors", "debugfs", "tracepoints"]);
    guest.finish();
}

#[test]
fn a_list_without_progress_is_given_up_alone() {
    let guest = Builder::new("hangs").boot();
    subtests(&guest, &["hang", "hang-ban"]);
    guest.finish();
}
