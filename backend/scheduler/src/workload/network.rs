// SPDX-License-Identifier: MIT OR Apache-2.0
//! Layers of neural networks.

use super::{Matrix, Program, ProgramError, bytes_of};
use crate::clock::Nanos;
use crate::list::{Access, Object};

const ATTENTION_COST: Nanos = Nanos(5_000);
const CONVOLUTION_COST: Nanos = Nanos(20_000);
/// Tokens in a tile of attention.
const TILE: u64 = 64;

/// Self-attention of `layers` layers: scores, softmax, and the weighted sum,
/// head by head in tiles of 64 tokens.  Heads lie next to each other in the
/// rows of Q, K, V and the output; each layer has its own K and V and takes
/// the output of the one before as Q.
pub fn attention(
    heads: u64,
    tokens: u64,
    width: u64,
    layers: u64,
) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let columns = heads * width;
    let mut query = Matrix::new(&mut program, "X", tokens, columns)?;
    let tiles = tokens / TILE;
    for layer in 0..layers {
        let name = |part: &str| format!("{part}{layer}");
        let key = Matrix::new(&mut program, &name("K"), tokens, columns)?;
        let value = Matrix::new(&mut program, &name("V"), tokens, columns)?;
        let scores = Matrix::new(&mut program, &name("S"), heads * tokens, tokens)?;
        let output = Matrix::new(&mut program, &name("O"), tokens, columns)?;
        let part = |matrix: Matrix, tile: u64, head: u64, access| {
            matrix.tile((tile * TILE, head * width), (TILE, width), access)
        };
        let score = |head: u64, row: u64, column: u64, access| {
            let first = head * tokens + row * TILE;
            scores.tile((first, column * TILE), (TILE, TILE), access)
        };
        for head in 0..heads {
            for row in 0..tiles {
                for column in 0..tiles {
                    let operands = [
                        part(query, row, head, Access::Read)?,
                        part(key, column, head, Access::Read)?,
                        score(head, row, column, Access::Write)?,
                    ];
                    program.push("scores", &operands, ATTENTION_COST)?;
                }
            }
            for row in 0..tiles {
                let first = head * tokens + row * TILE;
                let whole = scores.tile((first, 0), (TILE, tokens), Access::ReadWrite)?;
                program.push("softmax", &[whole], ATTENTION_COST)?;
            }
            for row in 0..tiles {
                for inner in 0..tiles {
                    let target = if inner == 0 {
                        Access::Write
                    } else {
                        Access::ReadWrite
                    };
                    let operands = [
                        score(head, row, inner, Access::Read)?,
                        part(value, inner, head, Access::Read)?,
                        part(output, row, head, target)?,
                    ];
                    program.push("weighted-sum", &operands, ATTENTION_COST)?;
                }
            }
        }
        query = output;
    }
    Ok(program)
}

/// Two 3×3 convolutions, then the input is added; NHWC f32 in bands of rows.
pub fn resnet_block(
    images: u64,
    side: u64,
    channels: u64,
    band: u64,
) -> Result<Program, ProgramError> {
    let mut program = Program::new();
    let row = side * channels * 4;
    let image = side * row;
    let weights = 9 * channels * channels * 4;
    let mut tensor = |name: &str, bytes| program.object(name, bytes);
    let input = tensor("input", images * image)?;
    let first_weights = tensor("weights1", weights)?;
    let second_weights = tensor("weights2", weights)?;
    let first = tensor("first", images * image)?;
    let second = tensor("second", images * image)?;
    let output = tensor("output", images * image)?;
    let rows = |object: Object, index: u64, from: u64, to: u64, access| {
        bytes_of(
            object,
            index * image + from * row,
            (to - from) * row,
            access,
        )
    };
    for index in 0..images {
        for (source, kernel, target) in [
            (input, first_weights, first),
            (first, second_weights, second),
        ] {
            for top in (0..side).step_by(band as usize) {
                let bottom = (top + band).min(side);
                let (above, below) = (top.saturating_sub(1), (bottom + 1).min(side));
                let operands = [
                    rows(source, index, above, below, Access::Read)?,
                    bytes_of(kernel, 0, weights, Access::Read)?,
                    rows(target, index, top, bottom, Access::Write)?,
                ];
                program.push("conv2d", &operands, CONVOLUTION_COST)?;
            }
        }
        for top in (0..side).step_by(band as usize) {
            let bottom = (top + band).min(side);
            let operands = [
                rows(second, index, top, bottom, Access::Read)?,
                rows(input, index, top, bottom, Access::Read)?,
                rows(output, index, top, bottom, Access::Write)?,
            ];
            program.push("add", &operands, CONVOLUTION_COST)?;
        }
    }
    Ok(program)
}
