//! `augur bench ahead`: what mapping ahead of use brings a guest's programs.
//!
//! One guest has a card for each way of mapping, alike in everything else: on
//! demand, with windows of several sizes, and ahead of use by both predictors. The
//! image and matrix jobs run on all of them in turns, round by round, with all of
//! their data through an aperture that is much smaller than that. Times are the
//! middle one of the rounds', which are all the same work: whatever disturbs a
//! round decides neither which demand window is the best nor what is faster.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use augur_card::PredictorMode;
use clap::Args;
use serde::Deserialize;

use crate::card_process::CardOptions;
use crate::exit;
use crate::guest::{Guest, GuestOptions, Parts};
use crate::progress::Heartbeat;
use crate::project::Project;
use crate::report::{Mapping, MappingSample};
use crate::size::Size;

/// The aperture of all cards.
const APERTURE: Size = Size(32 << 20);
/// Memory of all cards.
const MEMORY: Size = Size(512 << 20);
/// Windows of the cards that map on demand only.
const DEMAND_WINDOWS: [Size; 4] = [
    Size(64 << 10),
    Size(256 << 10),
    Size(512 << 10),
    Size(1 << 20),
];
/// Demand window of the cards that predict: the unit of prediction. The largest
/// that the aperture has room for; smaller ones fault more and learn more slowly.
const PREDICTED_WINDOW: Size = Size(1 << 20);
/// What each job moves unless told otherwise, in MiB.
pub const MIB: u64 = 256;
/// How long all jobs may take together; some seconds on an idle machine.
const JOBS: Duration = Duration::from_secs(1200);
/// How long powering off may take.
const END: Duration = Duration::from_secs(60);

/// Arguments of `augur bench ahead`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Bytes that each of both jobs moves through each card's aperture, in MiB
    #[arg(long, value_name = "MIB", default_value_t = MIB, value_parser = clap::value_parser!(u64).range(1..=65536))]
    mib: u64,
}

impl Arguments {
    /// Builds what is missing, boots, measures, prints the table.
    ///
    /// # Errors
    /// When something cannot be built, booted or measured.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let parts = Parts::ensure(&Project::find()?)?;
        let comparison = measure(&parts, self.mib)?;
        print!("{}", comparison.table());
        Ok(if comparison.all_right() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }
}

/// What one kind of job took on one card, as the guest's program prints it.
#[derive(Clone, Debug, Deserialize)]
struct Figure {
    job: String,
    bytes: u64,
    demand_faults: u64,
    elapsed_ns: u64,
    maps_ahead: u64,
    ahead_used: u64,
    wrong: u64,
    rounds: Vec<Round>,
    timeline: Vec<MappingSample>,
}

/// One of several rounds of the same work.
#[derive(Clone, Debug, Deserialize)]
struct Round {
    wall_ns: u64,
    aperture_ns: u64,
}

impl Figure {
    /// The middle one of the rounds' times.
    fn round_ns(&self, of: impl Fn(&Round) -> u64) -> u64 {
        let mut times: Vec<u64> = self.rounds.iter().map(of).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    fn wall_ns(&self) -> u64 {
        self.round_ns(|round| round.wall_ns)
    }

    /// Bytes through the aperture in a second.
    fn rate(&self) -> f64 {
        let bytes = self.bytes as f64 / self.rounds.len().max(1) as f64;
        bytes * 1e9 / self.round_ns(|round| round.aperture_ns).max(1) as f64
    }
}

#[derive(Deserialize)]
struct Line {
    card: usize,
    figure: Figure,
}

/// A way of mapping, and what it gave.
#[derive(Clone, Debug)]
struct Row {
    mode: PredictorMode,
    window: Size,
    figures: Vec<Figure>,
    /// Processor time of the card's threads that predict and learn.
    learning: Duration,
}

/// The card's threads that predict and learn.
const LEARNING: [&str; 2] = ["learner", "trainer"];

impl Row {
    fn sum(&self, of: impl Fn(&Figure) -> u64) -> u64 {
        self.figures.iter().map(of).sum()
    }

    /// A round of each job.
    fn wall_ns(&self) -> u64 {
        self.sum(Figure::wall_ns)
    }

    fn demand_faults(&self) -> u64 {
        self.sum(|figure| figure.demand_faults)
    }
}

/// All ways of mapping side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    rows: Vec<Row>,
}

/// Runs the jobs on all cards of one guest.
///
/// # Errors
/// When the guest does not boot or a job fails.
pub fn measure(parts: &Parts, mib: u64) -> anyhow::Result<Comparison> {
    let options = GuestOptions {
        cards: cards(),
        ..GuestOptions::new("ahead")
    };
    let guest = Guest::boot(parts, &options)?;
    let comparison = measure_in(&guest, mib)?;
    guest.power_off(END)?;
    Ok(comparison)
}

fn ways() -> impl Iterator<Item = (PredictorMode, Size)> {
    let on_demand = DEMAND_WINDOWS.map(|window| (PredictorMode::Off, window));
    let ahead = [PredictorMode::Classic, PredictorMode::Full].map(|mode| (mode, PREDICTED_WINDOW));
    on_demand.into_iter().chain(ahead)
}

/// A card for each way of mapping.
pub fn cards() -> Vec<CardOptions> {
    ways()
        .map(|(predictor, demand_window)| CardOptions {
            memory: MEMORY,
            aperture: APERTURE,
            predictor,
            demand_window,
            ..CardOptions::default()
        })
        .collect()
}

/// Runs the jobs in a guest whose first cards are [`cards`].
///
/// # Errors
/// When a job fails.
pub fn measure_in(guest: &Guest, mib: u64) -> anyhow::Result<Comparison> {
    let mut rows: Vec<Row> = ways()
        .map(|(mode, window)| Row {
            mode,
            window,
            figures: Vec::new(),
            learning: Duration::ZERO,
        })
        .collect();
    let before = learning(guest);
    let _beat = Heartbeat::start("mapping on demand and ahead of use");
    let numbers: Vec<String> = (0..rows.len()).map(|card| card.to_string()).collect();
    let words = [
        "augur-job",
        "aperture",
        "--mib",
        &mib.to_string(),
        "--cards",
        &numbers.join(","),
    ];
    let job = guest.machine().begin(&words)?;
    let mut said = Vec::new();
    let code = guest
        .machine()
        .follow(&job, &mut said, &mut io::stderr(), JOBS)?;
    ensure!(code <= 1, "augur-job ended with exit code {code}");
    for line in said
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line: Line = serde_json::from_slice(line).context("augur-job printed no figures")?;
        let row = rows.get_mut(line.card).context("a card too many")?;
        row.figures.push(line.figure);
    }
    for (row, (after, before)) in rows.iter_mut().zip(learning(guest).into_iter().zip(before)) {
        row.learning = after.saturating_sub(before);
    }
    Ok(Comparison { rows })
}

/// The processor time of each card's threads that predict and learn.
fn learning(guest: &Guest) -> Vec<Duration> {
    let cards = guest.cards().iter();
    cards.map(|card| card.thread_time(&LEARNING)).collect()
}

impl Comparison {
    /// Whether every result was what DMA downloads.
    pub fn all_right(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.sum(|figure| figure.wrong) == 0)
    }

    /// The demand window with which mapping on demand took the least time.
    fn best_on_demand(&self) -> Option<&Row> {
        self.rows
            .iter()
            .filter(|row| row.mode == PredictorMode::Off)
            .min_by_key(|row| row.wall_ns())
    }

    /// The aperture over time with the best window on demand and with each predictor,
    /// for the report.
    pub fn recorded(&self) -> Vec<Mapping> {
        let ahead = self.rows.iter();
        let ahead = ahead.filter(|row| row.mode != PredictorMode::Off);
        let rows = self.best_on_demand().into_iter().chain(ahead);
        rows.map(|row| Mapping {
            caption: format!(
                "{}, demand windows of {}: {} demand faults, {:.0} ms a round",
                row.mode,
                row.window,
                row.demand_faults(),
                row.wall_ns() as f64 * 1e-6
            ),
            jobs: row
                .figures
                .iter()
                .map(|figure| (figure.job.clone(), figure.timeline.clone()))
                .collect(),
        })
        .collect()
    }

    /// The table, with what it says in a sentence for each predictor.
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let jobs: Vec<&str> = self.rows.first().map_or(Vec::new(), |row| {
            row.figures
                .iter()
                .map(|figure| figure.job.as_str())
                .collect()
        });
        let moved = self
            .rows
            .first()
            .map_or(0, |row| row.sum(|figure| figure.bytes))
            >> 20;
        let mut text = format!(
            "mapping ahead of use: {moved} MiB for each row through an aperture of {APERTURE}\n\
             {:<9}{:>7}",
            "predictor", "window"
        );
        for job in &jobs {
            let _ = write!(
                text,
                " |{:>15}{:>10}{:>7}",
                format!("{job}: faults"),
                "ms/round",
                "GB/s"
            );
        }
        text += " | mapped ahead   used learning   of all\n";
        let best = self.best_on_demand();
        for row in &self.rows {
            let _ = write!(text, "{:<9}{:>7}", row.mode.name(), row.window.to_string());
            for figure in &row.figures {
                let _ = write!(
                    text,
                    " |{:>15}{:>10.1}{:>7.2}",
                    figure.demand_faults,
                    figure.wall_ns() as f64 * 1e-6,
                    figure.rate() * 1e-9
                );
            }
            let mapped = row.sum(|figure| figure.maps_ahead);
            let used = row.sum(|figure| figure.ahead_used);
            let share = if mapped == 0 {
                "-".to_owned()
            } else {
                format!("{:.0} %", used as f64 / mapped as f64 * 100.0)
            };
            let mark = if best.is_some_and(|best| best.window == row.window)
                && row.mode == PredictorMode::Off
            {
                "  best on demand"
            } else {
                ""
            };
            // Of one processor: of the jobs' time, and of all that was done on the card.
            // Comparisons with downloads are no part of the first, but the threads work
            // then too, so that it is too much rather than too little.
            let learning = row.learning.as_nanos() as f64 * 100.0;
            let wall = |figure: &Figure| figure.rounds.iter().map(|round| round.wall_ns).sum();
            let of_jobs = learning / row.sum(wall).max(1) as f64;
            let of_all = learning / row.sum(|figure| figure.elapsed_ns).max(1) as f64;
            let _ = writeln!(
                text,
                " |{mapped:>13}{share:>7}{of_jobs:>7.1} %{of_all:>7.1} %{mark}"
            );
        }
        if let Some(best) = best {
            for row in self
                .rows
                .iter()
                .filter(|row| row.mode != PredictorMode::Off)
            {
                text += &against(row, best);
            }
        }
        if !self.all_right() {
            text += "wrong: a result differs from what DMA downloads\n";
        }
        text
    }
}

fn against(row: &Row, best: &Row) -> String {
    let share = |now: u64, before: u64| 100.0 * (1.0 - now as f64 / before.max(1) as f64);
    let each: Vec<String> = row
        .figures
        .iter()
        .zip(&best.figures)
        .map(|(now, before)| {
            format!(
                "{}: {:.0} % fewer demand faults, {:.2} times as fast",
                now.job,
                share(now.demand_faults, before.demand_faults),
                before.wall_ns() as f64 / now.wall_ns().max(1) as f64
            )
        })
        .collect();
    format!(
        "{} against on demand with {}: {:.0} % fewer demand faults; {}\n",
        row.mode,
        best.window,
        share(row.demand_faults(), best.demand_faults()),
        each.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mode: PredictorMode, window: u64, faults: u64, wall_ns: u64) -> Row {
        Row {
            mode,
            window: Size(window << 10),
            figures: vec![Figure {
                job: "image".into(),
                bytes: 256 << 20,
                demand_faults: faults,
                elapsed_ns: 6 * wall_ns,
                maps_ahead: 50,
                ahead_used: 40,
                wrong: 0,
                rounds: [wall_ns / 2, wall_ns, wall_ns * 3 / 2]
                    .map(|wall_ns| Round {
                        wall_ns,
                        aperture_ns: wall_ns / 2,
                    })
                    .to_vec(),
                timeline: Vec::new(),
            }],
            learning: Duration::from_nanos(3 * wall_ns / 20),
        }
    }

    #[test]
    fn predictions_are_compared_with_the_fastest_window_on_demand() {
        let comparison = Comparison {
            rows: vec![
                row(PredictorMode::Off, 64, 4000, 900_000_000),
                row(PredictorMode::Off, 1024, 250, 600_000_000),
                row(PredictorMode::Full, 256, 25, 400_000_000),
            ],
        };
        let table = comparison.table();
        assert!(
            table.contains("full against on demand with 1M: 90 % fewer demand faults; image: 90 % fewer demand faults, 1.50 times as fast"),
            "{table}"
        );
        assert!(table.contains("80 %"), "{table}");
        assert!(table.contains(" 5.0 %    2.5 %"), "{table}");
        assert!(comparison.all_right());
    }
}
