// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench peers`: the instruction streams of `augur bench schedule` on
//! libgomp, StarPU and TBB, and on the card's scheduler, all in real time on
//! threads of this machine.
//!
//! The peers know whole handles only, so regions that overlap become one handle
//! for them; the card's scheduler gets the regions. A stream is run twice: with
//! tasks that do nothing, which shows what a task costs, and with tasks that take
//! their modelled time, which shows what the orderings cost.

mod handles;
mod own;

use std::fs;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use augur_scheduler::policy::Policy;
use augur_scheduler::workload::{Program, Workload};
use clap::Args;
use serde::Serialize;

use self::handles::Stream;
use crate::build::task_systems::TaskSystems;
use crate::progress::Heartbeat;
use crate::project::Project;

/// The peers' programs.
const PEERS: [&str; 3] = ["openmp", "tbb", "starpu"];
/// What the card's scheduler tracks.
const OWN: [Policy; 2] = [Policy::Exact, Policy::Adaptive];
/// What one run of a peer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Arguments of `augur bench peers`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this workload [default: all]
    #[arg(long, value_name = "NAME")]
    workload: Option<Workload>,
    /// Threads that work
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// How often everything is run; the best counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// What one system made of one stream.
#[derive(Debug, Serialize)]
struct Row {
    workload: String,
    system: String,
    instructions: usize,
    /// Handles, or regions, that it was given.
    units: usize,
    /// Submitting alone, tasks that do nothing.
    submit_ns_per_instruction: f64,
    /// Everything, tasks that do nothing.
    total_ns_per_instruction: f64,
    /// Everything, tasks that take their time.
    makespan_ms: f64,
    /// Against the tasks' own time on as many workers.
    over_work: f64,
}

/// Until everything was submitted, and until everything had ended.
type Times = (Duration, Duration);

impl Arguments {
    /// Measures and prints.
    ///
    /// # Errors
    /// A peer cannot be had or fails.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let systems = TaskSystems::ensure(&Project::find()?)?;
        let workloads = match self.workload {
            Some(workload) => vec![workload],
            None => Workload::ALL.to_vec(),
        };
        if !self.json {
            println!(
                "{:<13} {:<17} {:>7} {:>7} {:>10} {:>9} {:>12} {:>7}",
                "workload",
                "system",
                "instr",
                "units",
                "submit ns",
                "total ns",
                "makespan ms",
                "x work"
            );
        }
        for workload in workloads {
            let name = workload.to_string();
            let program = workload.program()?;
            for row in self.workload(&systems, &name, &program)? {
                self.print(&row)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn workload(
        &self,
        systems: &TaskSystems,
        name: &str,
        program: &Program,
    ) -> anyhow::Result<Vec<Row>> {
        let _beat = Heartbeat::start(name);
        let stream = Stream::of(&program.list);
        let (file, inside) = systems.shared_file("stream");
        fs::write(&file, stream.bytes()).with_context(|| file.display().to_string())?;
        let mut rows = Vec::new();
        for peer in PEERS {
            let inside = inside.to_string_lossy();
            let run = |mode| self.best(|| run_peer(systems, peer, &inside, self.workers, mode));
            let (empty, busy) = (run("empty")?, run("spin")?);
            rows.push(self.row(name, peer, stream.handles, program, empty, busy));
        }
        fs::remove_file(&file).with_context(|| file.display().to_string())?;
        for policy in OWN {
            let workers = usize::from(self.workers);
            let run = |spins| self.best(|| Ok(own::run(&program.list, policy, workers, spins)?));
            let (empty, busy) = (run(false)?, run(true)?);
            let system = format!("augur {policy}");
            rows.push(self.row(name, &system, stream.regions, program, empty, busy));
        }
        Ok(rows)
    }

    /// The repeat that ended first.
    fn best(&self, mut run: impl FnMut() -> anyhow::Result<Times>) -> anyhow::Result<Times> {
        let mut best = run()?;
        for _ in 1..self.repeats {
            let times = run()?;
            if times.1 < best.1 {
                best = times;
            }
        }
        Ok(best)
    }

    fn row(
        &self,
        workload: &str,
        system: &str,
        units: usize,
        program: &Program,
        empty: Times,
        busy: Times,
    ) -> Row {
        let instructions = program.list.len();
        let each = |time: Duration| time.as_nanos() as f64 / instructions.max(1) as f64;
        let work: u64 = program.list.iter().map(|(it, _)| it.cost.0).sum();
        let least = work as f64 / f64::from(self.workers);
        Row {
            workload: workload.to_owned(),
            system: system.to_owned(),
            instructions,
            units,
            submit_ns_per_instruction: each(empty.0),
            total_ns_per_instruction: each(empty.1),
            makespan_ms: busy.1.as_secs_f64() * 1e3,
            over_work: busy.1.as_nanos() as f64 / least.max(1.0),
        }
    }

    fn print(&self, row: &Row) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(row)?);
            return Ok(());
        }
        println!(
            "{:<13} {:<17} {:>7} {:>7} {:>10.0} {:>9.0} {:>12.1} {:>7.2}",
            row.workload,
            row.system,
            row.instructions,
            row.units,
            row.submit_ns_per_instruction,
            row.total_ns_per_instruction,
            row.makespan_ms,
            row.over_work
        );
        Ok(())
    }
}

/// One run of a peer's program.
fn run_peer(
    systems: &TaskSystems,
    peer: &str,
    stream: &str,
    workers: u16,
    mode: &str,
) -> anyhow::Result<Times> {
    let mut command = systems.command(peer, PATIENCE);
    command.arg(stream).arg(workers.to_string()).arg(mode);
    // StarPU says what it measured of the machine, and keeps it below HOME.
    command.env("STARPU_SILENT", "1").env("HOME", "/tmp");
    command.stdin(Stdio::null());
    let output = command.output().with_context(|| peer.to_owned())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{peer} failed: {}", errors.trim());
    let mut numbers = said.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(submitted)), Some(Ok(ended))) => {
            Ok((Duration::from_nanos(submitted), Duration::from_nanos(ended)))
        }
        _ => anyhow::bail!("{peer} printed something else than its times: {said}"),
    }
}
