// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's process, `augurd`, started for one guest.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use augur_card::{CardConfig, Policy, PredictorMode};
use augur_predictor::Model;
use augur_qemu::process::{Supervised, Terminal};
use augur_qemu::{Card, quote};
use clap::Args;

use crate::exit::Failure;
use crate::output_file::OutputFile;
use crate::size::Size;

/// How long a card may take until it listens. It takes milliseconds; the limit
/// is for a machine under load.
const LISTENING: Duration = Duration::from_secs(120);
/// Queues besides those for submissions: control and events.
const FIXED_QUEUES: u16 = 2;
/// Cards of one guest. QEMU's table of shared memory has no room for the aperture of
/// another, which the guest would not see, and nobody would say why.
const MOST_CARDS: usize = 8;

/// What a card is like; `augurd` takes the same options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The card")]
pub struct CardOptions {
    /// Memory of the card
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub memory: Size,
    /// The part of it that the guest sees at a time, a power of two
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub aperture: Size,
    /// Compute engines
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub engines: u16,
    /// Mapping of memory ahead of its use: off, classic or full
    #[arg(long, value_name = "MODE", default_value_t)]
    pub predictor: PredictorMode,
    /// What the predictor has learned: read from this safetensors file if it exists, and
    /// written there when the card ends
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Window that answers a page fault, a power of two from 4K to 2M
    #[arg(long, value_name = "SIZE", default_value = "64K")]
    pub demand_window: Size,
    /// Unit at which dependences between commands are tracked: adaptive, exact,
    /// tensor, 4k, 64k or 1m
    #[arg(long, value_name = "UNIT", default_value_t = Policy::Adaptive)]
    pub tracking: Policy,
    /// Queues for submissions
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub submit_queues: u16,
    /// Whether the card leaves large commands whole.
    #[arg(skip)]
    pub keeps_whole: bool,
    /// Whether the card leaves objects where they were allocated.
    #[arg(skip)]
    pub keeps_in_place: bool,
    /// Whether the card records its schedule in the run folder.
    #[arg(skip)]
    pub records_schedule: bool,
}

impl Default for CardOptions {
    fn default() -> Self {
        Self {
            memory: Size(4 << 30),
            aperture: Size(256 << 20),
            engines: 2,
            predictor: PredictorMode::default(),
            model: None,
            demand_window: Size(64 << 10),
            tracking: Policy::Adaptive,
            submit_queues: 2,
            keeps_whole: false,
            keeps_in_place: false,
            records_schedule: false,
        }
    }
}

impl CardOptions {
    /// Refuses a card that cannot be, before anything is built for it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        let config = CardConfig {
            memory_bytes: self.memory.0,
            aperture_bytes: self.aperture.0,
            demand_window_bytes: self.demand_window.0,
            compute_engines: self.engines,
            tracking: self.tracking,
            predictor: self.predictor,
            submit_queues: self.submit_queues,
            ..CardConfig::default()
        };
        config
            .manager()
            .map_err(|error| Failure::input(error.to_string()))?;
        self.model.as_deref().map_or(Ok(()), check_model)
    }

    /// So many cards like this.
    ///
    /// # Errors
    /// QEMU has no room for them, or several would write what they learned into one
    /// file.
    pub fn times(&self, count: usize) -> anyhow::Result<Vec<Self>> {
        if count > MOST_CARDS {
            bail!(Failure::input(format!(
                "--cards is at most {MOST_CARDS}: QEMU has no room for more apertures"
            )));
        }
        if count > 1 && self.model.is_some() {
            bail!(Failure::input(
                "--model is for one card: each writes its own"
            ));
        }
        Ok(vec![self.clone(); count])
    }
}

/// Whether a card can begin with the model in a file, or leave one there.
fn check_model(path: &Path) -> anyhow::Result<()> {
    let unusable =
        |reason: String| Failure::input(format!("the model {}: {reason}", path.display()));
    match fs::read(path) {
        Ok(file) => {
            Model::from_bytes(&file).map_err(|error| unusable(error.to_string()))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error.to_string()).into()),
    }
    OutputFile::create(path).map(drop)
}

/// A card's process that listens for QEMU. Dropping it ends the process.
#[derive(Debug)]
pub struct CardProcess {
    process: Supervised,
    socket: PathBuf,
    queues: u16,
    log: PathBuf,
}

impl CardProcess {
    /// Starts `program` with `additional` arguments and waits until it listens
    /// at `socket`. What it logs goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started or ends before it listens, with its last line.
    pub fn start(
        program: &Path,
        additional: &[String],
        options: &CardOptions,
        socket: PathBuf,
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("--socket-path").arg(&socket);
        command.args(["--memory", &options.memory.to_string()]);
        command.args(["--aperture", &options.aperture.to_string()]);
        command.args(["--engines", &options.engines.to_string()]);
        command.args(["--predictor", options.predictor.name()]);
        if let Some(model) = &options.model {
            command.arg("--model").arg(model);
        }
        command.args(["--demand-window", &options.demand_window.to_string()]);
        command.args(["--tracking", &options.tracking.to_string()]);
        if options.keeps_whole {
            command.arg("--keep-whole");
        }
        if options.keeps_in_place {
            command.arg("--keep-in-place");
        }
        if options.records_schedule {
            command.arg("--schedule").arg(schedule_beside(&log));
        }
        command.args(["--submit-queues", &options.submit_queues.to_string()]);
        command.arg("--trace-socket").arg(trace_socket(&socket));
        command.args(additional);
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "info");
        }
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let errors = file
            .try_clone()
            .with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let record = log.with_extension("cmdline");
        fs::write(&record, quote::command(words) + "\n")
            .with_context(|| record.display().to_string())?;

        let process = Supervised::spawn(command, Terminal::Apart)?;
        let queues = FIXED_QUEUES + options.submit_queues;
        let mut card = Self {
            process,
            socket,
            queues,
            log,
        };
        card.wait_until_listening()?;
        Ok(card)
    }

    /// The card as QEMU sees it.
    pub fn card(&self) -> Card {
        Card {
            socket: self.socket.clone(),
            queues: self.queues,
        }
    }

    /// Where it gives its accesses away.
    pub fn trace_socket(&self) -> PathBuf {
        trace_socket(&self.socket)
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process, for tests that harm it.
    pub fn process(&mut self) -> &mut Supervised {
        &mut self.process
    }

    /// Processor time that its threads of these names have taken.
    pub fn thread_time(&self, names: &[&str]) -> Duration {
        let folder = format!("/proc/{}/task", self.process.id());
        let threads = fs::read_dir(folder).into_iter().flatten().flatten();
        let nanoseconds = threads
            .map(|thread| thread.path())
            .filter(|thread| {
                let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
                names.contains(&name.trim())
            })
            .filter_map(|thread| {
                let times = fs::read_to_string(thread.join("schedstat")).ok()?;
                times.split_whitespace().next()?.parse::<u64>().ok()
            });
        Duration::from_nanos(nanoseconds.sum())
    }

    fn wait_until_listening(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + LISTENING;
        while !listens(&self.socket) {
            if let Some(status) = self.process.try_wait().context("augurd")? {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let line = said
                    .lines()
                    .last()
                    .unwrap_or("it said nothing")
                    .trim()
                    .to_owned();
                bail!("the card's process ended ({status}): {line}");
            }
            if Instant::now() >= end {
                bail!(
                    "the card's process does not listen after {LISTENING:?}; its log is {}",
                    self.log.display()
                );
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// The name's end of the sockets at which cards give their accesses away.
pub(crate) const TRACE: &str = "trace";

fn trace_socket(socket: &Path) -> PathBuf {
    socket.with_extension(TRACE)
}

/// Where the card that logs to `log` records its schedule.
pub fn schedule_beside(log: &Path) -> PathBuf {
    log.with_extension("schedule.jsonl")
}

impl Drop for CardProcess {
    fn drop(&mut self) {
        // It ends by itself when QEMU is gone; give it the time to say so.
        self.process.end();
    }
}

/// Whether somebody listens at `socket`. Asking by connecting would take the
/// one connection that is meant for QEMU.
pub(crate) fn listens(socket: &Path) -> bool {
    const ACCEPTS_CONNECTIONS: &str = "00010000";
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let socket = socket.to_string_lossy();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.nth(3) == Some(ACCEPTS_CONNECTIONS) && fields.next_back() == Some(&socket)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn an_impossible_card_is_refused_before_it_is_built() {
        let learning = CardOptions {
            model: Some("m".into()),
            ..CardOptions::default()
        };
        assert_eq!(learning.times(1).unwrap().len(), 1);
        assert!(learning.times(2).is_err());
        assert_eq!(CardOptions::default().times(8).unwrap().len(), 8);
        assert!(CardOptions::default().times(9).is_err());
        let folder = tempfile::tempdir().unwrap();
        let of = |path: &Path| CardOptions {
            model: Some(path.into()),
            ..CardOptions::default()
        };
        assert!(of(&folder.path().join("new")).check().is_ok());
        assert!(of(&folder.path().join("no/folder")).check().is_err());
        let poor = folder.path().join("poor");
        fs::write(&poor, "no model").unwrap();
        let said = of(&poor).check().unwrap_err().to_string();
        assert!(said.contains("safetensors"), "{said}");
        assert!(CardOptions::default().check().is_ok());
        let odd = CardOptions {
            aperture: Size(3 << 20),
            ..CardOptions::default()
        };
        let said = odd.check().unwrap_err().to_string();
        assert!(said.contains("power of two"), "{said}");
    }

    #[test]
    fn a_listener_is_seen_and_a_left_over_socket_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("card");
        assert!(!listens(&socket));
        let listener = UnixListener::bind(&socket).unwrap();
        assert!(listens(&socket));
        drop(listener);
        assert!(socket.exists() && !listens(&socket));
    }

    #[test]
    fn a_card_that_ends_at_once_is_reported_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("augurd");
        fs::write(
            &program,
            "#!/bin/sh\necho 'aperture is no power of two' >&2\nexit 2\n",
        )
        .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let error = CardProcess::start(
            &program,
            &[],
            &CardOptions::default(),
            folder.path().join("socket"),
            folder.path().join("card.log"),
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("aperture is no power of two"),
            "{error}"
        );
    }
}
