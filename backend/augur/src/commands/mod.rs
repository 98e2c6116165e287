// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommands of `augur`: one module each, one line each in [`Command`].
//!
//! A module holds its arguments (a `clap::Args` struct, whose documentation is
//! the help text) with one method `run`, and no logic that another subcommand
//! needs too.

mod bench;
mod doctor;
mod driver_debug;
mod driver_test;
mod guest;
mod run;
mod shell;
mod trace;
mod train;

use std::process::ExitCode;

use clap::Subcommand;

/// What `augur` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the main job on the card: an image pipeline and a matrix product.
    Run(run::Arguments),
    /// Run one command in a guest with the card; its exit code is returned.
    Guest(guest::Arguments),
    /// Open a shell in a guest with the card, its driver and tools.
    Shell(shell::Arguments),
    /// Compile the driver, load it in a guest with the card, run its smoke test.
    DriverTest(driver_test::Arguments),
    /// Boot a guest that gdb attaches to, with the driver's and the kernel's symbols.
    DriverDebug(driver_debug::Arguments),
    /// Measure the card, or its own code on a virtual clock.
    Bench(bench::Arguments),
    /// Record access traces, import or generate them, and show them.
    Trace(trace::Arguments),
    /// Train a model for the card's predictor on recorded traces.
    Train(train::Arguments),
    /// Say what this machine lacks to build and boot the guest, and how to mend it.
    Doctor(doctor::Arguments),
}

impl Command {
    /// Whether an interruption is how it ends well, and not the end of everything.
    pub fn ends_on_signals_itself(&self) -> bool {
        matches!(self, Self::Trace(arguments) if arguments.ends_on_signals_itself())
    }

    /// Runs the subcommand; the exit code is the process's own.
    ///
    /// # Errors
    /// Whatever stopped it, ready to be printed by [`crate::exit::report`].
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(arguments) => arguments.run(),
            Self::DriverTest(arguments) => arguments.run(),
            Self::DriverDebug(arguments) => arguments.run(),
            Self::Guest(arguments) => arguments.run(),
            Self::Shell(arguments) => arguments.run(),
            Self::Bench(arguments) => arguments.run(),
            Self::Trace(arguments) => arguments.run(),
            Self::Train(arguments) => arguments.run(),
            Self::Doctor(arguments) => arguments.run(),
        }
    }
}
