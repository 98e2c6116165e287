// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur trace record`: the accesses of a running card, or of one booted for it.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::summary;
use crate::card_process::{self, CardOptions};
use crate::exit::Failure;
use crate::guest::{Guest, GuestOptions, Parts};
use crate::output_file::OutputFile;
use crate::project::Project;
use crate::recording::Recording;
use crate::trace::Totals;

/// Record the accesses that a card knows of: demand faults, first touches,
/// transfers, operands of command lists.
///
/// With a command, a guest is booted for it, and what it does is recorded from
/// its start to its end. Without one, a card that runs is recorded (`make shell`
/// in another terminal): for --seconds, until it is interrupted, or until the card
/// ends.
///
/// OUT is complete or not there. The exit code is the command's.
///
///   augur trace record -o job.csv.zst -- augur-job image
///
///   augur trace record -o now.csv --seconds 10
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The trace to write; compressed if it ends in .zst.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// The trace socket of the card to record (augurd --trace-socket) [default:
    /// that of the one card that runs].
    #[arg(long, value_name = "SOCKET", conflicts_with = "command")]
    socket: Option<PathBuf>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with = "command")]
    seconds: Option<u32>,
    /// Seconds that the command may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    #[command(flatten)]
    card: CardOptions,
    /// The command and its arguments, run in a guest that is booted for it.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The trace sockets of the cards that this user's guests have.
fn running() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(std::env::temp_dir());
    let mut sockets: Vec<PathBuf> = folders
        .into_iter()
        .flatten()
        .flatten()
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("augur-"))
        .filter_map(|folder| std::fs::read_dir(folder.path()).ok())
        .flatten()
        .flatten()
        .map(|file| file.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == card_process::TRACE)
                && card_process::listens(path)
        })
        .collect();
    sockets.sort();
    sockets
}

impl Arguments {
    /// Whether a card that runs is recorded, not one that is booted for it.
    pub fn records_running(&self) -> bool {
        self.command.is_empty()
    }

    /// Records.
    ///
    /// # Errors
    /// No card to record, or a file that cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (totals, code) = if self.records_running() {
            (self.record_running()?, 0)
        } else {
            self.record_command()?
        };
        println!("{}: {}", self.output.display(), summary(&totals));
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
    }

    fn record_running(&self) -> anyhow::Result<Totals> {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => match running().as_slice() {
                [one] => one.clone(),
                [] => bail!(Failure::input(
                    "no card runs: boot one with `make shell`, or give a command".to_owned()
                )),
                several => {
                    let names: Vec<_> = several
                        .iter()
                        .map(|path| path.display().to_string())
                        .collect();
                    bail!(Failure::input(format!(
                        "several cards run, choose one with --socket: {}",
                        names.join(" ")
                    )))
                }
            },
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, interrupted.clone()).context("a signal")?;
        }
        let recording = Recording::begin(&socket, &self.output)?;
        eprintln!("recording the card at {}", socket.display());
        let mut left = self.seconds.map(|seconds| seconds.saturating_mul(TICKS));
        while left != Some(0) && !recording.has_ended() && !interrupted.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_secs(1) / TICKS);
            left = left.map(|ticks| ticks - 1);
        }
        recording.end()
    }

    fn record_command(&self) -> anyhow::Result<(Totals, i32)> {
        let limit = Duration::from_secs(self.timeout);
        self.card.check()?;
        // A guest is not booted for a trace that has no place.
        drop(OutputFile::create(&self.output)?);
        let parts = Parts::ensure(&Project::find()?)?;
        let options = GuestOptions {
            cards: vec![self.card.clone()],
            ..GuestOptions::new("record")
        };
        let mut guest = Guest::boot(&parts, &options)?;
        let socket = match guest.cards_mut() {
            [card] => card.trace_socket(),
            _ => bail!("the guest has no card"),
        };
        let recording = Recording::begin(&socket, &self.output)?;
        let job = guest.machine().begin(&self.command)?;
        let code = guest
            .machine()
            .follow(&job, &mut io::stdout(), &mut io::stderr(), limit)?;
        let totals = recording.end()?;
        guest.power_off(limit)?;
        Ok((totals, code))
    }
}

/// Looks at the recording in a second.
const TICKS: u32 = 10;
