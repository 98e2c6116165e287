// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench tracking`: what the unit at which a card tracks memory does to one
//! command list.
//!
//! One guest has a card for each unit, alike in everything else. A Cholesky
//! factorisation runs on each, tile by tile in one list, on two engines: with whole
//! tensors its commands come one after another, for all of them write one matrix.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use augur_card::{Policy, PredictorMode};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::job::{self, OnCard};
use crate::card_process::CardOptions;
use crate::exit;
use crate::guest::{Guest, GuestOptions, Parts, card_schedule};
use crate::progress::Heartbeat;
use crate::project::Project;
use crate::report::{Recorded, Schedule};
use crate::run_folder::RunFolder;
use crate::size::Size;

/// The units that are compared, whole tensors first.
const UNITS: [Policy; 3] = [Policy::Tensor, Policy::Exact, Policy::Adaptive];
/// Memory of all cards.
const MEMORY: Size = Size(1 << 30);
/// How long all cards may take; some seconds on an idle machine.
const JOB: Duration = Duration::from_secs(1200);
/// How long powering off may take.
const END: Duration = Duration::from_secs(60);

/// What is factorised.
#[derive(Clone, Copy, Debug, Args)]
pub struct Work {
    /// Rows and columns of the matrix
    #[arg(long, value_name = "N", default_value_t = 3072, value_parser = clap::value_parser!(u32).range(1..=8192))]
    size: u32,
    /// Rows and columns of a tile; all tiles' commands have to fit into one list
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=8192))]
    tile: u32,
    /// How often each card factorises it
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            size: 3072,
            tile: 128,
            rounds: 3,
        }
    }
}

/// Arguments of `augur bench tracking`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    work: Work,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Builds what is missing, boots, measures, prints the table.
    ///
    /// # Errors
    /// When something cannot be built, booted or measured.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let parts = Parts::ensure(&Project::find()?)?;
        let options = GuestOptions {
            cards: cards(),
            ..GuestOptions::new("tracking")
        };
        let guest = Guest::boot(&parts, &options)?;
        let comparison = measure_in(&guest, 0, &self.work)?;
        let folder = guest.power_off(END)?;
        if self.json {
            comparison.json()?;
        } else {
            print!("{}", comparison.table());
            let schedules = folder.join("*.schedule.jsonl");
            println!("schedules: {}", Project::shown(&schedules));
        }
        Ok(if comparison.all_right() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }
}

/// A card for each unit of tracking.
pub fn cards() -> Vec<CardOptions> {
    UNITS
        .map(|tracking| CardOptions {
            memory: MEMORY,
            tracking,
            predictor: PredictorMode::Off,
            records_schedule: true,
            ..CardOptions::default()
        })
        .to_vec()
}

/// What the factorisation took on one card, as the guest's program prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Figure {
    size: u32,
    tile: u32,
    commands: u32,
    wall_ns: Vec<u64>,
    card_ns: Vec<u64>,
    compute_ns: u64,
    wrong: Option<String>,
}

/// A unit of tracking, and what it gave.
#[derive(Clone, Debug)]
struct Row {
    unit: Policy,
    figure: Figure,
}

impl Row {
    fn best_ns(&self) -> u64 {
        self.figure.wall_ns.iter().copied().min().unwrap_or(0)
    }
}

/// All units side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    rows: Vec<Row>,
    first_card: usize,
}

/// Runs the factorisation in a guest whose cards from `first_card` on are
/// [`cards`].
///
/// # Errors
/// When the job fails.
pub fn measure_in(guest: &Guest, first_card: usize, work: &Work) -> anyhow::Result<Comparison> {
    let _beat = Heartbeat::start("one list on two engines");
    let numbers: Vec<String> = (first_card..first_card + UNITS.len())
        .map(|card| card.to_string())
        .collect();
    let words = [
        "cholesky",
        "--size",
        &work.size.to_string(),
        "--tile",
        &work.tile.to_string(),
        "--rounds",
        &work.rounds.to_string(),
        "--cards",
        &numbers.join(","),
    ];
    let mut rows = Vec::new();
    for OnCard { card, figure } in job::figures(guest, &words, JOB)? {
        let unit = card.checked_sub(first_card);
        let unit = unit.and_then(|index| UNITS.get(index)).copied();
        rows.push(Row {
            unit: unit.context("a card too many")?,
            figure,
        });
    }
    ensure!(rows.len() == UNITS.len(), "a card is missing");
    Ok(Comparison { rows, first_card })
}

impl Comparison {
    /// Whether every result was right and all were the same bytes.
    pub fn all_right(&self) -> bool {
        self.rows.iter().all(|row| row.figure.wrong.is_none())
    }

    fn whole_tensors_ns(&self) -> u64 {
        self.rows.first().map_or(0, Row::best_ns)
    }

    /// The table.
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let Some(first) = self.rows.first() else {
            return String::new();
        };
        let Figure {
            size,
            tile,
            commands,
            ..
        } = first.figure;
        let mut text = format!(
            "tracking of regions: Cholesky factor of {size}x{size}, {commands} commands on tiles of {tile} \
             in one list, 2 engines\n{:<9} |{:>10}{:>10}{:>10} | {:>12} | engines busy | x whole tensors\n",
            "tracking", "best ms", "median", "worst", "on card ms"
        );
        for row in &self.rows {
            let mut times = row.figure.wall_ns.clone();
            times.sort_unstable();
            let at = |index: usize| times.get(index).copied().unwrap_or(0) as f64 * 1e-6;
            let best = row.figure.card_ns.iter().copied().min().unwrap_or(0);
            let busy =
                row.figure.compute_ns as f64 / row.figure.card_ns.iter().sum::<u64>().max(1) as f64;
            let _ = writeln!(
                text,
                "{:<9} |{:>10.1}{:>10.1}{:>10.1} | {:>12.1} | {busy:>12.2} | {:.2}{}",
                row.unit.to_string(),
                at(0),
                at(times.len() / 2),
                at(times.len().saturating_sub(1)),
                best as f64 * 1e-6,
                self.whole_tensors_ns() as f64 / row.best_ns().max(1) as f64,
                row.figure
                    .wrong
                    .as_ref()
                    .map_or_else(String::new, |wrong| format!("  WRONG: {wrong}")),
            );
        }
        if self.all_right() {
            text += "the first result was checked, the others are the same bytes\n";
        }
        text
    }

    fn json(&self) -> anyhow::Result<()> {
        for row in &self.rows {
            let line =
                serde_json::json!({ "tracking": row.unit.to_string(), "figure": row.figure });
            println!("{}", serde_json::to_string(&line)?);
        }
        Ok(())
    }

    /// The schedules of the fastest rounds, from the guest's folder once it is off.
    ///
    /// # Errors
    /// When one was not recorded.
    pub fn recorded(&self, folder: &RunFolder) -> anyhow::Result<Vec<Recorded>> {
        let rows = self.rows.iter().zip(self.first_card..);
        rows.map(|(row, card)| {
            let schedule = Schedule::read(&card_schedule(folder, card))?;
            let ratio = self.whole_tensors_ns() as f64 / row.best_ns().max(1) as f64;
            Ok(Recorded {
                name: row.unit.to_string(),
                caption: format!(
                    "{}: {:.1} ms, {ratio:.2} times as fast as with whole tensors",
                    row.unit,
                    row.best_ns() as f64 * 1e-6
                ),
                schedule: schedule.fastest_list(row.figure.commands as usize),
            })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Policy, wall_ns: &[u64], wrong: Option<&str>) -> Row {
        Row {
            unit,
            figure: Figure {
                size: 3072,
                tile: 128,
                commands: 2600,
                wall_ns: wall_ns.to_vec(),
                card_ns: wall_ns.to_vec(),
                compute_ns: wall_ns.iter().sum::<u64>() * 3 / 2,
                wrong: wrong.map(str::to_owned),
            },
        }
    }

    #[test]
    fn units_are_compared_with_whole_tensors_by_their_best_rounds() {
        let mut comparison = Comparison {
            rows: vec![
                row(Policy::Tensor, &[400_000_000, 380_000_000], None),
                row(Policy::Exact, &[200_000_000, 900_000_000], None),
            ],
            first_card: 0,
        };
        let table = comparison.table();
        assert!(table.contains("| 1.90\n"), "{table}");
        assert!(table.contains("the same bytes"), "{table}");
        comparison
            .rows
            .push(row(Policy::Adaptive, &[1], Some("it differs")));
        let table = comparison.table();
        assert!(table.contains("WRONG: it differs"), "{table}");
        assert!(!table.contains("the same bytes") && !comparison.all_right());
    }
}
