// SPDX-License-Identifier: MIT OR Apache-2.0
//! 32-bit programs in the guest: the driver's structures are the same for them.

// What tests share stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

use augur::project::Project;
use augur_e2e::Builder;

/// What `augur_accel.h` takes from the DRM core's header, which is not part of the C
/// library's headers.
const DRM_CORE: &str = "\
#include <linux/types.h>
#include <linux/ioctl.h>
#define DRM_COMMAND_BASE 0x40
#define DRM_IOWR(number, type) _IOWR('d', number, type)
";

#[test]
fn a_32_bit_program_uses_the_card() {
    let project = Project::find().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("drm.h"), DRM_CORE).unwrap();
    let program = folder.path().join("compat32");
    let headers = project.path("guest-driver/include");
    // No 32-bit library is needed: the program makes its system calls itself.
    let mut compiler = Command::new("cc");
    compiler
        .args([
            "-m32",
            "-O1",
            "-Wall",
            "-Werror",
            "-ffreestanding",
            "-fno-pie",
        ])
        .args([
            "-no-pie",
            "-nostdlib",
            "-static",
            "-fno-stack-protector",
            "-I",
        ])
        .arg(folder.path())
        .arg("-I")
        .arg(&headers)
        .arg("-I")
        .arg(headers.join("uapi"))
        // A 64-bit compiler looks for the kernel's headers elsewhere with -m32.
        .args(["-idirafter", "/usr/include/x86_64-linux-gnu", "-o"])
        .arg(&program)
        .arg(project.path("tests/src/compat32.c"));
    let output = compiler.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}\n{said}");

    let guest = Builder::new("compat").input(&program).boot();
    guest.shell("/input/compat32");
    guest.finish();
}
