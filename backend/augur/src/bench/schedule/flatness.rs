// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an instruction costs the same however many came before: one endless
//! program, measured at growing lengths, with what it holds in memory.
//!
//! Lists are made as they are submitted and have random lengths, so that none
//! comes twice and nothing is replayed.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

use augur_card::thread_time;
use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos;
use augur_scheduler::list::{Access, CommandList, ListError, Object, Operand, Unit};
use augur_scheduler::policy::Policy;
use augur_scheduler::region::Region;
use augur_scheduler::scheduler::{Config, Scheduler};
use augur_scheduler::workload::ProgramError;
use serde::Serialize;

use super::idle::{IdleEngines, LIST};
use super::measure::{RUN_TIME, RUNS};
use crate::progress::Heartbeat;

/// Two buffers of so many chunks are swept from one to the other and back, each
/// chunk from itself and both neighbours.
const CHUNKS: u64 = 100;
const CHUNK: u64 = 64 << 10;
const COST: Nanos = Nanos(10_000);

/// Lengths are powers of ten, from 10^3 on.
const FIRST_POWER: u32 = 3;
const LAST_POWER: u32 = 7;

/// One policy at one length.
#[derive(Debug, Serialize)]
struct Row {
    policy: String,
    instructions: u64,
    /// Host time.
    analysis_ns_per_instruction: f64,
    /// Regions tracked at the end.
    regions: usize,
    /// The most memory that this process has had so far.
    peak_resident_bytes: u64,
}

/// Measures every policy at every length, shortest first.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(policies: &[Policy], engines: usize, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if !json {
        writeln!(
            out,
            "{:<9} {:>12} {:>9} {:>8} {:>14}",
            "policy", "instructions", "host ns", "regions", "peak memory MB"
        )?;
    }
    for &policy in policies {
        for power in FIRST_POWER..=LAST_POWER {
            let row = {
                let _beat = Heartbeat::start(&format!("{policy}, 10^{power} instructions"));
                measure(policy, 10u64.pow(power), engines)?
            };
            if json {
                writeln!(out, "{}", serde_json::to_string(&row)?)?;
            } else {
                writeln!(
                    out,
                    "{:<9} {:>12} {:>9.0} {:>8} {:>14.1}",
                    row.policy,
                    row.instructions,
                    row.analysis_ns_per_instruction,
                    row.regions,
                    row.peak_resident_bytes as f64 / 1e6,
                )?;
            }
        }
    }
    Ok(())
}

fn measure(policy: Policy, instructions: u64, engines: usize) -> anyhow::Result<Row> {
    let mut best = Duration::MAX;
    let mut regions = 0;
    let begun = thread_time();
    for _ in 0..RUNS {
        let mut scheduler = Scheduler::new(Config {
            compute_engines: engines,
            dma_engines: 1,
            policy,
            limits: Limits::CARD,
            queued_instructions: 4 * LIST,
        });
        let context = scheduler.add_context(NonZeroU32::MIN);
        let mut sweep = Sweep::new()?;
        let mut idle = IdleEngines::new(engines);
        let mut time = Duration::ZERO;
        while sweep.next < instructions {
            let list = sweep.list(instructions)?;
            let started = thread_time();
            idle.submit(&mut scheduler, context, list)?;
            time += thread_time().saturating_sub(started);
        }
        let started = thread_time();
        idle.end_all(&mut scheduler);
        time += thread_time().saturating_sub(started);
        best = best.min(time);
        regions = scheduler.totals().regions as usize;
        if thread_time().saturating_sub(begun) > RUN_TIME {
            break;
        }
    }
    Ok(Row {
        policy: policy.to_string(),
        instructions,
        analysis_ns_per_instruction: best.as_nanos() as f64 / instructions as f64,
        regions,
        peak_resident_bytes: peak_resident_bytes(),
    })
}

/// The endless program.
struct Sweep {
    buffers: [Object; 2],
    /// The instruction that comes next.
    next: u64,
    random: fastrand::Rng,
}

impl Sweep {
    fn new() -> Result<Self, ListError> {
        let bytes = CHUNKS * CHUNK;
        Ok(Self {
            buffers: [Object::new(0, bytes)?, Object::new(bytes, bytes)?],
            next: 0,
            random: fastrand::Rng::with_seed(1),
        })
    }

    /// The next list, up to the program's instruction `end`.
    fn list(&mut self, end: u64) -> Result<CommandList, ProgramError> {
        let length = self.random.u64(LIST as u64 / 2..=LIST as u64);
        let end = end.min(self.next + length);
        let mut list = CommandList::new(LIST);
        while self.next < end {
            let (step, chunk) = (self.next / CHUNKS, self.next % CHUNKS);
            let [mut from, mut to] = self.buffers;
            if step % 2 == 1 {
                (from, to) = (to, from);
            }
            let operand = |object: Object, chunk: u64, access| {
                let start = object.start() + chunk * CHUNK;
                let region = Region::contiguous(start, CHUNK)?;
                Ok::<_, ProgramError>(Operand {
                    region,
                    object,
                    access,
                })
            };
            let mut operands = vec![
                operand(from, chunk, Access::Read)?,
                operand(to, chunk, Access::Write)?,
            ];
            if chunk > 0 {
                operands.push(operand(from, chunk - 1, Access::Read)?);
            }
            if chunk + 1 < CHUNKS {
                operands.push(operand(from, chunk + 1, Access::Read)?);
            }
            list.push(&operands, COST, Unit::Compute)?;
            self.next += 1;
        }
        Ok(list)
    }
}

/// The most memory that this process has had, as the kernel counts it; zero
/// where it does not say.
fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_one_sweep_after_the_other_in_lists_of_its_length() {
        let mut sweep = Sweep::new().unwrap();
        let mut length = 0;
        let mut lists = std::collections::HashSet::new();
        while sweep.next < 5_000 {
            let list = sweep.list(5_000).unwrap();
            length += list.len();
            assert!(lists.insert(list.name()));
        }
        assert_eq!(length, 5_000);
    }

    #[test]
    fn a_long_program_holds_no_more_than_a_short_one() {
        let regions = |length| measure(Policy::Adaptive, length, 4).unwrap().regions;
        assert_eq!(regions(1_000), regions(20_000));
    }

    #[test]
    fn the_kernel_says_how_much_memory_there_was() {
        assert!(peak_resident_bytes() > 100_000);
    }
}
