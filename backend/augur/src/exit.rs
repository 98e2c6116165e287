// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes, and the one place where an error becomes a line on stderr.

use std::fmt;
use std::process::ExitCode;

/// The work failed: a result was wrong, a guest crashed or timed out.
pub const FAILED: u8 = 1;
/// The arguments or an input file cannot be used (clap exits with 2 as well).
pub const BAD_INPUT: u8 = 2;
/// This machine lacks something; `augur doctor` says what.
pub const MACHINE: u8 = 3;
/// `augur guest` alone: the guest failed, whatever its command would have said.
pub const GUEST_FAILED: u8 = 125;

/// An error whose exit code is not [`FAILED`].
///
/// Put it at the bottom of an `anyhow` chain; [`report`] looks for it.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// What the user gave cannot be used; `message` says what to do instead.
    pub fn input(message: impl Into<String>) -> Self {
        Self {
            code: BAD_INPUT,
            message: message.into(),
        }
    }

    /// This machine lacks something; `message` says how to mend it.
    pub fn machine(message: impl Into<String>) -> Self {
        Self {
            code: MACHINE,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints `error` with its causes on one line of stderr and returns the exit
/// code it stands for.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("augur: {error:#}");
    let code = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>())
        .map_or(FAILED, |failure| failure.code);
    ExitCode::from(code)
}
