//! `augur doctor`: what this machine lacks, and the command that mends it.

use std::process::ExitCode;

use clap::Args;

use crate::exit;

/// Arguments of `augur doctor`.
#[derive(Debug, Args)]
pub struct Arguments {}

impl Arguments {
    /// Checks each need and prints one line for it.
    ///
    /// # Errors
    /// None so far: an unmet need is a line and the exit code, not an error.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if std::env::consts::OS == "linux" && std::env::consts::ARCH == "x86_64" {
            println!("ok   Linux on x86-64");
            return Ok(ExitCode::SUCCESS);
        }
        println!("need Linux on x86-64: the guest and its programs are built for it");
        Ok(ExitCode::from(exit::MACHINE))
    }
}
