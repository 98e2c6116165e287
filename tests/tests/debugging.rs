// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur driver-debug`: symbols at the right addresses, and gdb itself.

// What tests share stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use augur::debug;
use augur::project::Project;
use augur_e2e::{Builder, TestGuest};
use augur_qemu::sockets;

#[test]
fn a_breakpoint_on_a_function_of_the_driver_stops_there_with_line_and_backtrace() {
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("not tested: gdb is not installed");
        return;
    }
    let project = Project::find().unwrap();
    let folder = sockets::folder().unwrap();
    let stub = folder.path().join("gdb");
    let mut builder = Builder::new("debug").qemu(&debug::qemu_arguments(&stub));
    for word in debug::kernel_arguments() {
        builder = builder.kernel_argument(&word);
    }
    let mut guest: TestGuest = builder.boot();
    let script = debug::prepare(&project, guest.guest(), &stub).unwrap();
    let words = [
        "sh",
        "-c",
        "until test -e /tmp/enough; do augur-test smoke || exit; done",
    ];
    let job = guest.machine().begin(&words).unwrap();
    let output = Command::new("gdb")
        .args(["-nx", "-batch", "-x"])
        .arg(&script)
        .args(["-ex", "hbreak augur_ioctl_bo_create"])
        .args(["-ex", "continue"])
        .args(["-ex", "backtrace 4"])
        .args(["-ex", "print ((struct drm_augur_bo_create *)data)->size"])
        .args(["-ex", "delete", "-ex", "detach"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    for expected in [
        // The driver's function with its arguments and line, its caller in the
        // kernel by name, and a value of the program's request.
        "augur_ioctl_bo_create (dev=",
        "augur_gem.c:",
        "drm_ioctl",
        "$1 = ",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}\n{complaints}");
    }
    guest.shell("touch /tmp/enough");
    let (code, rest) = guest.wait_end(&job);
    assert_eq!(code, 0, "{rest}");
    guest.finish();
}
