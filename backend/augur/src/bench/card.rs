// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench card`: what the card costs and moves, in a guest beside a peer
//! and in this process, against what it is hoped to.

pub(super) mod figures;
mod guest_figures;
mod inside;
mod memory_copy;
mod peer;
mod report;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use augur_qemu::sockets;
use augur_scheduler::profile::Profile;
use clap::Args;

use self::figures::{Figures, Unit};
use self::guest_figures::GuestFigures;
use self::memory_copy::MemoryCopy;
use self::peer::Peer;
use self::report::Circumstances;
use crate::bench::priority;
use crate::bench::schedule::calibrate;
use crate::build::peer::StorageDaemon;
use crate::card_process::CardOptions;
use crate::guest::{Guest, GuestOptions, Parts};
use crate::progress::Heartbeat;
use crate::project::Project;
use crate::size::Size;

/// How long one repeat in the guest may take; some seconds on an idle machine.
const REPEAT: Duration = Duration::from_secs(600);
/// How long powering off may take.
const END: Duration = Duration::from_secs(60);
/// Bytes of the largest transfer.
const LARGEST: u64 = 64 << 20;

/// Arguments of `augur bench card`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    #[command(flatten)]
    card: CardOptions,
}

impl Arguments {
    /// Builds what is missing, boots, measures, reports.
    ///
    /// # Errors
    /// When something cannot be built, booted or measured.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.card.check()?;
        let project = Project::find()?;
        let daemon = StorageDaemon::ensure(&project)?;
        let load_before = load();
        let mut figures = Figures::new();
        {
            let _beat = Heartbeat::start("inside the card");
            for _ in 0..self.repeats {
                inside::measure(&mut figures)?;
                analysis(&mut figures)?;
                priority::record(&mut figures)?;
            }
        }
        let began = Instant::now();
        let parts = Parts::ensure(&project)?;
        self.in_guest(&parts, &daemon, began, &mut figures)?;
        let chosen = &parts.acceleration;
        let circumstances = Circumstances {
            acceleration: format!("{} ({})", chosen.accelerator.name(), chosen.reason),
            qemu: parts.qemu.description.clone(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load_before,
            repeats: self.repeats,
        };
        if self.json {
            report::json(&circumstances, &figures)?;
        } else {
            report::table(&circumstances, &figures)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn in_guest(
        &self,
        parts: &Parts,
        daemon: &StorageDaemon,
        began: Instant,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let sockets = sockets::folder()?;
        let log = sockets.path().join("peer.log");
        let peer = Peer::start(daemon, sockets.path().join("peer"), &log)?;
        let options = GuestOptions {
            cards: vec![self.card.clone()],
            additional: peer.qemu_arguments(),
            ..GuestOptions::new("bench")
        };
        let guest = {
            let _beat = Heartbeat::start("booting");
            Guest::boot(parts, &options)?
        };
        let seconds = [
            ("start of the card to driver ready", guest.booted_in()),
            ("start of augur to driver ready", began.elapsed()),
        ];
        for (name, time) in seconds {
            figures.add("boot", name, Unit::Seconds, None, time.as_secs_f64());
        }
        let copy = MemoryCopy::new(usize::try_from(LARGEST)?)?;
        let _beat = Heartbeat::start("in the guest");
        for _ in 0..self.repeats {
            measure_in_guest(&guest)?.record(&copy, figures);
        }
        guest.power_off(END)?;
        Ok(())
    }
}

/// What the profile's constants of the analysis unit are calibrated by.
fn analysis(figures: &mut Figures) -> anyhow::Result<()> {
    let cost = calibrate()?;
    let profile = Profile::default();
    for (name, here, modelled) in [
        ("tracked cell", cost.cell, profile.cell),
        ("edge", cost.edge, profile.edge),
    ] {
        let name = format!("{name} (the profile says {} ns)", modelled.0);
        figures.add("analysis", name, Unit::Microseconds, None, here / 1e3);
    }
    Ok(())
}

/// One repeat of the guest's program.
fn measure_in_guest(guest: &Guest) -> anyhow::Result<GuestFigures> {
    let largest = Size(LARGEST).to_string();
    let words = [
        "augur-bench",
        "--json",
        "--bytes",
        &largest,
        "--peer",
        peer::GUEST_DEVICE,
    ];
    let job = guest.machine().begin(&words)?;
    let mut said = Vec::new();
    let code = guest
        .machine()
        .follow(&job, &mut said, &mut io::stderr(), REPEAT)?;
    ensure!(code == 0, "augur-bench ended with exit code {code}");
    serde_json::from_slice(&said).context("augur-bench printed something else than its figures")
}

/// Processes that wanted a processor over the last minute, on average; zero
/// when the system does not say.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &[&str]) -> Option<Arguments> {
        let words = std::iter::once(&"card").chain(words);
        Line::try_parse_from(words).ok().map(|line| line.arguments)
    }

    #[test]
    fn arguments_have_defaults_and_limits() {
        let plain = parse(&[]).unwrap();
        assert_eq!((plain.json, plain.repeats), (false, 3));
        let asked = parse(&["--json", "--repeats", "7", "--aperture", "16M"]).unwrap();
        assert_eq!((asked.json, asked.repeats), (true, 7));
        assert_eq!(asked.card.aperture, Size(16 << 20));
        assert!(parse(&["--repeats", "0"]).is_none());
        assert!(parse(&["--repeats", "many"]).is_none());
    }
}
