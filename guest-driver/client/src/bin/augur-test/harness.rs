// SPDX-License-Identifier: MIT OR Apache-2.0
//! What subtests are made of.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use augur_client::{Device, Error, Status};

/// Longest time that what must happen at last may take. It only ends a hang: a guest
/// may stand still for long on a busy host.
pub const AT_LAST: Duration = Duration::from_secs(600);

/// What the command line chose for all subtests.
#[derive(Clone, Debug)]
pub struct Options {
    /// Device file; the first card if none.
    pub device: Option<PathBuf>,
    /// Where random numbers begin.
    pub seed: u64,
    /// Device memory that subtests on size use at most.
    pub bytes: u64,
    /// Random accesses of each process in random-touch.
    pub touches: u32,
    /// Rounds of churn, of all its processes together.
    pub rounds: u32,
    /// Processes of random-touch.
    pub processes: u32,
}

impl Options {
    /// Opens the card, with a new context.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self) -> Result<Device, Error> {
        match &self.device {
            Some(path) => Device::open(path),
            None => Device::open_first(),
        }
    }

    /// Random numbers that depend on the seed and the use only.
    pub fn random(&self, purpose: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
    }
}

/// One subtest.
pub struct Subtest {
    /// Name on the command line.
    pub name: &'static str,
    /// What it guards, in a line.
    pub summary: &'static str,
    /// Whether it needs nobody outside the guest.
    pub alone: bool,
    /// The test itself.
    pub run: fn(&Options) -> Outcome,
}

/// How a subtest ends.
pub type Outcome = Result<(), Failure>;

/// Why a subtest did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure(error.to_string())
    }
}

/// Says what was being done when something failed.
pub trait While<T> {
    /// Puts `what` before the message.
    ///
    /// # Errors
    /// The failure with the longer message.
    fn while_doing(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> While<T> for Result<T, E> {
    fn while_doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let Failure(reason) = error.into();
            Failure(format!("{}: {reason}", what()))
        })
    }
}

/// Fails with a message unless something holds.
///
/// # Errors
/// It does not hold.
pub fn check(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Failure(message()))
    }
}

/// Fails unless a list ended with this status.
///
/// # Errors
/// It ended well, or otherwise.
pub fn check_status<T>(result: Result<T, Error>, expected: Status, what: &str) -> Outcome {
    match result {
        Err(Error::ListFailed { status, .. }) if status == expected => Ok(()),
        Err(error) => Err(Failure(format!(
            "{what}: expected {expected:?}, got: {error}"
        ))),
        Ok(_) => Err(Failure(format!(
            "{what}: expected {expected:?}, but the list ended well"
        ))),
    }
}
