// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapping ahead of use, with a guest: nothing is lost by it, whatever the guest
//! claims, models and profiles go through the driver, and the host records.

// A helper of tests stops at the first surprise as well.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use augur::build::programs;
use augur::project::Project;
use augur::recording::Recording;
use augur_e2e::fixture::LIMIT;
use augur_e2e::{Builder, GuestMemory, TestGuest};
use serde_json::Value;

const RANDOM_TOUCH: [&str; 6] = [
    "augur-test",
    "random-touch",
    "--bytes",
    "256M",
    "--processes",
    "4",
];

#[test]
fn four_processes_touch_at_random_while_the_card_predicts() {
    let guest = Builder::new("predicting")
        .aperture("16M")
        .predictor("full")
        .boot();
    guest.succeed(&RANDOM_TOUCH);
    guest.finish();
}

/// Where the driver reports touches, as the card's log says it: the address and the
/// number of entries.
fn touch_ring(guest: &mut TestGuest) -> (u64, u64) {
    let log = fs::read_to_string(guest.guest().cards_mut()[0].log()).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("the driver reports touches"))
        .expect("the driver has a touch ring");
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |word: &str| words[words.iter().position(|found| *found == word).unwrap() + 1];
    let address = after("address").trim_start_matches("0x");
    (
        u64::from_str_radix(address, 16).unwrap(),
        after("in").parse().unwrap(),
    )
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Fills the ring with claims: in turns any bytes, and claims of windows that may
/// exist, in the order in which the card expects them.
fn lie(memory: &GuestMemory, ring: u64, entries: u64, round: u64, random: &mut u64) {
    let written = match round % 4 {
        0 => next(random),
        _ => memory.read_word(ring) + entries / 2,
    };
    for back in 1..=entries {
        let number = written.wrapping_sub(back);
        let (one, two) = (next(random), next(random));
        let entry = if round.is_multiple_of(2) {
            [one.to_le_bytes(), two.to_le_bytes()].concat()
        } else {
            let sequence = (number as u32).wrapping_add(1);
            let (slot, generation) = ((one % 4096) as u32, (two % 64) as u32 + 1);
            let (first, pages) = ((one >> 32) as u16 % 16, (two >> 32) as u8 % 16 + 1);
            let flags = (two >> 48) as u8 & 1;
            [
                &sequence.to_le_bytes()[..],
                &slot.to_le_bytes(),
                &generation.to_le_bytes(),
                &first.to_le_bytes(),
                &[pages, flags],
            ]
            .concat()
        };
        memory.write(ring + 16 + number % entries * 16, &entry);
    }
    memory.write(ring, &written.to_le_bytes());
}

/// Ends whoever looks at a flag when a test is over, in whatever way.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Memory of the card's process that is not shared with the guest, in KiB.
fn private_memory(guest: &mut TestGuest) -> u64 {
    let process = guest.guest().cards_mut()[0].process().id();
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn counter(guest: &TestGuest, name: &str) -> u64 {
    let said = guest.succeed(&["augur-smi", "--json"]);
    let value: Value = serde_json::from_str(&said).unwrap();
    let found = find(&value, name).expect("the counter is shown");
    found.as_u64().unwrap()
}

fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map
            .get(name)
            .or_else(|| map.values().find_map(|inner| find(inner, name))),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, name)),
        _ => None,
    }
}

#[test]
fn a_stream_of_false_touches_harms_nobody() {
    let mut guest = Builder::new("false-touches")
        .aperture("16M")
        .predictor("full")
        .boot();
    let (ring, entries) = touch_ring(&mut guest);
    let memory = GuestMemory::of(&guest);
    guest.succeed(&["augur-test", "random-touch", "--bytes", "32M"]);
    let before = private_memory(&mut guest);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut random, mut round) = (1, 0);
            while !done.load(Ordering::Relaxed) {
                lie(&memory, ring, entries, round, &mut random);
                round += 1;
                thread::yield_now();
            }
        });
        let _ends = Ends(&done);
        let began = Instant::now();
        let (said, enough) = loop {
            let said = guest.output(&RANDOM_TOUCH);
            // Some of the lies are about windows that exist. On a busy host the card does
            // not look at many.
            let enough = ["touches_refused", "touches"].map(|name| counter(&guest, name) > 1000);
            if said.code != 0 || enough == [true; 2] || began.elapsed() > LIMIT {
                break (said, enough);
            }
        };
        assert_eq!(said.code, 0, "{}", String::from_utf8_lossy(&said.stdout));
        assert_eq!(enough, [true; 2], "the card saw few lies, or refused none");
    });
    // Windows, histories and models have their maxima: 64 MiB are room for noise.
    let after = private_memory(&mut guest);
    assert!(
        after < before + (64 << 10),
        "the card grew from {before} to {after} KiB"
    );
    guest.finish();
}

/// Records on the host what a command in the guest does.
fn record(guest: &mut TestGuest) {
    let folder = guest.guest().folder().path().to_path_buf();
    let (socket, trace) = (
        guest.guest().cards_mut()[0].trace_socket(),
        folder.join("trace.csv.zst"),
    );
    for _ in 0..2 {
        let recording = Recording::begin(&socket, &trace).unwrap();
        let second = Recording::begin(&socket, &folder.join("second.csv"));
        assert!(second.is_err(), "a card is recorded for one at a time");
        guest.succeed(&["augur-test", "smoke"]);
        let totals = recording.end().unwrap();
        let records = augur::trace::read(&trace).unwrap();
        assert_eq!(records.len() as u64, totals.accesses);
        assert!(records.len() > 5 && records.iter().any(|record| record.write));
    }
}

#[test]
fn models_and_profiles_go_through_the_driver_and_the_host_records() {
    let mut guest = Builder::new("models").predictor("full").boot();
    guest.succeed(&["augur-test", "models", "profile"]);
    record(&mut guest);
    // What cannot be written is not taken from the card.
    let script = "augur-smi profile start >/dev/null; augur-test smoke >/dev/null; \
                  augur-smi profile stop >/dev/null; \
                  if augur-smi profile save /nowhere/trace 2>/dev/null; then exit 9; fi; augur-smi profile save /tmp/trace.csv >/dev/null; \
                  head -n 1 /tmp/trace.csv; wc -l </tmp/trace.csv";
    let said = guest.shell(script);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("time_ns,stream,op,offset,bytes"));
    let count: u32 = lines.next().unwrap().trim().parse().unwrap();
    assert!(count > 2, "{said}");
    let script = "augur-smi model pull /tmp/model >/dev/null; augur-smi --json model push /tmp/model; \
                  head -c 100 /tmp/model >/tmp/short; \
                  if augur-smi model push /tmp/short 2>/tmp/why; then exit 9; fi; \
                  grep -q refused /tmp/why || exit 8; \
                  if augur-smi model push /tmp/model --context 999 2>/tmp/why; then exit 9; fi; \
                  grep -q 'no context 999' /tmp/why";
    let pushed = guest.shell(script);
    let info = guest.succeed(&["augur-smi", "--json", "model", "info"]);
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    assert_eq!(parse(&pushed)["parameters"], parse(&info)["parameters"]);
    assert_eq!(parse(&info)["mode"], "full");
    guest.finish();
}

/// `augur` with these arguments.
fn launcher(words: &[&str]) -> Command {
    let card = programs::card(&Project::find().unwrap()).unwrap();
    let mut command = Command::new(card.with_file_name("augur"));
    command.args(words);
    command
}

/// What `augur` with these arguments says on standard error when it fails with `code`.
fn failure(words: &[&str], code: i32) -> String {
    let output = launcher(words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// Records a card by the command line while the guest does something, and interrupts
/// it with `signal`.
fn record_until(guest: &TestGuest, socket: &str, trace: &Path, signal: &str) {
    let trace_name = trace.to_str().unwrap();
    let mut child = launcher(&["trace", "record", "-o", trace_name, "--socket", socket])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("recording the card"), "{line}");
    guest.succeed(&["augur-test", "smoke"]);
    assert!(!trace.exists(), "the trace is there before it is complete");
    let id = child.id().to_string();
    // The shell's own: a bare machine has no other.
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", signal, &id])
        .status();
    assert!(sent.unwrap().success());
    errors.read_to_string(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}");
    let records = augur::trace::read(trace).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(&format!("{} accesses", records.len())),
        "{said}"
    );
    assert!(records.len() > 5 && records.iter().any(|record| record.write));
}

#[test]
fn the_command_line_records_until_it_is_interrupted() {
    let mut guest = Builder::new("recorded").boot();
    let folder = guest.guest().folder().path().join("traces");
    fs::create_dir(&folder).unwrap();
    let socket = guest.guest().cards_mut()[0].trace_socket();
    let socket = socket.to_str().unwrap();
    let place = |name: &str| folder.join(name).to_str().unwrap().to_owned();

    let (out, nowhere) = (place("trace.csv"), place("nowhere/trace.csv"));
    let no_card = place("no-card");
    let record = ["trace", "record", "-o"];
    let said = failure(&[&record[..], &[&out, "--socket", &no_card]].concat(), 2);
    assert!(said.contains("cannot be recorded"), "{said}");
    let said = failure(&[&record[..], &[&nowhere, "--socket", socket]].concat(), 1);
    assert!(said.contains("cannot write"), "{said}");

    for (name, signal) in [("interrupted.csv", "INT"), ("ended.csv.zst", "TERM")] {
        let trace = place(name);
        record_until(&guest, socket, Path::new(&trace), signal);
        let shown = launcher(&["trace", "show", &trace]).output().unwrap();
        assert!(shown.status.success());
        let words = [
            "bench",
            "predict",
            "--policies",
            "none",
            "--json",
            "--trace",
        ];
        let judged = launcher(&[&words[..], &[&trace]].concat())
            .output()
            .unwrap();
        let figures: Value = serde_json::from_slice(&judged.stdout).unwrap();
        assert!(figures["accesses"].as_u64().unwrap() > 5);
    }
    let mut left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["ended.csv.zst", "interrupted.csv"]);
    guest.finish();
}
