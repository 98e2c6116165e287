// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of the kernel module that need no kernel, compiled for the host
//! with its sanitizers.

use std::process::Command;

use augur::project::Project;

#[test]
fn the_drivers_pure_parts_pass_their_tests_on_the_host() {
    let project = Project::find().unwrap();
    let folder = project.path("guest-driver/kernel");
    let output = Command::new("make")
        .arg("-C")
        .arg(folder)
        .arg("test")
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
}
