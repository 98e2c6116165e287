// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-smi`: what the cards of this machine are and what they do now.
//!
//! It asks the driver and reads what the kernel tells of it, has the card record
//! accesses and take models, and resets cards; it never allocates on one.

mod arguments;
mod events;
mod model;
mod overview;
mod processes;
mod profile;
mod sensors;
mod system;
mod table;
mod topology;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;

use arguments::{Arguments, Command};
use augur_client::{Device, Error};
use clap::Parser;
use overview::Overview;
use serde_json::{Value, json};

/// Exit code when there is no card to show.
const NO_CARD: u8 = 3;

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The card or its driver.
    #[error(transparent)]
    Card(#[from] Error),
    /// It is not said which card is meant.
    #[error("there are several cards: choose one with --device")]
    SeveralCards,
    /// It is not said whose model is meant.
    #[error("there is no context {0}: augur-smi lists those of running programs")]
    NoContext(u32),
    /// A file.
    #[error("{what}: {source}")]
    System {
        /// What was to be read or written.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough: `augur-smi events | head`.
        Err(Failure::System { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("augur-smi: {error}");
            ExitCode::from(NO_CARD)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Some(Command::Events { count }) => return events::follow(*count),
        Some(Command::Reset) => return reset(arguments),
        Some(Command::Profile { action }) => {
            let said = profile::run(&one_card(arguments)?, action)?;
            return print(&mut io::stdout().lock(), &said);
        }
        Some(Command::Model { action }) => {
            let said = model::run(&one_card(arguments)?, action, arguments.json)?;
            return print(&mut io::stdout().lock(), &said);
        }
        _ => {}
    }
    loop {
        let text = show(arguments)?;
        let mut output = io::stdout().lock();
        // A terminal shows one picture that changes, a file one after another.
        if arguments.watch.is_some() && output.is_terminal() && !arguments.json {
            print(&mut output, "\x1b[H\x1b[2J")?;
        }
        print(&mut output, &text)?;
        let Some(interval) = arguments.interval() else {
            return Ok(());
        };
        thread::sleep(interval);
    }
}

/// The card that something is done with.
fn one_card(arguments: &Arguments) -> Result<Device, Failure> {
    if let Some(path) = &arguments.device {
        return Ok(Device::open(path)?);
    }
    let mut devices = Device::open_all()?;
    match (devices.pop(), devices.is_empty()) {
        (Some(device), true) => Ok(device),
        _ => Err(Failure::SeveralCards),
    }
}

fn print(output: &mut impl Write, text: &str) -> Result<(), Failure> {
    let written = output.write_all(text.as_bytes());
    written
        .and_then(|()| output.flush())
        .map_err(|source| Failure::System {
            what: "standard output".into(),
            source,
        })
}

fn devices(arguments: &Arguments) -> Result<Vec<Device>, Error> {
    match &arguments.device {
        Some(path) => Ok(vec![Device::open(path)?]),
        None => Device::open_all(),
    }
}

/// Resets the cards and says which.
fn reset(arguments: &Arguments) -> Result<(), Failure> {
    let mut done = Vec::new();
    for device in devices(arguments)? {
        device.reset()?;
        done.push(device.path().display().to_string());
    }
    let text = either(
        arguments,
        || json!({ "reset": done }),
        || done.iter().map(|path| format!("{path}: reset\n")).collect(),
    );
    print(&mut io::stdout().lock(), &text)
}

/// What is shown once.
fn show(arguments: &Arguments) -> Result<String, Failure> {
    let devices = devices(arguments)?;
    match &arguments.command {
        Some(Command::Ps { sample }) => {
            let processes = processes::sampled(&devices, *sample)?;
            Ok(either(
                arguments,
                || processes::to_json(&processes),
                || processes::table(&processes),
            ))
        }
        Some(Command::Topo) => {
            let cards: Vec<_> = devices.iter().map(topology::Place::of).collect();
            Ok(either(
                arguments,
                || topology::to_json(&cards),
                || topology::tree(&cards),
            ))
        }
        _ => {
            let cards = Overview::of_all(&devices)?;
            Ok(either(
                arguments,
                || json!({ "cards": cards.iter().map(Overview::to_json).collect::<Vec<_>>() }),
                || {
                    let tables = cards
                        .iter()
                        .map(|card| table::render(card, arguments.counters));
                    tables.collect()
                },
            ))
        }
    }
}

/// JSON or a text for people. With `--watch` each JSON value is one line.
fn either(
    arguments: &Arguments,
    json: impl FnOnce() -> Value,
    text: impl FnOnce() -> String,
) -> String {
    match (arguments.json, arguments.watch) {
        (false, _) => text(),
        (true, None) => format!("{:#}\n", json()),
        (true, Some(_)) => format!("{}\n", json()),
    }
}
