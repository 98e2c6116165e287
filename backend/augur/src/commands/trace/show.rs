// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur trace show`: what a trace is like, and what a policy makes of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::bench::predict::{
    Kind, Observe, Options, Outcome, Picture, Workload, kinds, run_probed, share,
};
use crate::exit::Failure;
use crate::output_file::OutputFile;
use crate::plot::Page;
use crate::progress::Step;
use crate::trace::{self, Summary};

/// Show what traces are like, and what a policy makes of them.
///
/// With --html a picture of each: addresses over time, what each touch met, and
/// the windows that were mapped, from a run of the card's own mapping manager
/// under a policy, as `augur bench predict` makes it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Traces (CSV, plain or .zst).
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// Write a page with pictures: one file that needs no network.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Run this policy; a baseline's degree stands behind a slash, as in
    /// next4/8 [default with --html: augur].
    #[arg(long, value_name = "P")]
    policy: Option<String>,
    /// The aperture, as a share of the trace's distinct pages.
    #[arg(long, default_value = "25%")]
    aperture: String,
    /// What the policy sees.
    #[arg(long, value_enum, default_value = "first-touch")]
    observe: Observe,
    /// Seed of whatever a policy draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What is said of a trace.
#[derive(Serialize)]
struct Shown {
    trace: String,
    #[serde(flatten)]
    summary: Summary,
    #[serde(flatten)]
    run: Option<Run>,
}

/// What a policy made of it.
#[derive(Serialize)]
struct Run {
    policy: String,
    touches: u64,
    faults: u64,
    late: u64,
    stall_ns: u64,
    mapped_ahead: u64,
    used: u64,
    moved_bytes: u64,
}

impl Run {
    fn new(policy: &str, outcome: &Outcome) -> Self {
        Self {
            policy: policy.to_owned(),
            touches: outcome.touches,
            faults: outcome.faults,
            late: outcome.late,
            stall_ns: outcome.stall.0,
            mapped_ahead: outcome.speculated,
            used: outcome.used,
            moved_bytes: outcome.moved_bytes,
        }
    }

    fn text(&self) -> String {
        format!(
            "{}: {} faults and {} late of {} touches, {:.1} ms of stall, {} pages mapped ahead, {} of them used",
            self.policy,
            self.faults,
            self.late,
            self.touches,
            self.stall_ns as f64 / 1e6,
            self.mapped_ahead,
            self.used
        )
    }
}

fn text(summary: &Summary) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "{} accesses of {} streams in {:.1} ms, {} page touches; footprint {:.1} MiB within {:.1} MiB; {:.0} % writes, \
         {:.0} % sequential, {:.0} % of the pages touched once, {:.0} % of the touches in the hottest tenth",
        summary.accesses,
        summary.streams,
        summary.duration_ns as f64 / 1e6,
        summary.page_touches,
        mib(summary.footprint_bytes),
        mib(summary.span_bytes),
        100.0 * summary.written,
        100.0 * summary.sequential,
        100.0 * summary.touched_once,
        100.0 * summary.hottest_tenth
    )
}

/// The policy called `name`, or `name/degree`.
fn policy(name: &str) -> anyhow::Result<Kind> {
    let (name, degree) = match name.split_once('/') {
        Some((name, degree)) => (name, Some(degree)),
        None => (name, None),
    };
    let mut matching = kinds(&[name.to_owned()])?;
    let wanted = |kind: &Kind| match (kind, degree) {
        (Kind::Baseline(baseline, of), None) => *of == baseline.native_degree(),
        (kind, degree) => kind.degree().map(|of| of.to_string()).as_deref() == degree,
    };
    matching.retain(wanted);
    match matching[..] {
        [kind] => Ok(kind),
        _ => Err(Failure::input(format!(
            "--policy needs one policy, with a degree that `augur bench predict` sweeps; not `{name}`"
        ))
        .into()),
    }
}

impl Arguments {
    /// Shows.
    ///
    /// # Errors
    /// A trace or an argument that cannot be used, or a page that cannot be
    /// written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let options = Options {
            aperture: share(&self.aperture)?,
            observe: self.observe,
            seed: self.seed,
        };
        let named = self.policy.as_deref();
        let named = named.or(self.html.as_ref().map(|_| "augur"));
        let kind = named.map(|name| policy(name).map(|kind| (name, kind)));
        let kind = kind.transpose()?;
        let file = self.html.as_deref().map(OutputFile::create).transpose()?;
        let mut page = Page::new("Augur: access traces");
        if let Some((name, _)) = kind {
            page.text(&format!(
                "Policy {name}, aperture {} of the trace's pages, default costs. Addresses that no access touches are \
                 left out of the vertical axis.",
                self.aperture
            ));
        }
        for path in &self.traces {
            let shown = self.show(path, kind, &options, &mut page)?;
            if self.json {
                println!("{}", serde_json::to_string(&shown)?);
            } else {
                println!("{}: {}", shown.trace, text(&shown.summary));
                if let Some(run) = &shown.run {
                    println!("  {}", run.text());
                }
            }
        }
        if let Some(file) = file {
            file.finish_with(page.finish().as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(
        &self,
        path: &Path,
        kind: Option<(&str, Kind)>,
        options: &Options,
        page: &mut Page,
    ) -> anyhow::Result<Shown> {
        let records = trace::read(path)
            .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut shown = Shown {
            trace: name.into_owned(),
            summary: Summary::new(&records),
            run: None,
        };
        let Some((policy, kind)) = kind else {
            return Ok(shown);
        };
        let mut step = Step::new(&format!("{policy} on {}", shown.trace));
        step.beat(String::new);
        let workload = Workload::new(&records);
        let picture = Picture::new(&workload);
        let (outcome, picture) = run_probed(&workload, kind, options, picture)?;
        step.finish(true);
        let run = Run::new(policy, &outcome);
        if self.html.is_some() {
            page.heading(&shown.trace);
            page.text(&text(&shown.summary));
            page.text(&run.text());
            page.legend([
                ("s3", "fault"),
                ("s0", "first touch of a page mapped ahead, or on its way"),
                ("quiet", "touch of a page that is visible"),
                ("s2", "windows"),
            ]);
            page.figure(&picture.addresses(), "");
            page.figure(&picture.shares(), "Share of the touches over time.");
        }
        shown.run = Some(run);
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_named_with_or_without_a_degree() {
        assert_eq!(policy("augur").unwrap(), Kind::Augur);
        assert_eq!(policy("next4/8").unwrap().degree(), Some(8));
        assert_eq!(policy("next4").unwrap().name(), "next4");
        for wrong in ["all", "augur/3", "next4/x", "next4/1000", "no"] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
    }
}
