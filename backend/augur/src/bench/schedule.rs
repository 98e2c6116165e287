// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench schedule`: one program, under one or all units of tracking.

mod calibrate;
mod commands_file;
mod flatness;
mod html;
mod idle;
pub(in crate::bench) mod measure;
mod report;
mod sweep;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use augur_scheduler::bounds::{WholeGraph, most_accesses};
use augur_scheduler::policy::Policy;
use augur_scheduler::profile::Profile;
use augur_scheduler::sizes::Sizes;
use augur_scheduler::workload::{Program, Workload};
use clap::{ArgGroup, Args};

use crate::exit::Failure;
use crate::output_file::OutputFile;
use crate::progress::Heartbeat;

pub use calibrate::{Calibration, calibrate};

/// Blocks that one instruction may take, and that all may: each is looked up,
/// and those of one instruction are held at once.
const MOST_BLOCKS: u64 = 1 << 18;
const ALL_BLOCKS: u64 = 1 << 26;

/// Arguments of `augur bench schedule`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("input").required(true).args(["commands", "workload", "flatness"])))]
pub struct Arguments {
    /// JSON lines: tensors, views and instructions (docs/scheduling.md).
    #[arg(long, value_name = "FILE")]
    commands: Option<PathBuf>,
    /// A built-in program: gemm, cholesky, stencil, halo, retile, rows,
    /// attention or resnet-block; or all of them.
    #[arg(long, value_name = "NAME", value_parser = workloads)]
    workload: Option<Workloads>,
    /// Virtual time only, on cards of 1, 2, 4, 8 and 16 engines with 1, 2 and 4
    /// DMA engines, where the program has 50 instructions for each engine.
    #[arg(long, conflicts_with_all = ["edges", "explain", "html", "repeat", "engines", "dma", "flatness"])]
    sweep: bool,
    /// Whether an instruction costs the same in longer programs: host time and
    /// peak memory of one endless sweep at 10^3 to 10^7 instructions.
    #[arg(long, conflicts_with_all = ["edges", "explain", "html", "repeat"])]
    flatness: bool,
    /// Compute engines.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    engines: u16,
    /// DMA engines.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    dma: u16,
    /// Units of tracking: all, or some of tensor,4k,64k,1m,exact,adaptive.
    #[arg(long, default_value = "all", value_parser = policies)]
    policies: Policies,
    /// Passes over the program; the first is reported as analysis, the best of
    /// the later ones as replay.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeat: u16,
    /// Write the enforced graph as `before,after`; needs exactly one policy.
    #[arg(long, value_name = "FILE")]
    edges: Option<PathBuf>,
    /// Print the costs that virtual time is made of, the sizes that memory is
    /// tracked and grouped in, and each change of a unit of tracking, with the
    /// reasons.
    #[arg(long)]
    explain: bool,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Write a report with charts: one file that needs no network.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

/// The units of tracking to compare.
#[derive(Clone, Debug)]
struct Policies(Vec<Policy>);

fn policies(list: &str) -> Result<Policies, String> {
    if list == "all" {
        return Ok(Policies(Policy::ALL.to_vec()));
    }
    list.split(',')
        .map(|name| name.parse().map_err(|error| format!("{error}")))
        .collect::<Result<_, _>>()
        .map(Policies)
}

/// The built-in programs to run.
#[derive(Clone, Debug)]
struct Workloads(Vec<Workload>);

fn workloads(name: &str) -> Result<Workloads, String> {
    if name == "all" {
        return Ok(Workloads(Workload::ALL.to_vec()));
    }
    let workload = name.parse().map_err(|error| format!("{error}"))?;
    Ok(Workloads(vec![workload]))
}

impl Arguments {
    /// Measures and reports.
    ///
    /// # Errors
    /// A file that cannot be read or written, or does not hold a program.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.flatness {
            flatness::run(&self.policies.0, self.engines.into(), self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let programs = self.programs()?;
        if self.sweep {
            sweep::run(&programs, &self.policies.0, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        if programs.len() > 1 && (self.edges.is_some() || self.html.is_some()) {
            return Err(Failure::input("--edges and --html take one program").into());
        }
        let mut table = report::Report::new(self.json);
        for (name, program) in &programs {
            self.measure(name, program, &mut table)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Measures one program under each policy.
    fn measure(
        &self,
        name: &str,
        program: &Program,
        table: &mut report::Report,
    ) -> anyhow::Result<()> {
        let profile = Profile::default();
        if self.explain {
            report::explain(&profile, calibrate()?);
            for sizes in Sizes::of(&program.list, profile.local_bytes) {
                let named = program.objects.iter().find(|(_, it)| *it == sizes.object);
                let name = named.map_or("", |(name, _)| name.as_str());
                eprintln!("adaptive: {name}: {sizes}");
            }
        }
        let policies = self.feasible(program)?;
        if let Some(path) = &self.edges {
            let [policy] = self.policies.0[..] else {
                return Err(Failure::input("--edges needs exactly one policy").into());
            };
            write_edges(path, program, policy)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let machine = measure::Machine {
            engines: self.engines.into(),
            dma_engines: self.dma.into(),
            passes: self.repeat.into(),
            profile,
        };
        let report = self.html.as_deref().map(OutputFile::create).transpose()?;
        let bounds = measure::Bounds::new(program, &profile);
        let mut pictures = Vec::new();
        for policy in policies {
            let (row, run) = {
                let _beat = Heartbeat::start(&format!("{name}, {policy}"));
                measure::measure(name, program, policy, &machine, &bounds, self.explain)?
            };
            table.print(&row)?;
            if self.html.is_some() {
                pictures.push(html::Picture { row, run });
            }
        }
        if let Some(report) = report {
            let page = html::page(&pictures, machine.engines);
            report.finish_with(page.finish().as_bytes())?;
        }
        Ok(())
    }

    /// The policies that the program can be tracked under; says which it cannot.
    fn feasible(&self, program: &Program) -> anyhow::Result<Vec<Policy>> {
        let mut feasible = Vec::new();
        for &policy in &self.policies.0 {
            let (most, all) = most_accesses(&program.list, policy);
            if most <= MOST_BLOCKS && all <= ALL_BLOCKS {
                feasible.push(policy);
            } else {
                eprintln!(
                    "{policy} is left out: an instruction takes up to {most} blocks \
                     (of {MOST_BLOCKS}), all take {all} (of {ALL_BLOCKS})"
                );
            }
        }
        if feasible.is_empty() {
            return Err(Failure::input("no policy is left").into());
        }
        Ok(feasible)
    }

    /// The programs with their names.
    fn programs(&self) -> anyhow::Result<Vec<(String, Program)>> {
        if let Some(path) = &self.commands {
            let program = commands_file::read(path)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            return Ok(vec![(name.into_owned(), program)]);
        }
        let workloads = self.workload.iter().flat_map(|it| &it.0);
        workloads
            .map(|workload| Ok((workload.to_string(), workload.program()?)))
            .collect()
    }
}

fn write_edges(path: &Path, program: &Program, policy: Policy) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut result = writeln!(out, "before,after");
    WholeGraph::new(&program.list, policy).for_each_edge(|before, after| {
        if result.is_ok() {
            result = writeln!(out, "{before},{after}");
        }
    });
    result?;
    out.flush()
}
