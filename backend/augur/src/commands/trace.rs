// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur trace`: makes access traces, from others' and from nothing, and
//! shows them.

mod generate;
mod import;
mod record;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::trace::Totals;

/// Arguments of `augur trace`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Convert a trace of another format.
    Import(import::Arguments),
    /// Record what a card knows of its guest's accesses.
    Record(record::Arguments),
    /// Make the access stream of a kernel.
    Generate(generate::Arguments),
    /// Show what traces are like, and what a policy makes of them.
    Show(show::Arguments),
}

impl Arguments {
    /// Whether it ends well when it is interrupted, by what it has made until then.
    pub fn ends_on_signals_itself(&self) -> bool {
        matches!(&self.what, What::Record(arguments) if arguments.records_running())
    }

    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever is wrong with its input.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Import(arguments) => arguments.run(),
            What::Record(arguments) => arguments.run(),
            What::Generate(arguments) => arguments.run(),
            What::Show(arguments) => arguments.run(),
        }
    }
}

/// One line about a trace that was written.
fn summary(totals: &Totals) -> String {
    format!(
        "{} accesses, {} page touches, {:.3} s",
        totals.accesses,
        totals.page_touches,
        totals.last_ns as f64 / 1e9
    )
}
