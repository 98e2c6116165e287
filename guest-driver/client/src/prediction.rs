// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapping ahead of use, as a program sees it: the mode of its file, models, and
//! the record of its accesses.

use std::time::{Duration, Instant};

use augur_abi::predict::{MAX_MODEL_BYTES, MAX_PROFILE_RECORDS, MODEL_CHUNK, ModelPushed};
pub use augur_abi::predict::{ModelScope, PredictorMode, ProfileRecord};
use zerocopy::IntoBytes as _;

use crate::device::Device;
use crate::error::Error;
use crate::kernel;
use crate::uapi;

/// How long the card may take to make a copy of a model. Its learning thread comes last
/// on a busy host.
const COPY: Duration = Duration::from_secs(60);
/// How often it is asked for it.
const INTERVAL: Duration = Duration::from_millis(1);
/// Stands for the context of the device file itself.
const OWN: u32 = 0;

/// Whose accesses are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileScope {
    /// Those of this context.
    Context,
    /// Those of all contexts; needs CAP_SYS_ADMIN, and goes on when the device is
    /// closed.
    Card,
}

/// A model that was read from the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledModel {
    /// The safetensors file.
    pub file: Vec<u8>,
    /// Steps of training behind it.
    pub generation: u64,
    /// FNV-1a over the bytes of all weights.
    pub checksum: u64,
    /// Weights and biases.
    pub parameters: u32,
    /// How memory is mapped ahead for this program now.
    pub mode: Option<PredictorMode>,
}

/// Accesses that the card has recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// In the order in which the card learned of them.
    pub records: Vec<ProfileRecord>,
    /// Records that were dropped because nobody read them in time.
    pub lost: u64,
    /// Whether the card still records.
    pub recording: bool,
}

impl Device {
    /// Chooses how memory is mapped ahead of use for this context.
    ///
    /// # Errors
    /// The card refused or is lost.
    pub fn set_predictor(&self, mode: PredictorMode) -> Result<(), Error> {
        let mut argument = uapi::Predictor {
            mode: mode.code(),
            pad: 0,
        };
        kernel::call(&self.file, &mut argument)
    }

    /// Reads the model that predicts for this context, or the card's.
    ///
    /// # Errors
    /// The card refused, is lost, or took too long.
    pub fn pull_model(&self, scope: ModelScope) -> Result<PulledModel, Error> {
        self.pull(scope, OWN)
    }

    /// Reads the model that predicts for another program's context; needs
    /// CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// As [`Device::pull_model`], or the context does not exist.
    pub fn pull_model_of(&self, context: u32) -> Result<PulledModel, Error> {
        self.pull(ModelScope::Context, context)
    }

    fn pull(&self, scope: ModelScope, context: u32) -> Result<PulledModel, Error> {
        let end = Instant::now() + COPY;
        let mut file = Vec::new();
        loop {
            let mut argument = uapi::ModelPull {
                scope: scope.code(),
                context,
                offset: u32::try_from(file.len()).unwrap_or(u32::MAX),
                ..Default::default()
            };
            let mut part = [0; MODEL_CHUNK];
            match kernel::model_pull(&self.file, &mut argument, &mut part) {
                Err(error) if file.is_empty() && error.is_busy() && Instant::now() < end => {
                    std::thread::sleep(INTERVAL);
                    continue;
                }
                result => result?,
            }
            let bytes = (argument.bytes as usize).min(MODEL_CHUNK);
            file.extend_from_slice(part.get(..bytes).unwrap_or_default());
            if bytes == 0 || file.len() >= argument.total as usize {
                return Ok(PulledModel {
                    file,
                    generation: argument.generation,
                    checksum: argument.checksum,
                    parameters: argument.parameters,
                    mode: PredictorMode::from_code(argument.mode),
                });
            }
        }
    }

    /// Gives a model in safetensors form to this context or, with CAP_SYS_ADMIN, to
    /// the card.
    ///
    /// # Errors
    /// [`Error::Model`] says why the card refused it; the model before it stays.
    pub fn push_model(&self, scope: ModelScope, file: &[u8]) -> Result<(), Error> {
        self.push(scope, OWN, file)
    }

    /// Gives a model to another program's context; needs CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// As [`Device::push_model`], or the context does not exist.
    pub fn push_model_to(&self, context: u32, file: &[u8]) -> Result<(), Error> {
        self.push(ModelScope::Context, context, file)
    }

    fn push(&self, scope: ModelScope, context: u32, file: &[u8]) -> Result<(), Error> {
        let total = u32::try_from(file.len()).unwrap_or(u32::MAX);
        if total > MAX_MODEL_BYTES {
            return Err(Error::Model {
                reason: format!(
                    "the file has {} bytes, more than the {MAX_MODEL_BYTES} allowed",
                    file.len()
                ),
            });
        }
        for (index, part) in file.chunks(MODEL_CHUNK).enumerate() {
            let mut argument = uapi::ModelPush {
                scope: scope.code(),
                total,
                offset: u32::try_from(index * MODEL_CHUNK).unwrap_or(u32::MAX),
                bytes: u32::try_from(part.len()).unwrap_or(u32::MAX),
                pointer: 0,
                outcome: 0,
                context,
                reason: [0; 120],
            };
            kernel::model_push(&self.file, &mut argument, part)?;
            match ModelPushed::from_code(argument.outcome) {
                Some(ModelPushed::Incomplete) => {}
                Some(ModelPushed::Installed) => return Ok(()),
                _ => {
                    let text = argument.reason.split(|&byte| byte == 0).next();
                    let reason = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
                    return Err(Error::Model { reason });
                }
            }
        }
        Err(Error::Model {
            reason: "the file is empty".into(),
        })
    }

    /// Begins anew to record what the card knows of accesses.
    ///
    /// # Errors
    /// The card refused or is lost.
    pub fn start_profile(&self, scope: ProfileScope) -> Result<(), Error> {
        self.profile(scope, uapi::PROFILE_START, &mut [])
            .map(|_| ())
    }

    /// Stops to record; what was recorded can still be read.
    ///
    /// # Errors
    /// The card refused or is lost.
    pub fn stop_profile(&self, scope: ProfileScope) -> Result<(), Error> {
        self.profile(scope, uapi::PROFILE_STOP, &mut []).map(|_| ())
    }

    /// Takes everything that was recorded since the last call.
    ///
    /// # Errors
    /// The card refused or is lost.
    pub fn read_profile(&self, scope: ProfileScope) -> Result<Profile, Error> {
        let mut profile = Profile::default();
        loop {
            let mut records = [ProfileRecord::default(); MAX_PROFILE_RECORDS];
            let argument = self.profile(scope, uapi::PROFILE_READ, records.as_mut_bytes())?;
            profile.lost = argument.lost;
            profile.recording = argument.recording != 0;
            let count = (argument.count as usize).min(MAX_PROFILE_RECORDS);
            profile
                .records
                .extend_from_slice(records.get(..count).unwrap_or_default());
            if count < MAX_PROFILE_RECORDS {
                return Ok(profile);
            }
        }
    }

    fn profile(
        &self,
        scope: ProfileScope,
        action: u32,
        room: &mut [u8],
    ) -> Result<uapi::Profile, Error> {
        let mut argument = uapi::Profile {
            action,
            flags: match scope {
                ProfileScope::Context => 0,
                ProfileScope::Card => uapi::PROFILE_OF_CARD,
            },
            ..Default::default()
        };
        kernel::profile(&self.file, &mut argument, room)?;
        Ok(argument)
    }
}
