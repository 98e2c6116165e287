// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `augurd` itself: its arguments, its socket, its signals, its log.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use augur_abi::control::Request;
use augur_abi::predict::{
    MODEL_CHUNK, ModelPushRequest, ModelPushResponse, ModelPushed, ModelScope,
};
use augur_abi::{CardState, MapHeader};
use augur_predictor::Model;
use rustix::process::{Pid, Signal, kill_process};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::fixture::*;

/// The program, serving at a socket in a directory.
fn serving(directory: &Path) -> (Child, PathBuf) {
    serving_with(directory, &[])
}

/// The same with more arguments.
fn serving_with(directory: &Path, more: &[&str]) -> (Child, PathBuf) {
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
        .args(more)
        .env("RUST_LOG", "info")
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

/// Gives the card a model, part by part; answers what became of the last.
fn push(driver: &mut Driver, scope: ModelScope, file: &[u8]) -> ModelPushed {
    let mut outcome = ModelPushed::Incomplete;
    for (index, part) in file.chunks(MODEL_CHUNK).enumerate() {
        let request = ModelPushRequest {
            scope: scope.code(),
            total: file.len() as u32,
            offset: (index * MODEL_CHUNK) as u32,
            bytes: part.len() as u32,
        };
        let mut body = request.as_bytes().to_vec();
        body.extend_from_slice(part);
        body.resize(ModelPushRequest::BYTES + MODEL_CHUNK, 0);
        let context = driver.context;
        let answer: ModelPushResponse = driver.ask(Request::ModelPush, context, &body).unwrap();
        outcome = ModelPushed::from_code(answer.outcome).unwrap();
    }
    outcome
}

#[test]
fn what_was_learned_is_there_after_a_restart_however_it_ends() {
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("learned.safetensors");
    let arguments = ["--model", path.to_str().unwrap()];
    let file = |seed| Model::untrained(seed).to_bytes().unwrap();
    let start = || {
        let directory = tempfile::tempdir().unwrap();
        let (child, socket) = serving_with(directory.path(), &arguments);
        let mut machine = Machine::at(directory, socket, 4);
        machine.start();
        (child, Driver::ready(machine))
    };
    let (mut child, mut driver) = start();
    assert_eq!(
        push(&mut driver, ModelScope::Card, &file(5)),
        ModelPushed::Installed
    );
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(std::fs::read(&path).unwrap() == file(5));

    // It goes on from there, and leaves it when the front end goes.
    let (mut child, driver) = start();
    drop(driver);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(std::fs::read(&path).unwrap() == file(5));
    let (mut child, mut driver) = start();
    push(&mut driver, ModelScope::Card, &file(6));
    drop(driver);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(std::fs::read(&path).unwrap() == file(6));
    assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 1);
}

#[test]
fn a_model_that_is_none_or_has_no_place_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(
        place("short"),
        &Model::untrained(5).to_bytes().unwrap()[..999],
    )
    .unwrap();
    for (model, expected) in [
        ("short", "cannot be used: not a complete safetensors file"),
        ("no/folder", "cannot write the model"),
    ] {
        let (code, message) = refused(&["--socket-path", &place("s"), "--model", &place(model)]);
        assert_eq!((code, message.lines().count()), (2, 1), "{message}");
        assert!(message.contains(expected), "{message}");
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
            assert_eq!(
                push(&mut driver, ModelScope::Context, b"no model"),
                ModelPushed::Refused
            );
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
