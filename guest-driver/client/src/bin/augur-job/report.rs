// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a job, as `report.json` holds it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use augur_abi::control::CountersResponse;
use augur_client::Device;
use serde::Serialize;

/// Everything that a job did and found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether every check passed.
    pub passed: bool,
    /// What was wrong, a line each.
    pub failures: Vec<String>,
    /// The card it ran on.
    pub card: Card,
    /// The image pipeline, if it was part of the job.
    pub image: Option<ImageReport>,
    /// The matrix product, if it was part of the job.
    pub matmul: Option<ProductReport>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// How much the card's counters grew.
    pub counters: BTreeMap<&'static str, u64>,
    /// The card's counters before the job.
    pub counters_before: BTreeMap<&'static str, u64>,
    /// The card's counters after the job.
    pub counters_after: BTreeMap<&'static str, u64>,
    /// The driver's counters after the job.
    pub driver: BTreeMap<&'static str, u64>,
    /// Counters while the job ran.
    pub timeline: Vec<Sample>,
}

/// The card that a job ran on.
#[derive(Debug, Serialize)]
pub struct Card {
    /// Device file.
    pub path: String,
    /// Device memory, aperture included.
    pub memory_bytes: u64,
    /// The aperture.
    pub aperture_bytes: u64,
    /// Window that answers a fault, at most.
    pub demand_window_bytes: u32,
    /// Compute engines.
    pub compute_engines: u32,
    /// DMA channels.
    pub dma_channels: u32,
}

impl Card {
    /// Describes an open card.
    pub fn of(device: &Device) -> Self {
        let information = device.information();
        Self {
            path: device.path().display().to_string(),
            memory_bytes: information.memory_bytes,
            aperture_bytes: information.aperture_bytes,
            demand_window_bytes: information.demand_window_bytes,
            compute_engines: information.compute_engines,
            dma_channels: information.dma_channels,
        }
    }
}

/// The image pipeline's input and results. Files are named without directory.
#[derive(Debug, Serialize)]
pub struct ImageReport {
    /// The input as it was decoded.
    pub before: String,
    /// The result to show beside it.
    pub after: String,
    /// Width of the input in pixels.
    pub width: u32,
    /// Height of the input in pixels.
    pub height: u32,
    /// Whether `before` is a smaller copy.
    pub preview: bool,
    /// Every result.
    pub outputs: Vec<Output>,
}

/// A resulting image.
#[derive(Debug, Serialize)]
pub struct Output {
    /// What was done to the input.
    pub name: String,
    /// File.
    pub file: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The matrix product.
#[derive(Debug, Serialize)]
pub struct ProductReport {
    /// Rows and columns.
    pub size: u32,
    /// Guest wall time of the command.
    pub nanos: u64,
    /// Time on the card.
    pub card_nanos: u64,
    /// Largest error found, relative to (|A| |B|)ij.
    pub max_relative_error: f64,
    /// Largest error allowed.
    pub limit: f64,
    /// Random vectors of Freivalds' check.
    pub vectors: u32,
    /// Rows that were computed in full.
    pub rows: u32,
    /// Whether every check passed.
    pub passed: bool,
}

/// What kind of work a step is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// On the guest's CPU.
    Guest,
    /// A transfer between guest memory and the card.
    Dma,
    /// Commands on the card.
    Card,
    /// The guest's CPU through the aperture.
    Aperture,
    /// Comparing with a reference.
    Check,
}

/// How a step's check ended.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Check {
    /// Nothing was checked.
    #[serde(rename = "-")]
    None,
    /// Every byte was as expected.
    #[serde(rename = "exact")]
    Exact,
    /// Within the tolerance.
    #[serde(rename = "ok")]
    Within,
    /// Something was wrong.
    #[serde(rename = "differs")]
    Differs,
}

impl Check {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Check::None => "",
            Check::Exact => "exact",
            Check::Within => "ok",
            Check::Differs => "DIFFERS",
        }
    }
}

/// One step of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Kind of work.
    pub kind: Kind,
    /// Bytes moved or made.
    pub bytes: u64,
    /// When it began, in nanoseconds since the job's start.
    pub start_nanos: u64,
    /// Guest wall time.
    pub nanos: u64,
    /// Time on the card, for steps that ran there.
    pub card_nanos: Option<u64>,
    /// How its check ended.
    pub check: Check,
}

/// Counters at one moment of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    nanos: u64,
    step: String,
    windows: u64,
    window_bytes: u64,
    faults: u64,
    maps: u64,
    revokes: u64,
    filled_bytes: u64,
    written_home_bytes: u64,
    dma_in_bytes: u64,
    dma_out_bytes: u64,
    compute_ns: u64,
}

impl Sample {
    /// A sample taken `nanos` after the job's start, while `step` ran.
    pub fn new(nanos: u64, step: String, counters: &CountersResponse) -> Self {
        Self {
            nanos,
            step,
            windows: counters.windows,
            window_bytes: counters.window_bytes,
            faults: counters.faults,
            maps: counters.maps,
            revokes: counters.revokes,
            filled_bytes: counters.filled_bytes,
            written_home_bytes: counters.written_home_bytes,
            dma_in_bytes: counters.dma_in_bytes,
            dma_out_bytes: counters.dma_out_bytes,
            compute_ns: counters.compute_ns,
        }
    }
}

impl Report {
    /// The report as JSON text.
    pub fn to_json(&self) -> String {
        // Maps with string keys and plain numbers always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// A few lines for people. The steps were shown as they ended.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Some(image) = &self.image {
            let _ = writeln!(
                text,
                "image {}x{}: {} results, downloaded by DMA and through the aperture",
                image.width,
                image.height,
                image.outputs.len()
            );
        }
        if let Some(product) = &self.matmul {
            let _ = writeln!(
                text,
                "product {0}x{0}: largest relative error {1:.1e} of {2:.0e} allowed",
                product.size, product.max_relative_error, product.limit
            );
        }
        let counter = |name| self.counters.get(name).copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "card: {} commands, {} faults, {} windows mapped, {} revoked",
            counter("commands"),
            counter("faults"),
            counter("maps"),
            counter("revokes")
        );
        let verdict = if self.passed { "passed" } else { "FAILED" };
        let _ = writeln!(text, "every result checked in the guest: {verdict}");
        text
    }
}
