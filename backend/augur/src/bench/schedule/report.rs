// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a measurement is shown: one JSON object a line, or a table.

use std::io::{self, Write};

use augur_scheduler::profile::Profile;
use serde::Serialize;

use super::Calibration;

/// One policy on one program.  Virtual and host times are in columns of their
/// own.
#[derive(Debug, Serialize)]
pub struct Row {
    pub workload: String,
    pub policy: String,
    pub instructions: usize,
    pub edges: u64,
    pub critical_path_ns: u64,
    pub makespan_ns: u64,
    pub lower_bound_ns: u64,
    pub moved_bytes: u64,
    pub compulsory_bytes: u64,
    /// Host time; first pass.
    pub analysis_ns_per_instruction: f64,
    /// Host time; best of the later passes, when there are any.
    pub replay_ns_per_instruction: Option<f64>,
    pub splits: u64,
    pub merges: u64,
}

/// Prints rows as they come.
#[derive(Debug)]
pub struct Report {
    json: bool,
    started: bool,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self {
            json,
            started: false,
        }
    }

    pub fn print(&mut self, row: &Row) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
            return Ok(());
        }
        if !self.started {
            self.started = true;
            writeln!(
                out,
                "{:<13} {:<9} {:>8} {:>9} {:>12} {:>12} {:>8} {:>10} {:>8} {:>8} {:>8} {:>7} {:>7}",
                "workload",
                "policy",
                "instr",
                "edges",
                "crit.path ms",
                "makespan ms",
                "x bound",
                "moved MB",
                "x comp.",
                "host ns",
                "replay",
                "splits",
                "merges",
            )?;
        }
        writeln!(
            out,
            "{:<13} {:<9} {:>8} {:>9} {:>12.3} {:>12.3} {:>8.2} {:>10.1} {:>8.2} {:>8.0} {:>8} {:>7} {:>7}",
            row.workload,
            row.policy,
            row.instructions,
            row.edges,
            row.critical_path_ns as f64 / 1e6,
            row.makespan_ns as f64 / 1e6,
            row.makespan_ns as f64 / row.lower_bound_ns.max(1) as f64,
            row.moved_bytes as f64 / 1e6,
            row.moved_bytes as f64 / row.compulsory_bytes.max(1) as f64,
            row.analysis_ns_per_instruction,
            row.replay_ns_per_instruction
                .map_or_else(|| "-".to_owned(), |replay| format!("{replay:.0}")),
            row.splits,
            row.merges,
        )?;
        Ok(())
    }
}

/// Prints what virtual time is made of, and what analysis costs here.
pub fn explain(profile: &Profile, host: Calibration) {
    eprintln!(
        "virtual time: {} MiB visible on the card, filled and written home over a link of {} GB/s \
         shared by all DMA engines, {} ns per move of up to {} KiB, {} moves in flight per DMA \
         engine; local memory {} KiB per engine in lines of {} B, moved at {} GB/s shared by all, \
         {} ns per move, {} moves in flight per DMA engine; engines fetch {} instructions ahead; \
         analysis {} ns per tracked cell, {} ns per edge and {} ns per split or merge, on {} lanes",
        profile.visible_bytes >> 20,
        profile.link_bytes_per_ns,
        profile.move_latency.0,
        profile.move_bytes >> 10,
        profile.moves_in_flight,
        profile.local_bytes >> 10,
        profile.line_bytes,
        profile.memory_bytes_per_ns,
        profile.memory_latency.0,
        profile.memory_moves_in_flight,
        profile.prefetch,
        profile.cell.0,
        profile.edge.0,
        profile.regrain.0,
        profile.analysis_lanes,
    );
    eprintln!(
        "this machine: analysis {:.1} ns per tracked cell and {:.1} ns per edge",
        host.cell, host.edge,
    );
}

/// Prints what a policy's run moved on the card, which no figure of the row
/// says.
pub fn explain_run(policy: &str, local_bytes: u64, compulsory_bytes: u64) {
    eprintln!(
        "{policy}: {:.1} MB into, out of and between local memories, {:.2} x compulsory",
        local_bytes as f64 / 1e6,
        local_bytes as f64 / compulsory_bytes.max(1) as f64,
    );
}
