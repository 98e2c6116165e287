// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C library in a guest: its examples, compiled against `augur.h` and
//! `libaugur.a`.

// What tests share stops at the first surprise as well.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use augur::project::Project;
use augur_e2e::Builder;

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
}

/// Compiles an example as a program for a guest without libraries.
fn compile(project: &Project, example: &str, program: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    succeed(
        Command::new(cargo)
            .current_dir(project.root())
            .args(["rustc", "--quiet", "--release", "-p", "libaugur"])
            .args(["--lib", "--crate-type", "staticlib"]),
    );
    let library = project.path("guest-driver/libaugur");
    succeed(
        Command::new("cc")
            .args(["-static", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
            .arg(library.join("include"))
            .arg(library.join("examples").join(example))
            .arg(project.path("target/release/libaugur.a"))
            .args(["-lpthread", "-ldl", "-lm", "-o"])
            .arg(program),
    );
}

#[test]
fn c_programs_compute_on_the_card_and_order_their_lists() {
    let project = Project::find().unwrap();
    let [saxpy, timelines] = ["saxpy", "timelines"].map(|name| {
        let program = project.guest().join(name);
        compile(&project, &format!("{name}.c"), &program);
        program
    });
    let guest = Builder::new("c-library")
        .input(&saxpy)
        .input(&timelines)
        .boot();
    let said = guest.shell("/input/saxpy");
    assert!(said.contains("100000 sums are right"), "{said}");
    assert!(said.contains("memory is exhausted"), "{said}");
    let said = guest.shell("/input/timelines");
    assert!(said.contains("4096 bytes came in order"), "{said}");
    guest.finish();
}

#[test]
fn a_c_program_submits_lists_together_and_shares_memory_with_another_card() {
    let project = Project::find().unwrap();
    let program = project.guest().join("two_devices");
    compile(&project, "two_devices.c", &program);
    let guest = Builder::new("c-devices").cards(2).input(&program).boot();
    for other in ["", "/dev/accel/accel1"] {
        let said = guest.shell(&format!("/input/two_devices {other}"));
        assert!(said.contains("64 rows are right"), "{said}");
    }
    guest.finish();
}
