// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest gives back to the host, with no card involved in the answer.

use std::io::Write as _;
use std::process::{Command, Stdio};

use augur::build::programs;
use augur::project::Project;
use augur_e2e::Builder;
use augur_e2e::fixture::LIMIT;

#[test]
fn exit_codes_come_back() {
    let guest = Builder::new("exit-codes").boot();
    assert_eq!(guest.output(&["true"]).code, 0);
    assert_eq!(guest.output(&["false"]).code, 1);
    assert_eq!(guest.output(&["sh", "-c", "exit 77"]).code, 77);
    assert_eq!(guest.output(&["sh", "-c", "kill -9 $$"]).code, 128 + 9);
    let missing = guest.output(&["no-such-program"]);
    assert_eq!(missing.code, 127);
    assert!(
        String::from_utf8(missing.stderr)
            .unwrap()
            .contains("no-such-program")
    );
    guest.finish();
}

#[test]
fn outputs_are_apart_and_every_byte_of_them_arrives() {
    let guest = Builder::new("outputs").boot();
    // All byte values, more of them than any buffer on the way holds.
    let script = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done >/tmp/all; \
                  i=0; while [ $i -lt 12 ]; do cat /tmp/all /tmp/all >/tmp/twice; mv /tmp/twice /tmp/all; \
                  i=$((i+1)); done; cat /tmp/all; echo complaint >&2";
    let output = guest.output(&["sh", "-ec", script]);
    assert_eq!(output.code, 0);
    assert_eq!(output.stderr, b"complaint\n");
    assert_eq!(output.stdout.len(), 256 << 12);
    assert!(
        output
            .stdout
            .iter()
            .enumerate()
            .all(|(index, &byte)| index % 256 == usize::from(byte))
    );
    guest.finish();
}

#[test]
fn results_land_on_the_host() {
    let mut guest = Builder::new("results").boot();
    guest.shell("mkdir -p /results/deep; printf abc >/results/deep/file; : >/results/empty");
    let files = guest.guest().collect_results(LIMIT).unwrap();
    let mut contents: Vec<_> = files
        .iter()
        .map(|file| {
            (
                file.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(file).unwrap(),
            )
        })
        .collect();
    contents.sort();
    assert_eq!(
        contents,
        [
            ("empty".to_owned(), vec![]),
            ("file".to_owned(), b"abc".to_vec())
        ]
    );
    guest.finish();
}

#[test]
fn a_panic_of_the_guests_kernel_is_reported_with_its_log() {
    let guest = Builder::new("panic").boot();
    let job = guest
        .machine()
        .begin(&["sh", "-c", "echo c >/proc/sysrq-trigger"])
        .unwrap();
    let error = guest.machine().next(&job, LIMIT).unwrap_err().to_string();
    assert!(
        error.contains("Kernel panic") && error.contains("serial.log"),
        "{error}"
    );
}

#[test]
fn a_guest_that_ends_early_does_not_look_like_success() {
    let guest = Builder::new("ends-early").boot();
    let job = guest.machine().begin(&["poweroff", "-f"]).unwrap();
    let error = guest.machine().next(&job, LIMIT).unwrap_err().to_string();
    assert!(error.contains("powered off"), "{error}");
}

#[test]
fn a_shell_answers_to_what_is_typed_and_ends_with_its_guest() {
    let card = programs::card(&Project::find().unwrap()).unwrap();
    // Cargo puts the launcher beside the card's process.
    let mut shell = Command::new(card.with_file_name("augur"))
        .arg("shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Held open, as a terminal is.
    let mut keys = shell.stdin.take().unwrap();
    keys.write_all(b"echo sum $((40 + 2))\naugur-smi --json | head -c 1\nexit\n")
        .unwrap();
    let output = shell.wait_with_output().unwrap();
    drop(keys);
    let (said, notes) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{notes}");
    assert!(said.contains("sum 42"), "{said}\n{notes}");
    assert!(said.lines().any(|line| line.starts_with('{')), "{said}");
    assert!(notes.contains("logs: "), "{notes}");
}

#[test]
fn who_reads_only_the_first_lines_of_an_output_sees_no_panic() {
    let trace = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        trace.path(),
        "time_ns,stream,op,offset,bytes\n0,0,r,0,4096\n",
    )
    .unwrap();
    let trace = trace.path().to_str().unwrap();
    let (notes, code) = without_a_reader(&["trace", "show", trace]).unwrap();
    assert_eq!(notes, "");
    assert_eq!(code, Some(128 + 13));
}

#[test]
fn a_guest_whose_output_nobody_reads_any_more_is_ended() {
    let (notes, code) = without_a_reader(&["guest", "--cards", "0", "--", "yes"]).unwrap();
    assert!(!notes.contains("Broken pipe"), "{notes}");
    assert_eq!(code, Some(128 + 13));
}

/// Runs `augur` with an output that nobody reads; answers what it says on stderr, and
/// its exit code.
fn without_a_reader(arguments: &[&str]) -> anyhow::Result<(String, Option<i32>)> {
    let card = programs::card(&Project::find()?)?;
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let output = Command::new(card.with_file_name("augur"))
        .args(arguments)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()?;
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((notes, output.status.code()))
}
