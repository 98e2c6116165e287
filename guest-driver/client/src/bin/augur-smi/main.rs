// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-smi`: what the cards of this machine are and what they do now.
//!
//! It only asks the driver; it never allocates on a card.

mod overview;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use augur_client::{Device, Error};
use clap::Parser;
use overview::Overview;

/// Show the Augur cards of this machine: memory, aperture, contexts, counters.
///
/// Exit codes: 0 shown; 2 wrong arguments; 3 no card, or it cannot be asked.
#[derive(Debug, Parser)]
#[command(name = "augur-smi", version, max_term_width = 100)]
struct Arguments {
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,

    /// Show every counter of card and driver too.
    #[arg(long)]
    counters: bool,

    /// Only the card with this device file.
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,
}

/// Exit code when there is no card to show.
const NO_CARD: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match overviews(&arguments) {
        Ok(cards) if arguments.json => {
            let cards: Vec<_> = cards.iter().map(Overview::to_json).collect();
            println!("{:#}", serde_json::json!({ "cards": cards }));
            ExitCode::SUCCESS
        }
        Ok(cards) => {
            for card in &cards {
                print!("{}", table::render(card, arguments.counters));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("augur-smi: {error}");
            ExitCode::from(NO_CARD)
        }
    }
}

fn overviews(arguments: &Arguments) -> Result<Vec<Overview>, Error> {
    let devices = match &arguments.device {
        Some(path) => vec![Device::open(path)?],
        None => Device::open_all()?,
    };
    devices.iter().map(Overview::of).collect()
}
