// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-job`: real work on the card, every result checked in the guest.
//!
//! An image pipeline, checked byte for byte against a reference, and a matrix
//! product, checked by Freivalds' method. The results, and a report of every
//! step, land in a directory.

mod aperture;
mod cards;
mod factor;
mod failure;
mod filters;
mod images;
mod network;
mod output;
mod picture;
mod pipeline;
mod product;
mod report;
mod samples;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use augur_client::Device;
use cards::Cards;
use clap::{Args, Parser, Subcommand};
use failure::Failure;
use report::Report;
use session::Session;

/// Do real work on an Augur card and check every result.
///
/// Exit codes: 0 every check passed; 1 a result was wrong or the card failed;
/// 2 wrong arguments or input; 3 no card or driver.
#[derive(Debug, Parser)]
#[command(name = "augur-job", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Blur, sharpen, Sobel and half size of a photograph.
    Image {
        #[command(flatten)]
        image: ImageArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// The f32 product of two random square matrices.
    Matmul {
        #[command(flatten)]
        matrices: MatmulArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Both with all data through the aperture, on every card of the machine: what
    /// page faults cost, a line of JSON for each card and job.
    Aperture {
        /// Bytes that each job moves on each card, in MiB.
        #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=65536))]
        mib: u64,

        #[command(flatten)]
        cards: Cards,
    },
    /// The Cholesky factor of a random matrix, tile by tile in one command list, on
    /// every card of the machine: a line of JSON for each.
    Cholesky {
        #[command(flatten)]
        work: factor::Arguments,

        #[command(flatten)]
        cards: Cards,
    },
    /// A network of many layers in one command list, a command for each operation, on
    /// every card of the machine: a line of JSON for each.
    Network {
        #[command(flatten)]
        work: network::Arguments,

        #[command(flatten)]
        cards: Cards,
    },
    /// Both, with one report.
    All {
        #[command(flatten)]
        image: ImageArguments,
        #[command(flatten)]
        matrices: MatmulArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
}

#[derive(Debug, Args)]
struct ImageArguments {
    /// The photograph: PNG or JPEG, at most 8192x8192.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

#[derive(Debug, Args)]
struct MatmulArguments {
    /// Rows and columns of the matrices.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=8192))]
    size: u32,

    /// Where the random numbers begin; the same seed gives the same matrices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct CommonArguments {
    /// Directory for images and report.json; it is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,

    /// Print the report as JSON on stdout instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().job) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(failure::WRONG_RESULT),
        Err(failure) => {
            eprintln!("augur-job: {failure}");
            failure.exit_code()
        }
    }
}

/// Does the job; whether every check passed.
fn run(job: Job) -> Result<bool, Failure> {
    let (image, matrices, common) = match job {
        Job::Aperture { mib, cards } => return through_aperture(&cards, mib << 20),
        Job::Cholesky { work, cards } => return factor::run(&cards.open()?, &work),
        Job::Network { work, cards } => return network::run(&cards.open()?, &work),
        Job::Image { image, common } => (Some(image), None, common),
        Job::Matmul { matrices, common } => (None, Some(matrices), common),
        Job::All {
            image,
            matrices,
            common,
        } => (Some(image), Some(matrices), common),
    };
    let device = Device::open_first().map_err(Failure::no_card)?;
    std::fs::create_dir_all(&common.output)
        .map_err(|error| Failure::output(&common.output, &error))?;
    let mut session = Session::begin(device)?;
    let image = image
        .map(|image| pipeline::run(&mut session, &image.input, &common.output))
        .transpose()?;
    let product = matrices
        .map(|matrices| product::run(&mut session, matrices.size, matrices.seed))
        .transpose()?;
    let report = session.finish(image, product)?;
    finish(&report, &common)
}

/// Measures every card; whether every result was right.
fn through_aperture(cards: &Cards, bytes: u64) -> Result<bool, Failure> {
    let lines = aperture::run(&cards.open()?, bytes)?;
    for line in &lines {
        println!("{}", serde_json::json!(line));
    }
    Ok(lines.iter().all(|line| line.figure.wrong == 0))
}

fn finish(report: &Report, common: &CommonArguments) -> Result<bool, Failure> {
    let json = report.to_json();
    output::write_whole(&common.output.join("report.json"), |file| {
        std::io::Write::write_all(file, json.as_bytes())
    })?;
    if common.json {
        println!("{json}");
    } else {
        print!("{}", report.summary());
    }
    for failure in &report.failures {
        eprintln!("augur-job: wrong result: {failure}");
    }
    Ok(report.passed)
}
