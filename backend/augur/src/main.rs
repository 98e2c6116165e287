// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur`: turns arguments into a [`Command`] and its result into an exit
//! code, and knows nothing else.

use std::process::ExitCode;

use augur::commands::Command;
use augur::exit;
use augur_qemu::process;
use clap::Parser;

/// Boot a guest with the Augur card, run programs in it, measure the card.
///
/// Exit codes: 0 success; 1 the work failed (a result was wrong, a guest
/// crashed or timed out); 2 wrong arguments or input; 3 this machine lacks
/// something (`augur doctor` says what). `augur guest` returns the exit code
/// of the guest's command instead, and 125 when the guest itself failed.
#[derive(Debug, Parser)]
#[command(name = "augur", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.command.ends_on_signals_itself()
        && let Err(error) = process::end_all_on_signals()
    {
        return exit::report(&error.into());
    }
    exit::when_nobody_reads(|| match arguments.command.run() {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    })
}
