// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the job in the guest says of itself: `report.json`, as far as the page
//! shows it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// One run of the job.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    /// Whether every check passed.
    pub passed: bool,
    /// What did not.
    pub failures: Vec<String>,
    /// The card it ran on.
    pub card: Card,
    /// The image pipeline, if it ran.
    pub image: Option<Image>,
    /// The matrix product, if it ran.
    pub matmul: Option<Product>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// What the job added to the card's counters.
    pub counters: BTreeMap<String, u64>,
    /// The driver's counters after the job.
    pub driver: BTreeMap<String, u64>,
    /// The card's counters over time.
    pub timeline: Vec<Sample>,
}

/// The card.
#[derive(Debug, Clone, Deserialize)]
pub struct Card {
    /// Bytes of device memory.
    pub memory_bytes: u64,
    /// Bytes of the aperture.
    pub aperture_bytes: u64,
    /// Compute engines.
    pub compute_engines: u32,
}

/// The image pipeline.
#[derive(Debug, Clone, Deserialize)]
pub struct Image {
    /// File name of the picture that went in.
    pub before: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The pictures that came out.
    pub outputs: Vec<Output>,
}

/// A picture that came out.
#[derive(Debug, Clone, Deserialize)]
pub struct Output {
    /// What was done.
    pub name: String,
    /// File name.
    pub file: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The matrix product.
#[derive(Debug, Clone, Deserialize)]
pub struct Product {
    /// Rows and columns.
    pub size: u32,
    /// Guest wall time in nanoseconds.
    pub nanos: u64,
    /// The largest error found, relative to (|A||B|).
    pub max_relative_error: f64,
    /// The largest error allowed.
    pub limit: f64,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Bytes moved or made.
    pub bytes: u64,
    /// Nanoseconds from the job's start to the step's.
    pub start_nanos: u64,
    /// Guest wall time in nanoseconds.
    pub nanos: u64,
    /// Time on the card's own clock, for steps that ran there.
    pub card_nanos: Option<u64>,
    /// How its check ended.
    pub check: String,
}

/// The card's counters at one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    /// Nanoseconds since the job's start.
    pub nanos: u64,
    /// Windows mapped then.
    pub windows: u64,
    /// Bytes visible then.
    pub window_bytes: u64,
    /// Demand faults until then.
    pub faults: u64,
}

impl Job {
    /// Reads the job's report.
    ///
    /// # Errors
    /// When the file is not there or not a report.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}
