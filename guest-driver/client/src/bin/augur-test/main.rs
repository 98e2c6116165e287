// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-test`: tests of driver and card from inside the guest.
//!
//! Each subtest opens the card itself and leaves nothing behind. It must not
//! know anything of the card but the userspace interface and the datasheet.

mod harness;
mod pattern;
mod process;
mod raw;
mod subtests;

use std::path::PathBuf;
use std::process::ExitCode;

use augur_client::units::Bytes;
use clap::Parser;
use harness::{Failure, Options, Subtest};

/// Test an Augur card and its driver from inside the guest.
///
/// Prints a line in TAP format for each subtest, 'ok' or 'not ok', and reasons
/// on lines that begin with '#'. Without names every subtest
/// runs that needs nobody outside the guest.
///
/// Exit codes: 0 none failed; 1 one failed; 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(name = "augur-test", version, max_term_width = 100)]
struct Arguments {
    /// Names of the subtests to run.
    names: Vec<String>,

    /// List the subtests and exit.
    #[arg(long)]
    list: bool,

    /// Device file of the card; the first card by default.
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,

    /// Where random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Device memory that subtests on size use at most, such as 256M.
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    bytes: Bytes,

    /// Random accesses of each process in random-touch.
    #[arg(long, value_name = "COUNT", default_value_t = 3000)]
    touches: u32,

    /// Rounds of churn, of all its processes together.
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    rounds: u32,

    /// Processes of random-touch.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for subtest in subtests::ALL {
            println!("{:<24} {}", subtest.name, subtest.summary);
        }
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(&arguments.names) {
        Ok(chosen) => chosen,
        Err(name) => {
            eprintln!("augur-test: there is no subtest '{name}'; see augur-test --list");
            return ExitCode::from(2);
        }
    };
    let options = Options {
        device: arguments.device,
        seed: arguments.seed,
        bytes: arguments.bytes.0,
        touches: arguments.touches,
        rounds: arguments.rounds,
        processes: arguments.processes,
    };
    if run(&chosen, &options) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The subtests with these names, or the first name that there is none for.
fn choose(names: &[String]) -> Result<Vec<&'static Subtest>, &String> {
    if names.is_empty() {
        return Ok(subtests::ALL.iter().filter(|test| test.alone).collect());
    }
    names
        .iter()
        .map(|name| {
            let mut known = subtests::ALL.iter();
            known.find(|test| test.name == name).ok_or(name)
        })
        .collect()
}

/// Runs subtests one after another; whether none failed.
fn run(chosen: &[&Subtest], options: &Options) -> bool {
    println!("TAP version 14");
    println!("1..{}", chosen.len());
    let mut all_passed = true;
    for (number, subtest) in (1..).zip(chosen) {
        let began = std::time::Instant::now();
        let result = (subtest.run)(options);
        let name = subtest.name;
        match &result {
            Ok(()) => println!("ok {number} - {name}"),
            Err(Failure(reason)) => {
                println!("not ok {number} - {name}");
                for line in reason.lines() {
                    println!("# {line}");
                }
                all_passed = false;
            }
        }
        println!("# {name} took {:.2} s", began.elapsed().as_secs_f64());
    }
    all_passed
}
