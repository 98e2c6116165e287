// SPDX-License-Identifier: MIT OR Apache-2.0
//! The example of a second driver (`guest-driver/examples/minimal`) on the same
//! card: what its walk-through says, happens.

// What tests share stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use augur::build::driver;
use augur::build::tool_root::{Kernel, ToolRoot};
use augur::project::Project;
use augur_e2e::{Builder, TestGuest};

/// A guest that has not loaded the card's own driver, with the example.
fn boot(name: &str) -> TestGuest {
    let project = Project::find().unwrap();
    let root = ToolRoot::ensure(&project).unwrap();
    let module = driver::ensure(&project, Kernel::Stable, &root, driver::MINIMAL).unwrap();
    let guest = Builder::new(name)
        .kernel_argument("augur.driver=no")
        .input(&module)
        .boot();
    guest.shell("insmod /input/augur_minimal.ko; test -c /dev/augur-minimal0");
    guest
}

#[test]
fn a_byte_written_fills_the_page_that_is_read_through_the_aperture() {
    let guest = boot("minimal");
    // New memory reads as zero; then each fill is seen, the window staying.
    let script = "
        page() { od -An -v -tx1 -w1 /dev/augur-minimal0 | sort | uniq -c | tr -d ' '; }
        test \"$(page)\" = 409600
        for byte in x y z; do
            printf $byte >/dev/augur-minimal0
            test \"$(page)\" = \"4096$(printf $byte | od -An -tx1 | tr -d ' ')\"
        done";
    guest.shell(script);
    guest.finish();
}

#[test]
fn it_may_be_loaded_again_and_followed_by_the_cards_own_driver() {
    let guest = boot("minimal-reload");
    let script = "
        for round in 1 2 3; do
            printf a >/dev/augur-minimal0
            rmmod augur_minimal
            insmod /input/augur_minimal.ko
            # A new life of the driver: memory is zero again.
            test \"$(od -An -v -tx1 -N1 /dev/augur-minimal0 | tr -d ' ')\" = 00
        done
        rmmod augur_minimal
        insmod /lib/modules/augur.ko
        augur-test smoke";
    guest.shell(script);
    guest.finish();
}

#[test]
fn a_file_that_is_open_outlives_the_card() {
    let guest = boot("minimal-unbind");
    let script = "
        exec 3<>/dev/augur-minimal0
        printf a >&3
        device=$(ls /sys/bus/virtio/drivers/augur_minimal | grep ^virtio)
        echo $device >/sys/bus/virtio/drivers/augur_minimal/unbind
        test ! -e /dev/augur-minimal0
        ! printf a >&3
        ! cat <&3
        exec 3>&-
        echo $device >/sys/bus/virtio/drivers/augur_minimal/bind
        test -c /dev/augur-minimal0
        printf b >/dev/augur-minimal0
        rmmod augur_minimal";
    guest.shell(script);
    guest.finish();
}
