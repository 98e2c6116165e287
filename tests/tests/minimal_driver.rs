// SPDX-License-Identifier: MIT OR Apache-2.0
//! The example of a second driver (`guest-driver/examples/minimal`) on the same
//! card: what its walk-through says, happens.

// What tests share stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use augur::build::driver;
use augur::build::tool_root::{Kernel, ToolRoot};
use augur::project::Project;
use augur_e2e::{Builder, TestGuest};

/// What scripts begin with: the example's file of the only card.
const FILE: &str = "fill=$(echo /sys/bus/virtio/drivers/augur_minimal/virtio*/fill)";

/// A guest that has not loaded the card's own driver, with the example.
fn boot(name: &str) -> TestGuest {
    let project = Project::find().unwrap();
    let root = ToolRoot::ensure(&project).unwrap();
    let module = driver::ensure(&project, Kernel::Stable, &root, driver::MINIMAL).unwrap();
    let guest = Builder::new(name)
        .kernel_argument("augur.driver=no")
        .input(&module)
        .boot();
    guest.shell(&format!(
        "insmod /input/augur_minimal.ko; {FILE}; test -f $fill"
    ));
    guest
}

#[test]
fn a_byte_written_fills_the_page_that_is_read_through_the_aperture() {
    let guest = boot("minimal");
    // New memory reads as zero; then each fill is seen, the window staying.
    let script = format!(
        "{FILE}
        test \"$(cat $fill)\" = 0x00
        for byte in 0x78 0x79 0xff 0x00; do
            echo $byte >$fill
            test \"$(cat $fill)\" = $byte
        done
        echo 256 >$fill && exit 1
        test \"$(cat $fill)\" = 0x00"
    );
    guest.shell(&script);
    guest.finish();
}

#[test]
fn it_may_be_loaded_again_and_followed_by_the_cards_own_driver() {
    let guest = boot("minimal-reload");
    let script = format!(
        "{FILE}
        for round in 1 2 3; do
            echo 7 >$fill
            rmmod augur_minimal
            insmod /input/augur_minimal.ko
            # A new life of the driver: memory is zero again.
            test \"$(cat $fill)\" = 0x00
        done
        rmmod augur_minimal
        insmod /lib/modules/augur.ko
        augur-test smoke"
    );
    guest.shell(&script);
    guest.finish();
}

#[test]
fn a_file_that_is_open_outlives_the_card() {
    let guest = boot("minimal-unbind");
    let script = format!(
        "{FILE}
        exec 3<>$fill
        echo 7 >&3
        device=$(ls /sys/bus/virtio/drivers/augur_minimal | grep ^virtio)
        echo $device >/sys/bus/virtio/drivers/augur_minimal/unbind
        ls $fill && exit 1
        echo 7 >&3 && exit 1
        cat <&3 && exit 1
        exec 3>&-
        echo $device >/sys/bus/virtio/drivers/augur_minimal/bind
        echo 9 >$fill
        test \"$(cat $fill)\" = 0x09
        rmmod augur_minimal"
    );
    guest.shell(&script);
    guest.finish();
}
