// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Debian guest that `make image-debian` makes: the driver as DKMS built it,
//! loaded by udev, with the tools and the Python package.

// What tests share stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use augur::build::programs;
use augur::build::tool_root::ToolRoot;
use augur::card_process::{CardOptions, CardProcess};
use augur::guest::find_qemu;
use augur::project::Project;
use augur::run_folder::RunFolder;
use augur_e2e::fixture::LIMIT;
use augur_qemu::{Accelerator, Configuration, Console, Machine, sockets};

#[test]
#[ignore = "takes minutes: make image-debian, then run it by name"]
fn a_debian_guest_with_the_drivers_package_uses_the_card() {
    let project = Project::find().unwrap();
    let image = project.path("target/debian");
    assert!(
        image.join("disk.ext4").exists(),
        "run make image-debian first"
    );
    let root = ToolRoot::ensure(&project).unwrap();
    let folder = RunFolder::create(&project, "test-debian").unwrap();
    let sockets = sockets::folder().unwrap();
    let card = CardProcess::start(
        &programs::card(&project).unwrap(),
        &[],
        &CardOptions::default(),
        sockets.path().join("card"),
        folder.join("card.log"),
    )
    .unwrap();
    let disk = format!(
        "file={},format=raw,if=virtio,snapshot=on",
        image.join("disk.ext4").display()
    );
    let configuration = Configuration {
        accelerator: Accelerator::Tcg,
        memory_mib: 1024,
        processors: 2,
        kernel: image.join("vmlinuz"),
        initramfs: image.join("initrd"),
        kernel_arguments: vec!["root=/dev/vda".into(), "rw".into()],
        cards: vec![card.card()],
        console: Console::None,
        additional: vec!["-drive".into(), disk.into()],
    };
    let qemu = find_qemu(&root).unwrap();
    let machine = Machine::boot(&qemu, &configuration, folder.path(), LIMIT).unwrap();
    let python = project.path("guest-driver/python/tests/on_the_card.py");
    let python = std::fs::read_to_string(python).unwrap();
    for words in [
        // udev may still be loading the driver.
        &[
            "sh",
            "-c",
            "until test -e /dev/accel/accel0; do sleep 1; done",
        ][..],
        &["modinfo", "-F", "filename", "augur"],
        &["augur-test", "smoke", "mmap"],
        &["python3", "-c", python.as_str()],
    ] {
        let output = machine.output(words, LIMIT).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.code, 0, "{said}\n{complaints}");
        if words[0] == "modinfo" {
            assert!(said.contains("/updates/dkms/augur.ko"), "{said}");
        }
    }
    machine.power_off(LIMIT).unwrap();
    drop(card);
    folder.remove().unwrap();
}
