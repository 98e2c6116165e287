// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a run: one HTML file that needs nothing else, made from what
//! the job in the guest wrote to its results.
//!
//! It shows what the job says and computes nothing anew.

mod job;
mod mapping;
mod page;
mod schedule;
mod timeline;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub use job::Job;
pub use mapping::{Mapping, MappingSample};
pub use page::escape;
pub use schedule::{Recorded, Schedule};

/// What the job leaves among its results.
pub const JOB_REPORT: &str = "report.json";

/// What the host knows of a run and the job does not.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The run folder's name.
    pub name: String,
    /// KVM or TCG, and the reason.
    pub acceleration: String,
    /// The QEMU that ran.
    pub qemu: String,
    /// Seconds until the guest took commands.
    pub boot_seconds: f64,
    /// What the card's engines did.
    pub schedule: Schedule,
    /// One list under several units of tracking.
    pub tracking: Vec<Recorded>,
    /// Two jobs under several ways of mapping.
    pub mapping: Vec<Mapping>,
}

/// Reads `report.json` in the folder `results` and writes `report.html` there;
/// returns its path.
///
/// # Errors
/// When the job left no report, or one that cannot be read.
pub fn write(results: &Path, facts: &RunFacts) -> anyhow::Result<PathBuf> {
    let job = Job::read(&results.join(JOB_REPORT))?;
    let page = page::render(&job, facts, results)?;
    let path = results.join("report.html");
    let partial = results.join("report.html.partial");
    fs::write(&partial, page).with_context(|| partial.display().to_string())?;
    fs::rename(&partial, &path).with_context(|| path.display().to_string())?;
    Ok(path)
}
