// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-bench`: what requests, transfers, faults and the aperture cost, as a
//! guest program sees it.
//!
//! It measures and never judges: figures depend on the machine. Guest wall
//! time and the card's own clock stand in separate fields.

mod aperture;
mod latency;
mod memory;
mod peer;
mod samples;
mod transfers;

use std::path::PathBuf;
use std::process::ExitCode;

use augur_client::Device;
use augur_client::prediction::PredictorMode;
use augur_client::units::Bytes;
use clap::Parser;
use serde::Serialize;

/// Measure an Augur card from inside the guest.
///
/// Exit codes: 0 measured; 1 the card failed; 2 wrong arguments; 3 no card.
#[derive(Debug, Parser)]
#[command(name = "augur-bench", version, max_term_width = 100)]
struct Arguments {
    /// Print JSON instead of lines.
    #[arg(long)]
    json: bool,

    /// Device file of the card; the first card by default.
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,

    /// Requests of each latency figure.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,

    /// Largest transfer.
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    bytes: Bytes,

    /// A block device to read beside the card, for comparison.
    #[arg(long, value_name = "FILE")]
    peer: Option<PathBuf>,
}

/// Every figure.
#[derive(Debug, Serialize)]
struct Figures {
    latency: latency::Figures,
    transfers: Vec<transfers::Figure>,
    faults: Vec<aperture::FaultFigure>,
    aperture: aperture::BandwidthFigures,
    /// Reads of the peer; none without `--peer`.
    peer: Vec<peer::Figure>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let device = match &arguments.device {
        Some(path) => Device::open(path),
        None => Device::open_first(),
    };
    let device = match device {
        Ok(device) => device,
        Err(error) => {
            eprintln!("augur-bench: {error}");
            return ExitCode::from(3);
        }
    };
    match measure(&device, &arguments) {
        Ok(figures) => {
            print(&figures, arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("augur-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(device: &Device, arguments: &Arguments) -> Result<Figures, Box<dyn std::error::Error>> {
    // What a fault costs is what a program waits for that nobody foresaw.
    device.set_predictor(PredictorMode::Off)?;
    Ok(Figures {
        latency: latency::measure(device, arguments.requests)?,
        transfers: transfers::measure(device, arguments.bytes.0)?,
        peer: match &arguments.peer {
            Some(path) => peer::measure(path, device)?,
            None => Vec::new(),
        },
        faults: aperture::measure_faults(device)?,
        aperture: aperture::measure_bandwidth(device)?,
    })
}

fn print(figures: &Figures, json: bool) {
    if json {
        // Numbers and strings always serialize.
        let text = serde_json::to_string_pretty(figures).unwrap_or_default();
        println!("{text}");
        return;
    }
    println!("{}", figures.latency);
    for figure in &figures.transfers {
        println!("{figure}");
    }
    for figure in &figures.peer {
        println!("{figure}");
    }
    for figure in &figures.faults {
        println!("{figure}");
    }
    println!("{}", figures.aperture);
}
