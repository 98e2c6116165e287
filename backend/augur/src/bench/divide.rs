// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench divide`: one large command at a time on one engine and on several,
//! which divide it.
//!
//! The card runs in this process with its own engine threads; only the guest is
//! missing. That both leave the same bytes behind the card's tests say.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use augur_abi::command::{
    Conv2dParams, ElementwiseParams, FillParams, MatmulParams, Operand, SoftmaxParams,
};
use augur_abi::{DataType, Opcode};
use augur_card::CardConfig;
use clap::Args;
use serde::Serialize;
use zerocopy::IntoBytes as _;

use crate::bench::driver::{Driver, push_command};

/// Bytes of each of the three operands, and the number that stands in them.
const OPERAND: u64 = 16 << 20;
const NUMBER: f32 = 0.5;

/// Arguments of `augur bench divide`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Compute engines that are compared with one
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=64))]
    engines: u16,
    /// How often each command is measured; the best counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome {
    command: &'static str,
    engines: u16,
    one_ns: u64,
    several_ns: u64,
    faster: f64,
}

impl Arguments {
    /// Measures and reports.
    ///
    /// # Errors
    /// The card cannot be made, or fails.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (one, several) = (self.measure(1)?, self.measure(self.engines)?);
        if !self.json {
            println!(
                "{:<12} {:>14} {:>14} {:>8}",
                "command",
                "1 engine ms",
                format!("{} engines ms", self.engines),
                "faster"
            );
        }
        for ((command, one), (_, several)) in one.into_iter().zip(several) {
            let outcome = Outcome {
                command,
                engines: self.engines,
                one_ns: u64::try_from(one.as_nanos())?,
                several_ns: u64::try_from(several.as_nanos())?,
                faster: one.as_secs_f64() / several.as_secs_f64(),
            };
            if self.json {
                println!("{}", serde_json::to_string(&outcome)?);
            } else {
                println!(
                    "{command:<12} {:>14.2} {:>14.2} {:>8.2}",
                    one.as_secs_f64() * 1e3,
                    several.as_secs_f64() * 1e3,
                    outcome.faster
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The best time of each command on that many engines.
    fn measure(&self, engines: u16) -> anyhow::Result<Vec<(&'static str, Duration)>> {
        let driver = Driver::start(CardConfig {
            compute_engines: engines,
            ..CardConfig::default()
        })?;
        let mut at = [0; 3];
        for address in &mut at {
            *address = driver.create(OPERAND)?.device_address;
            let value = u64::from(NUMBER.to_bits());
            let all = floats(*address, &[u32::try_from(OPERAND / 4)?]);
            let fill = FillParams { value };
            run(&driver, Opcode::Fill, fill.as_bytes(), &[all])?;
        }
        let [to, a, b] = at;
        let three = |shape: &[u32]| [to, a, b].map(|address| floats(address, shape));
        let one_each = Conv2dParams {
            stride_y: 1,
            stride_x: 1,
            pad_top: 1,
            pad_bottom: 1,
            pad_left: 1,
            pad_right: 1,
            groups: 1,
            ..Conv2dParams::default()
        };
        let rows = SoftmaxParams {
            axis: 1,
            reserved: 0,
        };
        let image = |address| floats(address, &[1, 192, 192, 32]);
        let (none, product) = (ElementwiseParams::default(), MatmulParams::default());
        let square = three(&[2048, 2048]);
        let commands: [(_, _, &[u8], Vec<Operand>); 4] = [
            ("add", Opcode::Add, none.as_bytes(), square.to_vec()),
            (
                "softmax",
                Opcode::Softmax,
                rows.as_bytes(),
                square[..2].to_vec(),
            ),
            (
                "matmul",
                Opcode::Matmul,
                product.as_bytes(),
                three(&[1024, 1024]).to_vec(),
            ),
            (
                "conv2d",
                Opcode::Conv2d,
                one_each.as_bytes(),
                vec![image(to), image(a), floats(b, &[3, 3, 32, 32])],
            ),
        ];
        let mut times = Vec::new();
        for (name, opcode, parameters, operands) in commands {
            let mut best = Duration::MAX;
            for _ in 0..self.repeats {
                best = best.min(run(&driver, opcode, parameters, &operands)?);
            }
            times.push((name, best));
        }
        Ok(times)
    }
}

/// Runs one command as a list; how long it took.
fn run(
    driver: &Driver,
    opcode: Opcode,
    parameters: &[u8],
    operands: &[Operand],
) -> anyhow::Result<Duration> {
    let mut list = Vec::new();
    push_command(&mut list, opcode, parameters, operands)?;
    let began = Instant::now();
    driver.submit(&list, 1)?.wait()?;
    Ok(began.elapsed())
}

/// A dense operand of f32.
fn floats(address: u64, shape: &[u32]) -> Operand {
    let mut operand = Operand {
        address,
        data_type: DataType::F32.code(),
        rank: shape.len() as u8,
        ..Operand::default()
    };
    let mut stride = DataType::F32.bytes();
    let axes = operand.shape.iter_mut().zip(&mut operand.stride);
    for ((own_length, own_stride), &length) in axes.take(shape.len()).rev().zip(shape.iter().rev())
    {
        (*own_length, *own_stride) = (length, stride);
        stride *= u64::from(length);
    }
    operand
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_runs_on_one_engine_and_on_several() {
        let arguments = Arguments {
            engines: 3,
            repeats: 1,
            json: true,
        };
        for engines in [1, 3] {
            assert_eq!(arguments.measure(engines).unwrap().len(), 4);
        }
    }
}
