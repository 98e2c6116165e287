// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of what the card learns and does: the model that outlives the process,
//! the trace of accesses, and the schedule.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use augur_card::{Card, CardError, ModelError};
use tempfile::NamedTempFile;
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
    /// The model could not be written when the process ends.
    #[error("cannot write the model {path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
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

/// The file of a model, from which a card goes on and in which it leaves what it has
/// learned.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    /// A process ends in two ways, and may in both at one time: whoever is second has to
    /// wait until the file is whole.
    saving: Mutex<()>,
}

impl ModelFile {
    /// Has the card go on from the model in a file, if there is one yet.
    ///
    /// # Errors
    /// [`LearnedError::Read`], [`LearnedError::Model`], or [`LearnedError::Write`] where
    /// nothing could be left.
    pub fn load(card: &Card, path: PathBuf) -> Result<Self, LearnedError> {
        match fs::read(&path) {
            Ok(file) => {
                let installed = card.install_model(&file);
                installed.map_err(|error| LearnedError::Model {
                    path: path.clone(),
                    error,
                })?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LearnedError::Read { path, error }),
        }
        if let Err(error) = begin(&path) {
            return Err(LearnedError::Write { path, error });
        }
        let saving = Mutex::default();
        Ok(Self { path, saving })
    }

    /// Writes what a card learned that was shut down. The file before it stays until
    /// the new one is whole.
    pub fn save(&self, card: &Card) {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = card.take_learned_model() else {
            return;
        };
        let path = self.path.display();
        let written = begin(&self.path).and_then(|mut new| {
            new.write_all(&file)?;
            new.as_file().sync_all()?;
            new.persist(&self.path).map_err(|error| error.error)
        });
        match written {
            Ok(_) => log::info!("what was learned is in {path}"),
            Err(error) => log::error!("cannot write the model {path}: {error}"),
        }
    }
}

/// A new file beside `path`, which goes unless it takes its name.
fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::metadata(folder)?;
    tempfile::Builder::new()
        .prefix(".augurd-")
        .suffix(".partial")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // Its text names a file that nobody chose.
        .map_err(|error| error.kind().into())
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
