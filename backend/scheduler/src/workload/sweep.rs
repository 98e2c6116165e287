// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sweeps over memory in chunks, from one buffer into the other and back.

use super::{Program, ProgramError, bytes_of};
use crate::clock::Nanos;
use crate::list::{Access, Object};

const CHUNK_COST: Nanos = Nanos(10_000);
const BAND_COST: Nanos = Nanos(5_000);

/// Each chunk reads itself and `halo` bytes of both neighbours.
pub fn stencil(chunks: u64, chunk: u64, halo: u64, steps: u64) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let buffers = buffers(&mut program, chunks * chunk)?;
    for step in 0..steps {
        let [from, to] = turn(buffers, step);
        for index in 0..chunks {
            let start = index * chunk;
            let mut operands = vec![bytes_of(from, start, chunk, Access::Read)?];
            if index > 0 {
                operands.push(bytes_of(from, start - halo, halo, Access::Read)?);
            }
            if index + 1 < chunks {
                operands.push(bytes_of(from, start + chunk, halo, Access::Read)?);
            }
            operands.push(bytes_of(to, start, chunk, Access::Write)?);
            program.push("stencil", &operands, CHUNK_COST)?;
        }
    }
    Ok(program)
}

/// Chunk sizes (in KiB) change from step to step.
pub fn retile(bytes: u64, chunk_kib: &[u64], steps: u64) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let buffers = buffers(&mut program, bytes)?;
    for (step, kib) in (0..steps).zip(chunk_kib.iter().cycle()) {
        let [from, to] = turn(buffers, step);
        let chunk = kib << 10;
        for start in (0..bytes).step_by(chunk as usize) {
            let length = chunk.min(bytes - start);
            let operands = [
                bytes_of(from, start, length, Access::Read)?,
                bytes_of(to, start, length, Access::Write)?,
            ];
            program.push("retile", &operands, CHUNK_COST)?;
        }
    }
    Ok(program)
}

/// Bands of `band` rows read one row above and one below.
pub fn rows(rows: u64, row: u64, band: u64, passes: u64) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let buffers = buffers(&mut program, rows * row)?;
    for pass in 0..passes {
        let [from, to] = turn(buffers, pass);
        for first in (0..rows).step_by(band as usize) {
            let last = (first + band).min(rows);
            let (above, below) = (first.saturating_sub(1), (last + 1).min(rows));
            let operands = [
                bytes_of(from, above * row, (below - above) * row, Access::Read)?,
                bytes_of(to, first * row, (last - first) * row, Access::Write)?,
            ];
            program.push("filter", &operands, BAND_COST)?;
        }
    }
    Ok(program)
}

fn buffers(program: &mut Program, bytes: u64) -> Result<[Object; 2], ProgramError> {
    Ok([
        program.object("even", bytes)?,
        program.object("odd", bytes)?,
    ])
}

fn turn([even, odd]: [Object; 2], step: u64) -> [Object; 2] {
    if step.is_multiple_of(2) {
        [even, odd]
    } else {
        [odd, even]
    }
}
