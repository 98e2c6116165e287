// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench ahead`: what mapping ahead of use brings a guest's programs.
//!
//! One guest has a card for each way of mapping, alike in everything else: on
//! demand, with windows of several sizes, and ahead of use by both predictors. The
//! image and matrix jobs run on all of them in turns, round by round, with all of
//! their data through an aperture that is much smaller than that. Times are the
//! middle one of the rounds', which are all the same work: whatever disturbs a
//! round decides neither which demand window is the best nor what is faster.

mod comparison;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use augur_card::PredictorMode;
use clap::Args;

use super::job::{self, OnCard};
use crate::card_process::CardOptions;
use crate::exit;
use crate::guest::{Guest, GuestOptions, Parts};
use crate::progress::Heartbeat;
use crate::project::Project;
use crate::size::Size;

pub use comparison::Comparison;
use comparison::Row;

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
const MIB: u64 = 256;
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

/// The card's threads that predict and learn.
const LEARNING: [&str; 2] = ["learner", "trainer"];

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
        "aperture",
        "--mib",
        &mib.to_string(),
        "--cards",
        &numbers.join(","),
    ];
    for OnCard { card, figure } in job::figures(guest, &words, JOBS)? {
        let row = rows.get_mut(card).context("a card too many")?;
        row.figures.push(figure);
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
