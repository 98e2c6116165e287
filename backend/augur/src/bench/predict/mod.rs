// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench predict`: policies against each other on access traces.
//!
//! The card's own mapping manager runs on a virtual clock under each policy;
//! what differs between two lines of a result is the policy and nothing else.

pub mod adapt;
mod arguments;
mod html;
mod link;
mod oracle;
mod picture;
mod policy;
mod simulation;
mod workload;

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use augur_memory::Frames;
use augur_predictor::{Config, Learner, Mode, Predictor};
use serde::Serialize;

pub use arguments::{Arguments, kinds, share};
pub use picture::Picture;
pub use policy::{DEGREES, Kind, Policy};
pub use simulation::{Costs, Observe, Outcome, Probe, Simulation};
pub use workload::Workload;

use oracle::Future;

/// The smallest aperture.
const MIN_FRAMES: u32 = 64;
/// Steps that a stream may always look ahead: the predictor hears of an access at once,
/// and a fill takes as long as a few steps.
pub const LEAST_STEPS: u8 = 3;

/// How the runs are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Share of the trace's distinct pages that the aperture holds.
    pub aperture: f64,
    /// What policies see.
    pub observe: Observe,
    /// Seed of whatever a policy draws.
    pub seed: u64,
}

/// One line of the result: a policy on a trace.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The file's name.
    pub trace: String,
    /// The policy.
    pub policy: &'static str,
    /// Its degree, for baselines.
    pub degree: Option<u32>,
    /// Page touches.
    pub accesses: u64,
    /// Distinct pages of the trace, in bytes.
    pub footprint_bytes: u64,
    /// The aperture.
    pub aperture_bytes: u64,
    /// Demand faults.
    pub faults: u64,
    /// Touches of pages that a prediction had on the way.
    pub late: u64,
    /// Time that streams waited.
    pub stall_ns: u64,
    /// 1 − stall ÷ stall of `none`.
    pub stall_removed: f64,
    /// Used ÷ mapped speculatively; `null` if nothing was.
    pub accuracy: Option<f64>,
    /// 1 − faults ÷ faults of `none`.
    pub coverage: f64,
    /// Bytes over the link.
    pub moved_bytes: u64,
    /// Bytes mapped and unmapped unused.
    pub wasted_bytes: u64,
    /// Median host time of the network for a batch of candidates.
    pub infer_ns_p50: Option<u64>,
    /// 99th percentile of the same.
    pub infer_ns_p99: Option<u64>,
    /// Bytes of the model's weights.
    pub model_bytes: Option<u64>,
}

/// The aperture's frames for a share of the footprint.
pub fn aperture_frames(workload: &Workload, share: f64) -> Frames {
    let frames = (workload.pages.len() as f64 * share).round() as u32;
    Frames(frames.max(MIN_FRAMES))
}

/// A fresh policy of this kind.
fn policy(kind: Kind, workload: &Workload, frames: Frames, seed: u64) -> anyhow::Result<Policy> {
    Ok(match kind {
        Kind::None => Policy::prefetching(None),
        Kind::Baseline(baseline, degree) => Policy::prefetching(Some(baseline.prefetcher(degree))),
        Kind::Min | Kind::Clairvoyant => {
            let future = Future::new(workload.unstalled_order(), workload.pages.len());
            Policy::oracle(future, kind == Kind::Clairvoyant)
        }
        Kind::Classic | Kind::Augur => {
            let mut predictor = Predictor::new(Config {
                mode: if kind == Kind::Augur {
                    Mode::Full
                } else {
                    Mode::Classic
                },
                frames: frames.0,
                least_steps: LEAST_STEPS,
                costs: augur_predictor::Costs::default(),
                seed,
            });
            if kind == Kind::Augur {
                predictor.measure_inference(host_nanos);
                Policy::prefetching(Some(Box::new(Learner::new(predictor)?)))
            } else {
                Policy::prefetching(Some(Box::new(predictor)))
            }
        }
    })
}

/// What the network of a run cost the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inference {
    /// Median time of a batch of candidates.
    pub ns_p50: Option<u64>,
    /// 99th percentile of the same.
    pub ns_p99: Option<u64>,
    /// Bytes of the model's weights.
    pub model_bytes: Option<u64>,
}

/// Host nanoseconds since the first call; measures, and decides nothing.
fn host_nanos() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Runs one policy on one trace.
///
/// # Errors
/// When the manager refuses the configuration.
pub fn run_one(
    workload: &Workload,
    kind: Kind,
    options: &Options,
) -> anyhow::Result<(Outcome, Inference)> {
    let frames = aperture_frames(workload, options.aperture);
    let policy = policy(kind, workload, frames, options.seed)?;
    let (outcome, policy) = run_policy(workload, policy, options)?;
    let inference =
        policy
            .learner()
            .map(Learner::predictor)
            .map_or_else(Inference::default, |predictor| Inference {
                ns_p50: predictor.inference().quantile(0.5),
                ns_p99: predictor.inference().quantile(0.99),
                model_bytes: predictor
                    .export_model(None)
                    .map(|model| model.info().bytes.into()),
            });
    Ok((outcome, inference))
}

/// The same, watched by `probe`.
///
/// # Errors
/// When the manager refuses the configuration.
pub fn run_probed<P: Probe>(
    workload: &Workload,
    kind: Kind,
    options: &Options,
    probe: P,
) -> anyhow::Result<(Outcome, P)> {
    let frames = aperture_frames(workload, options.aperture);
    let policy = policy(kind, workload, frames, options.seed)?;
    let (outcome, _, probe) = simulate(workload, policy, options, probe)?;
    Ok((outcome, probe))
}

/// Runs a policy that was made elsewhere, and returns it with what it learned.
///
/// # Errors
/// When the manager refuses the configuration.
pub fn run_policy(
    workload: &Workload,
    policy: Policy,
    options: &Options,
) -> anyhow::Result<(Outcome, Policy)> {
    let (outcome, policy, ()) = simulate(workload, policy, options, ())?;
    Ok((outcome, policy))
}

fn simulate<P: Probe>(
    workload: &Workload,
    policy: Policy,
    options: &Options,
    probe: P,
) -> anyhow::Result<(Outcome, Policy, P)> {
    let simulation = Simulation::new(
        workload,
        aperture_frames(workload, options.aperture),
        Costs::DEFAULT,
        options.observe,
        policy,
        probe,
    )?;
    simulation.run()
}

/// Runs `kinds` on one trace, on as many threads as there are processors. The
/// result has `none` in it only if it was asked for.
///
/// # Errors
/// The first that a run meets.
pub fn run_all(
    name: &Path,
    workload: &Workload,
    kinds: &[Kind],
    options: &Options,
) -> anyhow::Result<Vec<Line>> {
    let mut jobs = kinds.to_vec();
    if !jobs.contains(&Kind::None) {
        jobs.push(Kind::None);
    }
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Option<anyhow::Result<_>>> = jobs.iter().map(|_| None).collect();
    let outcomes = Mutex::new(outcomes);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(&kind) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_one(workload, kind, options);
                    let mut outcomes = outcomes.lock().unwrap_or_else(|e| e.into_inner());
                    if let Some(place) = jobs.iter().position(|&job| job == kind) {
                        outcomes[place] = Some(outcome);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(|e| e.into_inner());
    let mut measured = Vec::new();
    for (kind, outcome) in jobs.into_iter().zip(outcomes) {
        if let Some(outcome) = outcome {
            measured.push((kind, outcome?));
        }
    }
    let none = measured
        .iter()
        .find(|(kind, _)| *kind == Kind::None)
        .map_or_else(Outcome::default, |(_, (outcome, _))| *outcome);
    let trace = name
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let frames = aperture_frames(workload, options.aperture);
    Ok(measured
        .into_iter()
        .filter(|(kind, _)| kinds.contains(kind))
        .map(|(kind, (outcome, inference))| Line {
            trace: trace.clone(),
            policy: kind.name(),
            degree: kind.degree(),
            accesses: outcome.touches,
            footprint_bytes: (workload.pages.len() as u64) << augur_memory::PAGE_SHIFT,
            aperture_bytes: frames.bytes(),
            faults: outcome.faults,
            late: outcome.late,
            stall_ns: outcome.stall.0,
            stall_removed: 1.0 - ratio(outcome.stall.0, none.stall.0),
            accuracy: (outcome.speculated > 0).then(|| ratio(outcome.used, outcome.speculated)),
            coverage: 1.0 - ratio(outcome.faults, none.faults),
            moved_bytes: outcome.moved_bytes,
            wasted_bytes: outcome.wasted_bytes,
            infer_ns_p50: inference.ns_p50,
            infer_ns_p99: inference.ns_p99,
            model_bytes: inference.model_bytes,
        })
        .collect())
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::generate::{Conv, Plan};

    #[test]
    fn where_predictions_move_too_much_it_falls_back_to_moving_little() {
        let sizes = Conv {
            height: 24,
            width: 24,
            channels: 80,
            filters: 112,
            batch: 5,
            streams: 2,
            ..Conv::default()
        };
        let records: Vec<_> = Plan::new(&sizes, 203).unwrap().take(15_000).collect();
        let workload = Workload::new(&records);
        let options = Options {
            aperture: 0.25,
            observe: Observe::All,
            seed: 1,
        };
        let moved = |kind| run_one(&workload, kind, &options).unwrap().0.moved_bytes;
        let (classic, demand) = (moved(Kind::Classic), moved(Kind::None));
        // Without the arm it is 4.8 times.
        assert!(classic < demand * 2, "{classic} {demand}");
    }
}
