// SPDX-License-Identifier: MIT OR Apache-2.0
//! What analysis costs on this machine, in the terms in which the profile
//! charges it to the modelled card: for each tracked cell, and for each edge.

use std::time::Duration;

use augur_card::thread_time;
use augur_scheduler::analyser::{Analyser, Limits};
use augur_scheduler::policy::Policy;
use augur_scheduler::workload::Workload;

/// Programs whose accesses and edges differ in their proportion.
const PROGRAMS: [Workload; 4] = [
    Workload::Halo,
    Workload::Retile,
    Workload::Rows,
    Workload::Attention,
];
/// Each is analysed so often; the fastest counts.
const RUNS: usize = 3;

/// Host time in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calibration {
    /// For each tracked cell of an operand.
    pub cell: f64,
    /// For each edge of the graph.
    pub edge: f64,
}

/// Analyses some programs and fits both costs to the time that took, by least
/// squares.  Regions are met before: their first use is dearer.
///
/// # Errors
/// None for the programs here; the type is that of what builds them.
pub fn calibrate() -> anyhow::Result<Calibration> {
    let mut samples = Vec::new();
    for workload in PROGRAMS {
        let program = workload.program()?;
        let mut fastest = Duration::MAX;
        let mut work = (0, 0);
        for _ in 0..RUNS {
            let mut analyser = Analyser::new(Policy::Exact, Limits::NONE);
            let mut pass = || {
                let before = (analyser.cells_touched(), analyser.graph().edge_total());
                let began = thread_time();
                for (_, operands) in program.list.iter() {
                    analyser.submit(operands, 0);
                }
                let time = thread_time().saturating_sub(began);
                let after = (analyser.cells_touched(), analyser.graph().edge_total());
                (time, (after.0 - before.0, after.1 - before.1))
            };
            pass();
            let (time, touched) = pass();
            fastest = fastest.min(time);
            work = touched;
        }
        samples.push((work.0 as f64, work.1 as f64, fastest.as_nanos() as f64));
    }
    Ok(fit(&samples))
}

/// Least squares of `time = cell · cells + edge · edges`, neither below zero.
fn fit(samples: &[(f64, f64, f64)]) -> Calibration {
    let sum = |term: &dyn Fn(&(f64, f64, f64)) -> f64| samples.iter().map(term).sum::<f64>();
    let (cc, ce, ee) = (
        sum(&|it| it.0 * it.0),
        sum(&|it| it.0 * it.1),
        sum(&|it| it.1 * it.1),
    );
    let (ct, et) = (sum(&|it| it.0 * it.2), sum(&|it| it.1 * it.2));
    let determinant = cc * ee - ce * ce;
    let cell = (ct * ee - et * ce) / determinant;
    let edge = (et * cc - ct * ce) / determinant;
    if edge < 0.0 || !edge.is_finite() {
        return Calibration {
            cell: ct / cc,
            edge: 0.0,
        };
    }
    if cell < 0.0 {
        return Calibration {
            cell: 0.0,
            edge: et / ee,
        };
    }
    Calibration { cell, edge }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_the_costs_that_were_put_in() {
        let sample = |cells: f64, edges: f64| (cells, edges, 40.0 * cells + 12.0 * edges);
        let found = fit(&[sample(100.0, 10.0), sample(50.0, 80.0), sample(10.0, 500.0)]);
        assert!((found.cell - 40.0).abs() < 1e-6 && (found.edge - 12.0).abs() < 1e-6);
        // An edge that seems to save time costs nothing.
        let found = fit(&[(100.0, 10.0, 1000.0), (100.0, 20.0, 900.0)]);
        assert!(found.edge.abs() < 1e-9 && found.cell > 9.0);
    }
}
