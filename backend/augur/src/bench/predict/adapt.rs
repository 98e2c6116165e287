// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench adapt`: how fast a policy is itself again when the program changes
//! what it does.
//!
//! The first page touches of several traces are spliced, each trace with addresses
//! and streams of its own, and each begins when the one before has ended. The steady
//! state of a phase is its mean stall for a touch over its last touches; a phase is
//! back when the mean over a window falls to that and a tenth more for the first time.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use augur_memory::{Frames, Nanos, PageNumber};
use augur_predictor::Origin;
use clap::Args;
use serde::Serialize;

use super::arguments::{kinds, share};
use super::{Costs, Kind, MIN_FRAMES, Observe, Probe, Simulation, Workload, policy};
use crate::exit::Failure;
use crate::trace::{self, Record};

/// Touches of a window.
const WINDOW: usize = 500;
/// The last touches of a phase, which are its steady state.
const STEADY: usize = 20_000;
/// The share above the steady state within which a phase is back.
const MARGIN: f64 = 0.1;
/// Touches after which a phase should be back.
const AIM: usize = 2_000;
/// Virtual time that a phase is given for each of its touches, so that it has ended
/// before the next one begins.
const PATIENCE_NS: u64 = 1_000_000;

/// Arguments of `augur bench adapt`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Access traces, spliced in this order (CSV, plain or .zst).
    #[arg(long, required = true, num_args = 2..)]
    trace: Vec<PathBuf>,
    /// Page touches of each that are taken.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(21_000..=10_000_000))]
    phase: u32,
    /// The aperture, as a share of the distinct pages of the largest phase.
    #[arg(long, default_value = "25%")]
    aperture: String,
    /// What the policies see.
    #[arg(long, value_enum, default_value = "first-touch")]
    observe: Observe,
    /// Policies.
    #[arg(
        long,
        default_value = "none,clairvoyant,classic,augur",
        value_delimiter = ','
    )]
    policies: Vec<String>,
    /// Seed of whatever a policy draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

/// A phase under a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Line {
    /// The trace of the phase.
    trace: String,
    policy: &'static str,
    degree: Option<u32>,
    /// Place among the phases; the first is a cold start.
    phase: usize,
    /// Mean stall for a touch at the end of the phase.
    steady_ns: f64,
    /// Mean stall for a touch over the first window of the phase.
    first_ns: f64,
    /// Touches after which the phase was back.
    back_after: usize,
}

/// Phases spliced, and where each begins among the touches.
struct Spliced {
    records: Vec<Record>,
    begins: Vec<usize>,
    touches: usize,
    /// Distinct pages of the largest phase.
    pages: usize,
}

/// The stall of each touch, in the order in which touches end.
#[derive(Default)]
struct Stalls(Vec<Nanos>);

impl Probe for Stalls {
    fn touch(&mut self, _: Nanos, _: PageNumber, _: Option<Origin>, _: Nanos) {}

    fn ended(&mut self, stall: Nanos) {
        self.0.push(stall);
    }
}

fn splice(phases: &[Vec<Record>], wanted: u32) -> Spliced {
    let mut spliced = Spliced {
        records: Vec::new(),
        begins: Vec::new(),
        touches: 0,
        pages: 0,
    };
    let mut start = 0;
    let mut stream = 0;
    for (phase, records) in (0..).zip(phases) {
        spliced.begins.push(spliced.touches);
        let (mut touches, mut streams) = (0, 0);
        let mut pages = std::collections::HashSet::new();
        let first = records.first().map_or(0, |record| record.time_ns);
        for record in records {
            if touches >= wanted as usize {
                break;
            }
            touches += record.pages().count();
            pages.extend(record.pages());
            streams = streams.max(record.stream + 1);
            spliced.records.push(Record {
                time_ns: start + record.time_ns - first,
                stream: stream + record.stream,
                // The upper half of the address space is as good as the lower one.
                offset: record.offset ^ (phase & 1) << 47,
                ..*record
            });
        }
        let last = spliced.records.last().map_or(0, |record| record.time_ns);
        start = last + touches as u64 * PATIENCE_NS;
        stream += streams;
        spliced.touches += touches;
        spliced.pages = spliced.pages.max(pages.len());
    }
    spliced
}

fn mean(stalls: &[Nanos]) -> f64 {
    stalls.iter().map(|stall| stall.0 as f64).sum::<f64>() / stalls.len().max(1) as f64
}

/// Touches until the mean over a window is back at the steady state.
fn back_after(phase: &[Nanos], steady: f64) -> usize {
    phase
        .windows(WINDOW)
        .position(|window| mean(window) <= steady * (1.0 + MARGIN))
        .map_or(phase.len(), |place| place + WINDOW)
}

impl Arguments {
    /// Splices, runs the policies, prints a line for each phase.
    ///
    /// # Errors
    /// A file or an argument that cannot be used, or a run that failed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut phases = Vec::new();
        let mut names = Vec::new();
        for path in &self.trace {
            let records = trace::read(path)
                .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
            phases.push(records);
            let name = path.file_name().unwrap_or(path.as_os_str());
            names.push(name.to_string_lossy().into_owned());
        }
        let spliced = splice(&phases, self.phase);
        let workload = Workload::new(&spliced.records);
        let frames = (spliced.pages as f64 * share(&self.aperture)?).round() as u32;
        let frames = Frames(frames.max(MIN_FRAMES));
        let mut late = 0;
        for kind in kinds(&self.policies)? {
            for line in self.lines(kind, &workload, frames, &spliced, &names)? {
                late += usize::from(kind == Kind::Augur && line.back_after > AIM);
                self.print(&line)?;
            }
        }
        if !self.json {
            println!("phases of augur that were back later than after {AIM} touches: {late}");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn lines(
        &self,
        kind: Kind,
        workload: &Workload,
        frames: Frames,
        spliced: &Spliced,
        names: &[String],
    ) -> anyhow::Result<Vec<Line>> {
        let policy = policy(kind, workload, frames, self.seed)?;
        let costs = Costs::DEFAULT;
        let probe = Stalls::default();
        let simulation = Simulation::new(workload, frames, costs, self.observe, policy, probe)?;
        let (_, _, Stalls(stalls)) = simulation.run()?;
        ensure!(stalls.len() == spliced.touches, "a touch has not ended");
        let mut lines = Vec::new();
        for (phase, name) in names.iter().enumerate() {
            let begin = spliced.begins[phase];
            let end = spliced.begins.get(phase + 1).copied();
            let stalls = &stalls[begin..end.unwrap_or(stalls.len())];
            if stalls.len() < STEADY + WINDOW {
                let reason = format!("{name} has {} page touches: too few", stalls.len());
                return Err(Failure::input(reason).into());
            }
            let steady = mean(&stalls[stalls.len() - STEADY..]);
            lines.push(Line {
                trace: name.clone(),
                policy: kind.name(),
                degree: kind.degree(),
                phase,
                steady_ns: steady,
                first_ns: mean(&stalls[..WINDOW]),
                back_after: back_after(stalls, steady),
            });
        }
        Ok(lines)
    }

    fn print(&self, line: &Line) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(line)?);
        } else {
            println!(
                "{:12}{:>4} phase {:>2} {:28} steady {:>8.1} ns, first {WINDOW}: {:>8.1} ns, back after {:>6}",
                line.policy,
                line.degree
                    .map_or_else(String::new, |degree| degree.to_string()),
                line.phase,
                line.trace,
                line.steady_ns,
                line.first_ns,
                line.back_after
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_back_when_a_window_is_near_the_steady_state() {
        let mut stalls = vec![Nanos(1000); 700];
        stalls.extend([Nanos(100); 5000]);
        // 494 of the window's touches are steady ones, and six are not.
        assert_eq!(back_after(&stalls, 100.0), 700 - 5 + WINDOW);
        assert_eq!(back_after(&[Nanos(50); 600], 100.0), WINDOW);
        assert_eq!(back_after(&[Nanos(500); 600], 100.0), 600);
    }

    #[test]
    fn phases_have_addresses_streams_and_times_of_their_own() {
        let record = |time_ns, offset| Record {
            time_ns,
            stream: 2,
            write: false,
            offset,
            bytes: 8192,
        };
        let phase = vec![record(7, 0), record(9, 4096), record(11, 8192)];
        let spliced = splice(&[phase.clone(), phase], 4);
        assert_eq!((spliced.touches, spliced.pages), (8, 3));
        assert_eq!(spliced.begins, [0, 4]);
        let [first, _, second, _] = spliced.records[..] else {
            panic!("four records");
        };
        assert_eq!((first.time_ns, first.stream, first.offset), (0, 2, 0));
        assert_eq!((second.stream, second.offset), (5, 1 << 47));
        assert!(second.time_ns >= 2 + 4 * PATIENCE_NS);
    }
}
