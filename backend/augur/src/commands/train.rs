// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur train`: a model for the card's predictor, from recorded traces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use augur_predictor::{Config, Costs, Learner, Mode, Model, Predictor};
use clap::Args;
use serde::Serialize;

use crate::bench::predict::{
    Kind, LEAST_STEPS, Observe, Options, Policy, Workload, aperture_frames, run_one, run_policy,
    share,
};
use crate::exit::Failure;
use crate::output_file::OutputFile;
use crate::progress::Step;
use crate::trace;

/// Train a model for the card's predictor on recorded traces.
///
/// The card's own predictor runs over the traces on a virtual clock and learns
/// as it does in the card; its weights go from one trace to the next and, as
/// safetensors, to MODEL. `augur-smi model push` gives them to a card.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Access traces (CSV, plain or .zst), in the order in which they are
    /// learned.
    #[arg(required_unless_present = "info", value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// The model to write.
    #[arg(short, long, required_unless_present = "info", value_name = "MODEL")]
    output: Option<PathBuf>,
    /// Begin with this model's weights.
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    /// Times that all traces are gone through.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// The aperture, as a share of a trace's distinct pages.
    #[arg(long, default_value = "25%")]
    aperture: String,
    /// What the predictor sees.
    #[arg(long, value_enum, default_value = "first-touch")]
    observe: Observe,
    /// Seed of a new model's weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only say what this model is.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["traces", "output", "from"])]
    info: Option<PathBuf>,
}

/// What came of one trace.
#[derive(Serialize)]
struct Lesson<'a> {
    epoch: u32,
    trace: &'a str,
    faults: u64,
    stall_removed: f64,
    generation: u64,
    /// Steps of training that were not taken because weights diverged.
    refused: u64,
}

/// What a model is.
#[derive(Serialize)]
struct About {
    model: String,
    generation: u64,
    checksum: String,
    parameters: u32,
    /// Bytes of the file.
    bytes: usize,
}

impl About {
    fn new(path: &Path, model: &Model) -> anyhow::Result<Self> {
        let info = model.info();
        Ok(Self {
            model: path.display().to_string(),
            generation: info.generation,
            checksum: format!("{:016x}", info.checksum),
            parameters: info.parameters,
            bytes: model.to_bytes()?.len(),
        })
    }

    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            println!(
                "{}: {} steps of training, {} parameters, {} bytes, checksum {}",
                self.model, self.generation, self.parameters, self.bytes, self.checksum
            );
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Model> {
    let unusable = |reason: String| Failure::input(format!("{}: {reason}", path.display()));
    let bytes = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    Ok(Model::from_bytes(&bytes).map_err(|error| unusable(error.to_string()))?)
}

impl Arguments {
    /// Trains.
    ///
    /// # Errors
    /// A trace, a model or an argument that cannot be used, or a model that
    /// cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(path) = &self.info {
            About::new(path, &read(path)?)?.print(self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let output = self.output.as_deref().unwrap_or(Path::new("model"));
        let options = Options {
            aperture: share(&self.aperture)?,
            observe: self.observe,
            seed: self.seed,
        };
        let file = OutputFile::create(output)?;
        let mut workloads = Vec::new();
        for path in &self.traces {
            let records = trace::read(path)
                .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
            let workload = Workload::new(&records);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let none = run_one(&workload, Kind::None, &options)?.0.stall.0;
            workloads.push((name.into_owned(), workload, none));
        }
        let mut model = match &self.from {
            Some(path) => read(path)?,
            None => Model::untrained(self.seed),
        };
        for epoch in 1..=self.epochs {
            for (name, workload, none) in &workloads {
                let mut step = Step::new(&format!("epoch {epoch}, {name}"));
                step.beat(String::new);
                let (lesson, learned) = teach(model, workload, *none, &options)?;
                model = learned;
                step.finish(true);
                let lesson = Lesson {
                    epoch,
                    trace: name,
                    ..lesson
                };
                if self.json {
                    println!("{}", serde_json::to_string(&lesson)?);
                } else {
                    println!(
                        "epoch {epoch} {name}: {} faults, {:.2} % of the stall removed, {} steps of training",
                        lesson.faults,
                        100.0 * lesson.stall_removed,
                        lesson.generation
                    );
                }
            }
        }
        file.finish_with(&model.to_bytes()?)?;
        About::new(output, &model)?.print(self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the predictor with `model` over a trace, and returns what it became.
fn teach(
    model: Model,
    workload: &Workload,
    none: u64,
    options: &Options,
) -> anyhow::Result<(Lesson<'static>, Model)> {
    let mut predictor = Predictor::new(Config {
        mode: Mode::Full,
        frames: aperture_frames(workload, options.aperture).0,
        least_steps: LEAST_STEPS,
        costs: Costs::default(),
        seed: options.seed,
    });
    predictor.install_model(None, model);
    let policy = Policy::prefetching(Some(Box::new(Learner::new(predictor)?)));
    let (outcome, policy) = run_policy(workload, policy, options)?;
    let learner = policy.learner().context("the run has lost its learner")?;
    let model = learner
        .predictor()
        .export_model(None)
        .context("the predictor has no model")?;
    let lesson = Lesson {
        epoch: 0,
        trace: "",
        faults: outcome.faults,
        stall_removed: 1.0 - outcome.stall.0 as f64 / none.max(1) as f64,
        generation: model.info().generation,
        refused: learner.refused(),
    };
    Ok((lesson, model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::generate::{Gemm, Plan};

    #[test]
    fn training_is_the_run_that_the_benchmark_measures() {
        let records: Vec<_> = Plan::new(&Gemm::default(), 1)
            .unwrap()
            .take(8_000)
            .collect();
        let workload = Workload::new(&records);
        for observe in [Observe::FirstTouch, Observe::All] {
            let options = Options {
                aperture: 0.25,
                observe,
                seed: 1,
            };
            let (measured, _) = run_one(&workload, Kind::Augur, &options).unwrap();
            let none = measured.stall.0;
            let (lesson, _) = teach(Model::untrained(1), &workload, none, &options).unwrap();
            assert_eq!(lesson.faults, measured.faults);
            assert_eq!(lesson.stall_removed, 0.0);
        }
    }

    #[test]
    fn a_trained_model_has_changed_and_survives_its_file() {
        let records: Vec<_> = Plan::new(&Gemm::default(), 1)
            .unwrap()
            .take(8_000)
            .collect();
        let workload = Workload::new(&records);
        let options = Options {
            aperture: 0.25,
            observe: Observe::All,
            seed: 1,
        };
        let untrained = Model::untrained(1);
        let (lesson, model) = teach(untrained.clone(), &workload, 1, &options).unwrap();
        assert!(lesson.generation > 0);
        assert_ne!(model.info().checksum, untrained.info().checksum);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let file = OutputFile::create(&path).unwrap();
        file.finish_with(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(read(&path).unwrap().info(), model.info());
        fs::write(&path, b"no model").unwrap();
        let reason = read(&path).err().unwrap().to_string();
        assert!(reason.contains("m.safetensors: "), "{reason}");
    }
}
