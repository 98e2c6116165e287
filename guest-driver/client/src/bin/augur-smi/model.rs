// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-smi model`: the models by which a card maps memory ahead of use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use augur_client::prediction::{ModelScope, PredictorMode, PulledModel};
use augur_client::{Device, Error};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::Failure;

/// What is done with a model.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Say what predicts now: steps of training, checksum, size.
    Info {
        /// Of the context with this id (see augur-smi), not of the card.
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
        context: Option<u32>,
    },
    /// Write the model that predicts now, with what it has learned, to a
    /// safetensors file.
    Pull {
        /// The file.
        file: PathBuf,
        /// Of the context with this id, not of the card.
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
        context: Option<u32>,
    },
    /// Let a model predict from now on, such as one that was pulled or made by
    /// `augur train`. A model that cannot be used is refused with the reason, and
    /// the one before it stays.
    Push {
        /// The safetensors file.
        file: PathBuf,
        /// For the context with this id alone; it goes when the program ends.
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
        context: Option<u32>,
    },
}

/// Does it; returns what there is to say.
///
/// # Errors
/// The card refused, or the file cannot be read or written.
pub fn run(device: &Device, action: &Action, as_json: bool) -> Result<String, Failure> {
    match action {
        Action::Info { context } => {
            let model = pull(device, *context)?;
            Ok(said(&model, as_json))
        }
        Action::Pull { file, context } => {
            let model = pull(device, *context)?;
            write(file, &model.file)?;
            Ok(said(&model, as_json))
        }
        Action::Push { file, context } => {
            let bytes = fs::read(file).map_err(failed(file))?;
            match context {
                None => device.push_model(ModelScope::Card, &bytes)?,
                Some(context) => device
                    .push_model_to(*context, &bytes)
                    .map_err(|error| named(*context, error))?,
            }
            Ok(said(&pull(device, *context)?, as_json))
        }
    }
}

fn pull(device: &Device, context: Option<u32>) -> Result<PulledModel, Failure> {
    Ok(match context {
        None => device.pull_model(ModelScope::Card)?,
        Some(context) => device
            .pull_model_of(context)
            .map_err(|error| named(context, error))?,
    })
}

/// The kernel's `ENOENT` in this tool's words.
fn named(context: u32, error: Error) -> Failure {
    match error {
        Error::Kernel { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Failure::NoContext(context)
        }
        error => error.into(),
    }
}

/// The file is whole, or what was there before.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, file))
        .map_err(failed(file))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    let what = path.display().to_string();
    move |source| Failure::System {
        what: what.clone(),
        source,
    }
}

fn said(model: &PulledModel, as_json: bool) -> String {
    if as_json {
        return format!("{:#}\n", to_json(model));
    }
    format!(
        "generation  {}\nchecksum    {:016x}\nparameters  {}\nbytes       {}\nmode        {}\n",
        model.generation,
        model.checksum,
        model.parameters,
        model.file.len(),
        mode(model)
    )
}

fn to_json(model: &PulledModel) -> Value {
    json!({
        "generation": model.generation,
        "checksum": format!("{:016x}", model.checksum),
        "parameters": model.parameters,
        "bytes": model.file.len(),
        "mode": mode(model),
    })
}

fn mode(model: &PulledModel) -> &'static str {
    match model.mode {
        Some(PredictorMode::Off) => "off",
        Some(PredictorMode::Classic) => "classic",
        Some(PredictorMode::Full) => "full",
        Some(PredictorMode::Default) | None => "unknown",
    }
}
