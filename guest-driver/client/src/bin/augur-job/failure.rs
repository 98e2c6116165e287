// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ends a job early, and the exit code it has.

use std::path::Path;
use std::process::ExitCode;

use augur_client::Error;

/// Exit code of a job that ran and got a wrong result, or whose card failed.
pub const WRONG_RESULT: u8 = 1;
/// Exit code for arguments and files that cannot be used.
const BAD_INPUT: u8 = 2;
/// Exit code when there is no card or driver.
const NO_CARD: u8 = 3;

/// Why a job ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file cannot be used; the message says why and what to do.
    #[error("{0}")]
    Input(String),

    /// There is no card.
    #[error("{0}")]
    NoCard(Error),

    /// The card or its driver refused or failed.
    #[error("{step}: {error}")]
    Card {
        /// What was being done.
        step: String,
        /// Why it failed.
        error: Error,
    },
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Input(_) => BAD_INPUT,
            Failure::NoCard(_) => NO_CARD,
            Failure::Card { .. } => WRONG_RESULT,
        })
    }

    /// The card cannot be opened.
    pub fn no_card(error: Error) -> Self {
        Failure::NoCard(error)
    }

    /// Something cannot be written at `path`.
    pub fn output(path: &Path, error: &std::io::Error) -> Self {
        Failure::Input(format!("cannot write {}: {error}", path.display()))
    }
}

/// Says what was being done when the card failed.
pub trait During<T> {
    /// Names the step.
    ///
    /// # Errors
    /// The error, with the step's name.
    fn during(self, step: &str) -> Result<T, Failure>;
}

impl<T> During<T> for Result<T, Error> {
    fn during(self, step: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Card {
            step: step.to_owned(),
            error,
        })
    }
}
