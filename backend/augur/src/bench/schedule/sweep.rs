// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs on cards of many sizes: makespans against the lower bound and the
//! policies against each other, in virtual time only.

use std::io::Write as _;

use augur_scheduler::policy::Policy;
use augur_scheduler::profile::Profile;
use augur_scheduler::simulate::{Setup, simulate};
use augur_scheduler::workload::Program;
use serde::Serialize;

use super::measure::Bounds;
use crate::progress::Heartbeat;

/// Compute and DMA engines of the cards.
const ENGINES: [usize; 5] = [1, 2, 4, 8, 16];
const DMA_ENGINES: [usize; 3] = [1, 2, 4];
/// Instructions that a program has for each engine, or it is left out.
const LEAST: usize = 50;

/// One policy on one card.
#[derive(Debug, Serialize)]
struct Row {
    workload: String,
    policy: String,
    engines: usize,
    dma: usize,
    makespan_ns: u64,
    lower_bound_ns: u64,
    moved_bytes: u64,
    compulsory_bytes: u64,
    /// Into, out of and between local memories.
    local_bytes: u64,
}

impl Row {
    fn over_bound(&self) -> f64 {
        self.makespan_ns as f64 / self.lower_bound_ns.max(1) as f64
    }
}

/// Runs every program under every policy on every card that it has work for,
/// and sums up how `adaptive` did.
///
/// # Errors
/// A program that cannot run, or standard output cannot be written.
pub fn run(programs: &[(String, Program)], policies: &[Policy], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut summary = Summary::default();
    let profile = Profile::default();
    for (name, program) in programs {
        let bounds = Bounds::new(program, &profile);
        for engines in ENGINES {
            if program.list.len() < LEAST * engines {
                continue;
            }
            let lower = bounds.lower(program, engines, &profile);
            for dma_engines in DMA_ENGINES {
                let mut rows = Vec::new();
                for &policy in policies {
                    let setup = Setup {
                        policy,
                        engines,
                        dma_engines,
                        profile,
                    };
                    let run = {
                        let _beat = Heartbeat::start(&format!("{name}, {policy}"));
                        simulate(program, setup)?
                    };
                    let row = Row {
                        workload: name.clone(),
                        policy: policy.to_string(),
                        engines,
                        dma: dma_engines,
                        makespan_ns: run.makespan.0,
                        lower_bound_ns: lower.0,
                        moved_bytes: run.moved_bytes,
                        compulsory_bytes: bounds.compulsory_bytes,
                        local_bytes: run.local_bytes,
                    };
                    if json {
                        writeln!(out, "{}", serde_json::to_string(&row)?)?;
                    } else {
                        writeln!(
                            out,
                            "{name:<13} {policy:<9} {engines:>3} engines {dma_engines} DMA \
                             {:>10.3} ms {:>7.3} x bound {:>6.2} x compulsory bytes",
                            row.makespan_ns as f64 / 1e6,
                            row.over_bound(),
                            row.moved_bytes as f64 / row.compulsory_bytes.max(1) as f64,
                        )?;
                    }
                    rows.push(row);
                }
                summary.add(&rows);
            }
        }
    }
    summary.print();
    Ok(())
}

/// How `adaptive` did on all cards.
#[derive(Debug, Default)]
struct Summary {
    cards: usize,
    /// Sum of the logarithms of makespan over bound.
    logarithms: f64,
    worst: f64,
    /// Makespan over the best of the other policies, where that is worst.
    beside: Option<(f64, String)>,
}

impl Summary {
    /// Takes the rows of one card.
    fn add(&mut self, rows: &[Row]) {
        let is_adaptive = |row: &&Row| row.policy == Policy::Adaptive.to_string();
        let Some(adaptive) = rows.iter().find(is_adaptive) else {
            return;
        };
        let ratio = adaptive.over_bound();
        self.cards += 1;
        self.logarithms += ratio.ln();
        self.worst = self.worst.max(ratio);
        let others = rows.iter().filter(|row| !is_adaptive(row));
        if let Some(best) = others.min_by_key(|row| row.makespan_ns) {
            let ratio = adaptive.makespan_ns as f64 / best.makespan_ns.max(1) as f64;
            if self.beside.as_ref().is_none_or(|(worst, _)| ratio > *worst) {
                let (workload, engines, dma) = (&best.workload, best.engines, best.dma);
                let place = format!("{workload}, {engines} engines, {dma} DMA, {}", best.policy);
                self.beside = Some((ratio, place));
            }
        }
    }

    fn print(&self) {
        if self.cards == 0 {
            return;
        }
        let mean = (self.logarithms / self.cards as f64).exp();
        eprintln!(
            "adaptive on {} cards: makespan over bound {mean:.3} (geometric mean), {:.3} at worst",
            self.cards, self.worst
        );
        if let Some((ratio, place)) = &self.beside {
            eprintln!("adaptive over the best other policy: {ratio:.3} at worst ({place})");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_the_mean_and_the_worst_card() {
        let row = |policy: &str, makespan_ns| Row {
            workload: "w".to_owned(),
            policy: policy.to_owned(),
            engines: 2,
            dma: 1,
            makespan_ns,
            lower_bound_ns: 100,
            moved_bytes: 0,
            compulsory_bytes: 0,
            local_bytes: 0,
        };
        let mut summary = Summary::default();
        summary.add(&[row("exact", 100), row("adaptive", 200)]);
        summary.add(&[row("exact", 100), row("64k", 40), row("adaptive", 50)]);
        summary.add(&[row("exact", 100)]);
        assert_eq!((summary.cards, summary.worst), (2, 2.0));
        assert!(summary.logarithms.abs() < 1e-9, "2 and a half");
        assert_eq!(summary.beside.unwrap().0, 2.0);
    }
}
