// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench metg`: the smallest commands that still keep the card's engines
//! half busy, after Task Bench.
//!
//! The card runs in this process with its own engine threads; only the guest is
//! missing. The same list comes again and again, as a program's does, so that it is
//! recognised; with `--fresh` none does. Its commands are those of a stencil: each adds two ranges of the other
//! buffer, shifted to both sides, so that it depends on three commands of the step
//! before, and everything is paid for that a list costs: checks, analysis,
//! dispatch, the end. Efficiency is arithmetic per time against the best of all
//! sizes; granularity is wall time × engines / commands, overhead included, and
//! METG(50 %) is the granularity at which half of the best is left.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use augur_abi::command::{ElementwiseParams, Operand};
use augur_abi::{DataType, Opcode};
use augur_card::{CardConfig, Policy};
use clap::Args;
use serde::Serialize;
use zerocopy::IntoBytes as _;

use crate::bench::driver::{Driver, push_command};

/// Commands of one list: as many as fit a submission, about.
const LIST: u64 = 3584;
/// Lists of a measurement, submitted without waiting for the one before.
const LISTS: usize = 8;
/// Elements by which a command reaches into its neighbours' ranges.
const HALO: u64 = 16;
/// Elements of a command: from next to nothing to what hides any overhead.
const SIZES: [u64; 12] = [
    64, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384, 32768,
];
/// The share of the best rate that is asked for.
const HALF: f64 = 0.5;

/// Arguments of `augur bench metg`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Compute engines
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    engines: u16,
    /// Commands of a step, each depending on three of the step before [default: 4 for each engine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    width: Option<u64>,
    /// Unit at which dependences are tracked: adaptive, exact, tensor, 4k, 64k or 1m
    #[arg(long, value_name = "UNIT", default_value_t = Policy::Adaptive)]
    tracking: Policy,
    /// How often each size is measured; the best counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Elements of a command, one size after another [default: 12 from 64 to 32768]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    elements: Vec<u64>,
    /// Submit lists that are all different, so that none is recognised or replayed
    #[arg(long)]
    fresh: bool,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// One size of command.
#[derive(Clone, Copy, Debug, Serialize)]
struct Point {
    elements: u64,
    commands: u64,
    wall_ns: u64,
    /// Wall time × engines / commands.
    granularity_ns: f64,
    /// Of the best rate of all sizes.
    efficiency: f64,
}

#[derive(Serialize)]
struct Outcome<'a> {
    engines: u16,
    width: u64,
    tracking: &'a str,
    metg_50_ns: Option<f64>,
}

impl Arguments {
    /// Measures and reports.
    ///
    /// # Errors
    /// The card cannot be made, or fails.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let width = self.width.unwrap_or(4 * u64::from(self.engines));
        let mut points = Vec::new();
        let sizes = if self.elements.is_empty() {
            &SIZES[..]
        } else {
            &self.elements
        };
        for &elements in sizes {
            points.push(self.measure(elements, width)?);
        }
        let engines = f64::from(self.engines);
        let rate = |point: &Point| (point.elements * point.commands) as f64 / point.wall_ns as f64;
        let best = points.iter().map(rate).fold(0.0, f64::max);
        for point in &mut points {
            point.efficiency = rate(point) / best;
            point.granularity_ns = point.wall_ns as f64 * engines / point.commands as f64;
        }
        let metg = smallest(&points, HALF);
        if self.json {
            for point in &points {
                println!("{}", serde_json::to_string(point)?);
            }
            let outcome = Outcome {
                engines: self.engines,
                width,
                tracking: &self.tracking.to_string(),
                metg_50_ns: metg,
            };
            println!("{}", serde_json::to_string(&outcome)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!(
            "ADD of f32, each command depends on three of {width} in the step before; {} engines, {} tracking\n\
             {:>9} {:>16} {:>13} {:>11}",
            self.engines,
            self.tracking,
            "elements",
            "arithmetic us",
            "granularity us",
            "efficiency"
        );
        for point in &points {
            println!(
                "{:>9} {:>16.2} {:>13.2} {:>10.0} %",
                point.elements,
                point.granularity_ns * point.efficiency / 1e3,
                point.granularity_ns / 1e3,
                point.efficiency * 100.0
            );
        }
        match metg {
            Some(metg) => println!("METG(50 %): {:.2} us", metg / 1e3),
            None => println!("METG(50 %): not among these sizes"),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The best of the repeats for commands of this many elements.
    fn measure(&self, elements: u64, width: u64) -> anyhow::Result<Point> {
        let driver = Driver::start(CardConfig {
            compute_engines: self.engines,
            tracking: self.tracking,
            ..CardConfig::default()
        })?;
        let bytes = width * elements * DataType::F32.bytes();
        let buffers = [driver.create(bytes)?, driver.create(bytes)?];
        for buffer in &buffers {
            driver.write(buffer.device_address, bytes)?;
        }
        let steps = (LIST / width).max(2) & !1;
        let list = stencil(
            buffers.map(|buffer| buffer.device_address),
            elements,
            width,
            steps,
        )?;
        let commands = u32::try_from(steps * width)?;
        let mut best = Duration::MAX;
        let mut number = 0;
        for _ in 0..self.repeats {
            let mut others = Vec::new();
            for _ in 0..if self.fresh { LISTS } else { 0 } {
                number += 1;
                others.push(in_another_order(&list, width as usize, commands, number));
            }
            let began = Instant::now();
            let lists = (0..LISTS)
                .map(|at| driver.submit(others.get(at).unwrap_or(&list), commands))
                .collect::<Result<Vec<_>, _>>()?;
            for list in lists {
                list.wait().context("a stencil")?;
            }
            best = best.min(began.elapsed());
        }
        Ok(Point {
            elements,
            commands: u64::from(commands) * LISTS as u64,
            wall_ns: u64::try_from(best.as_nanos())?,
            granularity_ns: 0.0,
            efficiency: 0.0,
        })
    }
}

/// The commands of a stencil that goes to and fro between two buffers.
fn stencil(buffers: [u64; 2], elements: u64, width: u64, steps: u64) -> anyhow::Result<Vec<u8>> {
    let size = DataType::F32.bytes();
    let range = |buffer: u64, first: u64| -> anyhow::Result<Operand> {
        let mut operand = Operand {
            address: buffer + first * size,
            data_type: DataType::F32.code(),
            rank: 1,
            ..Operand::default()
        };
        (operand.shape[0], operand.stride[0]) = (u32::try_from(elements)?, size);
        Ok(operand)
    };
    let parameters = ElementwiseParams::default();
    let mut commands = Vec::new();
    for step in 0..steps {
        let [from, to] = if step % 2 == 0 {
            buffers
        } else {
            [buffers[1], buffers[0]]
        };
        for column in 0..width {
            let first = column * elements;
            // Within the buffer at its ends, all of which is written in every step.
            let operands = [
                range(to, first)?,
                range(from, first.saturating_sub(HALO))?,
                range(from, (first + HALO).min((width - 1) * elements))?,
            ];
            push_command(&mut commands, Opcode::Add, parameters.as_bytes(), &operands)?;
        }
    }
    Ok(commands)
}

/// The same commands with those of each step, which do not depend on each other, in
/// an order that no list before had.
fn in_another_order(list: &[u8], width: usize, commands: u32, number: u64) -> Vec<u8> {
    let size = list.len() / commands as usize;
    let mut state = number;
    let mut other = Vec::with_capacity(list.len());
    for step in list.chunks(width * size) {
        let mut order: Vec<&[u8]> = step.chunks(size).collect();
        for at in (1..order.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
        other.extend(order.into_iter().flatten());
    }
    other
}

/// The granularity at which the efficiency reaches `share`, between the sizes
/// around it.
fn smallest(points: &[Point], share: f64) -> Option<f64> {
    let at = points.iter().position(|point| point.efficiency >= share)?;
    let enough = points.get(at)?;
    let Some(before) = at.checked_sub(1).and_then(|before| points.get(before)) else {
        return Some(enough.granularity_ns);
    };
    let part = (share - before.efficiency) / (enough.efficiency - before.efficiency);
    Some(before.granularity_ns + part * (enough.granularity_ns - before.granularity_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(granularity_ns: f64, efficiency: f64) -> Point {
        Point {
            elements: 1,
            commands: 1,
            wall_ns: 1,
            granularity_ns,
            efficiency,
        }
    }

    #[test]
    fn the_smallest_granularity_lies_between_the_sizes_around_it() {
        let points = [point(1000.0, 0.1), point(2000.0, 0.4), point(3000.0, 0.6)];
        assert_eq!(smallest(&points, 0.5), Some(2500.0));
        assert_eq!(smallest(&points, 0.05), Some(1000.0));
        assert_eq!(smallest(&points, 0.9), None);
    }

    #[test]
    fn the_card_runs_a_stencil() {
        let arguments = Arguments {
            engines: 2,
            width: None,
            tracking: Policy::Exact,
            repeats: 1,
            elements: Vec::new(),
            fresh: true,
            json: true,
        };
        let point = arguments.measure(64, 8).unwrap();
        assert_eq!(point.commands, 3584 * 8);
    }
}
