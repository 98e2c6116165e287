// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tiled dense linear algebra.

use super::{Matrix, Program, ProgramError};
use crate::clock::Nanos;
use crate::list::Access;

const TILE_COST: Nanos = Nanos(1_000);

/// C += A·B on `tiles`³ instructions, C's tiles outermost.
pub fn gemm(tiles: u64, tile: u64) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let side = tiles * tile;
    let [a, b, c] = [
        Matrix::new(&mut program, "A", side, side)?,
        Matrix::new(&mut program, "B", side, side)?,
        Matrix::new(&mut program, "C", side, side)?,
    ];
    let part = |matrix: Matrix, row, column, access| {
        matrix.tile((row * tile, column * tile), (tile, tile), access)
    };
    for row in 0..tiles {
        for column in 0..tiles {
            for inner in 0..tiles {
                let operands = [
                    part(a, row, inner, Access::Read)?,
                    part(b, inner, column, Access::Read)?,
                    part(c, row, column, Access::ReadWrite)?,
                ];
                program.push("gemm", &operands, TILE_COST)?;
            }
        }
    }
    Ok(program)
}

/// The lower triangle of one matrix, factorised in place.
pub fn cholesky(tiles: u64, tile: u64) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let side = tiles * tile;
    let matrix = Matrix::new(&mut program, "A", side, side)?;
    let part = |row: u64, column: u64, access| {
        matrix.tile((row * tile, column * tile), (tile, tile), access)
    };
    for pivot in 0..tiles {
        let diagonal = [part(pivot, pivot, Access::ReadWrite)?];
        program.push("potrf", &diagonal, TILE_COST)?;
        for row in pivot + 1..tiles {
            let operands = [
                part(pivot, pivot, Access::Read)?,
                part(row, pivot, Access::ReadWrite)?,
            ];
            program.push("trsm", &operands, TILE_COST)?;
        }
        for row in pivot + 1..tiles {
            for column in pivot + 1..=row {
                let left = part(row, pivot, Access::Read)?;
                let right = part(column, pivot, Access::Read)?;
                let target = part(row, column, Access::ReadWrite)?;
                if row == column {
                    program.push("syrk", &[left, target], TILE_COST)?;
                } else {
                    program.push("gemm", &[left, right, target], TILE_COST)?;
                }
            }
        }
    }
    Ok(program)
}
