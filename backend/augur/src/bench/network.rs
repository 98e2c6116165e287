// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench network`: what it is worth that a card divides large commands, and that
//! it moves objects that are used together side by side.
//!
//! One guest has a card with neither, one with each and one with both, alike in
//! everything else. A network of many layers runs on each, one command for each
//! operation, all in one list, on two engines: without division one of them has nothing
//! to do.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use augur_card::PredictorMode;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::job::{self, OnCard};
use crate::card_process::CardOptions;
use crate::exit;
use crate::guest::{Guest, GuestOptions, Parts};
use crate::progress::Heartbeat;
use crate::project::Project;
use crate::size::Size;

/// What the cards do, that without anything first: its name, whether large commands are
/// divided, and whether objects are moved.
const CARDS: [(&str, bool, bool); 4] = [
    ("neither", false, false),
    ("divides", true, false),
    ("places", false, true),
    ("both", true, true),
];
/// Memory of each card.
const MEMORY: Size = Size(1 << 30);
/// How long all cards may take; seconds on an idle machine.
const JOB: Duration = Duration::from_secs(1200);
/// How long powering off may take.
const END: Duration = Duration::from_secs(60);

/// Arguments of `augur bench network`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Layers: layer norm, product, relu and sum each
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=500))]
    layers: u32,
    /// Rows of the input
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=8192))]
    rows: u32,
    /// Columns of the input, rows and columns of the weights
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4096))]
    width: u32,
    /// How often each card computes it
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// What the network took on one card, as the guest's program prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Figure {
    layers: u32,
    rows: u32,
    width: u32,
    commands: u32,
    wall_ns: Vec<u64>,
    card_ns: Vec<u64>,
    compute_ns: u64,
    held_ranges: u64,
    held_runs: u64,
    relocated_bytes: u64,
    wrong: Option<String>,
}

/// One of [`CARDS`], and what it gave.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    divides: bool,
    places: bool,
    figure: Figure,
}

impl Arguments {
    /// Builds what is missing, boots, measures, prints the table.
    ///
    /// # Errors
    /// When something cannot be built, booted or measured.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let parts = Parts::ensure(&Project::find()?)?;
        let cards = CARDS.map(|(_, divides, places)| CardOptions {
            memory: MEMORY,
            keeps_whole: !divides,
            keeps_in_place: !places,
            predictor: PredictorMode::Off,
            ..CardOptions::default()
        });
        let options = GuestOptions {
            cards: cards.to_vec(),
            ..GuestOptions::new("network")
        };
        let guest = Guest::boot(&parts, &options)?;
        let rows = self.measure(&guest)?;
        guest.power_off(END)?;
        if self.json {
            for row in &rows {
                println!("{}", serde_json::to_string(row)?);
            }
        } else {
            print!("{}", table(&rows));
        }
        Ok(if all_right(&rows) {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }

    fn measure(&self, guest: &Guest) -> anyhow::Result<Vec<Row>> {
        let _beat = Heartbeat::start("one network on four cards");
        let words = [
            "network",
            "--layers",
            &self.layers.to_string(),
            "--rows",
            &self.rows.to_string(),
            "--width",
            &self.width.to_string(),
            "--rounds",
            &self.rounds.to_string(),
        ];
        let rows = job::figures(guest, &words, JOB)?
            .into_iter()
            .map(|OnCard { card, figure }| {
                let &(name, divides, places) = CARDS.get(card).context("a card too many")?;
                Ok(Row {
                    name,
                    divides,
                    places,
                    figure,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(rows.len() == CARDS.len(), "a card is missing");
        Ok(rows)
    }
}

fn all_right(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.figure.wrong.is_none())
}

fn median(times: &[u64]) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let Figure {
        layers,
        rows: input,
        width,
        commands,
        ..
    } = first.figure;
    let best = |row: &Row| row.figure.wall_ns.iter().copied().min().unwrap_or(0);
    let mut text = format!(
        "a network of {layers} layers, {input}x{width}, {commands} commands in one list, 2 engines\n\
         {:<8} |{:>9}{:>9} | {:>10} | engines busy | x neither | held ranges in runs | moved KiB\n",
        "card", "best ms", "median", "on card ms"
    );
    for row in rows {
        let figure = &row.figure;
        let card = figure.card_ns.iter().copied().min().unwrap_or(0);
        let busy = figure.compute_ns as f64 / figure.card_ns.iter().sum::<u64>().max(1) as f64;
        let _ = writeln!(
            text,
            "{:<8} |{:>9.1}{:>9.1} | {:>10.1} | {busy:>12.2} | {:>9.2} | {:>11} in {:>4} | {:>9}{}",
            row.name,
            best(row) as f64 * 1e-6,
            median(&figure.wall_ns) as f64 * 1e-6,
            card as f64 * 1e-6,
            best(first) as f64 / best(row).max(1) as f64,
            figure.held_ranges,
            figure.held_runs,
            figure.relocated_bytes >> 10,
            figure
                .wrong
                .as_ref()
                .map_or_else(String::new, |wrong| format!("  WRONG: {wrong}")),
        );
    }
    if all_right(rows) {
        text += "the first result was checked, the others are the same bytes\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, wall_ns: &[u64], wrong: Option<&str>) -> Row {
        Row {
            name,
            divides: false,
            places: false,
            figure: Figure {
                layers: 12,
                rows: 512,
                width: 512,
                commands: 50,
                wall_ns: wall_ns.to_vec(),
                card_ns: wall_ns.to_vec(),
                compute_ns: wall_ns.iter().sum(),
                held_ranges: 144,
                held_runs: 60,
                relocated_bytes: 3 << 20,
                wrong: wrong.map(str::to_owned),
            },
        }
    }

    #[test]
    fn cards_are_compared_with_the_first_by_their_best_rounds() {
        let mut rows = vec![
            row("neither", &[90_000_000, 80_000_000], None),
            row("both", &[50_000_000, 40_000_000], None),
        ];
        let text = table(&rows);
        assert!(
            text.contains("|      2.00 |         144 in   60 |      3072\n"),
            "{text}"
        );
        assert!(text.contains("the same bytes"), "{text}");
        rows.push(row("places", &[1], Some("it differs")));
        let text = table(&rows);
        assert!(
            text.contains("WRONG: it differs") && !all_right(&rows),
            "{text}"
        );
        assert!(!text.contains("the same bytes"), "{text}");
    }
}
