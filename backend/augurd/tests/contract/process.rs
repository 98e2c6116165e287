// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `augurd` itself: its arguments, its socket, its signals, its log.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use augur_abi::{CardState, MapHeader};
use rustix::process::{Pid, Signal, kill_process};
use zerocopy::FromBytes as _;

use crate::fixture::*;

/// The program, serving at a socket in a directory.
fn serving(directory: &Path) -> (Child, std::path::PathBuf) {
    let socket = directory.join("card.sock");
    let child = Command::new(env!("CARGO_BIN_EXE_augurd"))
        .args([
            "--memory",
            "64M",
            "--aperture",
            "1M",
            "--demand-window",
            "16K",
        ])
        .args(["--socket-path".as_ref(), socket.as_os_str()])
        .env("RUST_LOG", "warn")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the socket", || listens(&socket).then_some(()));
    (child, socket)
}

/// Whether somebody listens at a socket: its file is there before that. To connect would
/// be to be served.
fn listens(socket: &Path) -> bool {
    /// The kernel's flag of sockets that take connections, as it is printed.
    const ACCEPTS: &str = "00010000";
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    sockets.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(3) == Some(&ACCEPTS) && words.last().map(Path::new) == Some(socket)
    })
}

/// A driver of the program's card.
fn driver_of_a_process() -> (Child, Driver) {
    let directory = tempfile::tempdir().unwrap();
    let (child, socket) = serving(directory.path());
    let mut machine = Machine::at(directory, socket, 4);
    machine.start();
    (child, Driver::ready(machine))
}

fn refused(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_augurd"))
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn it_ends_with_0_when_the_front_end_goes_and_removes_its_socket() {
    let (mut child, mut driver) = driver_of_a_process();
    driver.works();
    let socket = driver.socket.clone();
    let machine = driver.into_machine();
    assert!(socket.exists());
    let directory = machine.into_directory();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
    drop(directory);
}

#[test]
fn it_ends_with_0_when_it_is_asked_to_and_tells_the_guest() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, driver) = driver_of_a_process();
        let state = || {
            MapHeader::read_from_bytes(&driver.window.read(0, MapHeader::BYTES))
                .unwrap()
                .state
        };
        assert_eq!(state(), CardState::Running.code());
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(state(), CardState::Gone.code());
        assert!(!driver.socket.exists());
    }
}

#[test]
fn it_can_be_asked_to_end_before_anybody_has_connected() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, socket) = serving(directory.path());
    // The signal's handler is there right after the socket.
    wait_for("the end", || {
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        child.try_wait().unwrap()
    });
    assert!(!socket.exists() || child.wait().unwrap().code().is_none());
}

#[test]
fn a_socket_in_use_is_refused_and_keeps_working() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, socket) = serving(directory.path());
    let (code, message) = refused(&["--socket-path", socket.to_str().unwrap()]);
    assert_eq!((code, message.lines().count()), (2, 1), "{message}");
    assert!(message.contains("in use"), "{message}");
    let mut machine = Machine::at(directory, socket, 4);
    machine.start();
    let mut driver = Driver::ready(machine);
    driver.works();
    drop(driver);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn wrong_arguments_give_one_line_and_code_2() {
    let long = format!("/tmp/{}", "x".repeat(200));
    for (arguments, expected) in [
        (&["--socket-path", &long][..], "107"),
        (&["--socket-path", "/nonexistent/s"], "does not exist"),
        (&["--fd", "0"], "descriptor 0"),
        (&["--fd", "77"], "descriptor 77"),
        (&["--fd", "3", "--profile", "/nonexistent.toml"], "profile"),
    ] {
        let (code, message) = refused(arguments);
        assert_eq!((code, message.lines().count()), (2, 1), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let socket = socket.to_str().unwrap();
    for wrong in [["--aperture", "3M"], ["--engines", "0"], ["--memory", "1M"]] {
        let (code, message) = refused(&["--socket-path", socket, wrong[0], wrong[1]]);
        assert_eq!((code, message.lines().count()), (2, 1), "{message}");
        assert!(!Path::new(socket).exists(), "a socket is left behind");
    }
}

#[test]
fn its_capabilities_are_those_of_its_description() {
    let output = Command::new(env!("CARGO_BIN_EXE_augurd"))
        .arg("--print-capabilities")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let description = include_str!("../../packaging/50-augurd.json");
    let described: serde_json::Value = serde_json::from_str(description).unwrap();
    assert_eq!(printed["type"], described["type"]);
    assert_eq!(printed["features"], described["features"]);
}

/// Whatever a guest does, a second of log has a bounded number of lines.
#[test]
fn log_flood() {
    let (mut child, mut driver) = driver_of_a_process();
    let started = std::time::Instant::now();
    let mut log = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    for round in 0..20_000u32 {
        driver.queues[0].describe(5, HOLE, 8, NEXT, 5);
        driver.queues[0].offer(5);
        driver.queues[0].notify();
        driver.queues[0].wait_used();
        if round % 10 == 0 {
            driver.queues[1].offer(QUEUE_SIZE);
            driver.queues[1].notify();
            let index = driver.queues[3].available_index();
            driver.queues[3].set_available_index(index.wrapping_sub(7));
            driver.queues[3].notify();
            driver.queues[3].set_available_index(index);
            driver.send_bytes(&round.to_le_bytes());
            assert!(driver.answer().is_err());
        }
    }
    let driver = driver.serves_a_good_driver_afterwards();
    drop(driver);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let lines = reader.join().unwrap().lines().count() as u64;
    let seconds = started.elapsed().as_secs() + 1;
    // The transport and the card have a limit each.
    assert!(
        (1..=seconds * 32).contains(&lines),
        "{lines} lines in {seconds} seconds"
    );
}
