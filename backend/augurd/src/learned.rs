// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of what the card learns and does: the model that outlives the process,
//! the trace of accesses, and the schedule.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use augur_card::{Card, CardError, ModelError};
use thiserror::Error;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum LearnedError {
    /// The model cannot be read.
    #[error("cannot read the model {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The model is none of this card's.
    #[error("the model {path} cannot be used: {error}; remove it to start anew")]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ModelError,
    },
    /// The trace cannot be written.
    #[error("cannot write the trace {path}: {error}")]
    Trace {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The schedule cannot be written.
    #[error("cannot write the schedule {path}: {error}")]
    Schedule {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The card cannot record.
    #[error(transparent)]
    Card(#[from] CardError),
}

/// Has the card go on from the model in a file, if there is one yet.
///
/// # Errors
/// [`LearnedError::Read`] or [`LearnedError::Model`].
pub fn load(card: &Card, path: &Path) -> Result<(), LearnedError> {
    let file = match fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(LearnedError::Read {
                path: path.into(),
                error,
            });
        }
    };
    card.install_model(&file)
        .map_err(|error| LearnedError::Model {
            path: path.into(),
            error,
        })
}

/// Writes what a card learned that was shut down. The file before it stays until
/// the new one is whole.
pub fn save(card: &Card, path: &Path) {
    let Some(file) = card.take_learned_model() else {
        return;
    };
    let partial = path.with_extension("partial");
    let written = File::create(&partial)
        .and_then(|mut new| {
            new.write_all(&file)?;
            new.sync_all()
        })
        .and_then(|()| fs::rename(&partial, path));
    match written {
        Ok(()) => log::info!("what was learned is in {}", path.display()),
        Err(error) => log::error!("cannot write the model {}: {error}", path.display()),
    }
}

/// Records the card's accesses in a trace file.
///
/// # Errors
/// [`LearnedError::Trace`] or [`LearnedError::Card`].
pub fn record(card: &Card, path: &Path) -> Result<(), LearnedError> {
    let file = File::create(path).map_err(|error| LearnedError::Trace {
        path: path.into(),
        error,
    })?;
    Ok(card.record(Box::new(BufWriter::new(file)), || true)?)
}

/// Records the card's schedule in a file.
///
/// # Errors
/// [`LearnedError::Schedule`] or [`LearnedError::Card`].
pub fn record_schedule(card: &Card, path: &Path) -> Result<(), LearnedError> {
    let file = File::create(path).map_err(|error| LearnedError::Schedule {
        path: path.into(),
        error,
    })?;
    Ok(card.record_schedule(Box::new(BufWriter::new(file)))?)
}
