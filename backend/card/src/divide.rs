// SPDX-License-Identifier: MIT OR Apache-2.0
//! Large commands in parts that several engines compute at once. The parts leave
//! the same bytes behind as the whole, each is ordered on what it touches itself,
//! and what needs one part does not wait for the others. Whether it pays is decided
//! elsewhere.

use augur_kernels::conv2d::Geometry;

use crate::command::Command;
use crate::operand::Operand;
use crate::operation::Operation;

/// Rows are cut where a multiple of this lies, so that kernels find whole blocks.
const ROWS: u32 = 16;
/// The row dimension of images.
const Y: usize = 1;

/// Rows of a destination.
#[derive(Clone, Copy)]
struct Rows {
    first: u32,
    count: u32,
}

/// Whether [`divide`] knows how.
pub(crate) fn is_divisible(command: &Command) -> bool {
    let destination = command.operands.first();
    destination.is_some_and(|destination| axis(command, destination).is_some())
}

/// Divides a command into at most `parts` others that together do the same; `None`
/// when it is one that cannot be divided, or not worth it.
pub(crate) fn divide(command: &Command, parts: u32) -> Option<Vec<Command>> {
    let destination = command.operands.first()?;
    let axis = axis(command, destination)?;
    let length = *destination.shape.get(axis)?;
    let step = length.div_ceil(parts).next_multiple_of(ROWS.min(length));
    if step >= length {
        return None;
    }
    let mut divided = Vec::new();
    for first in (0..length).step_by(step as usize) {
        let rows = Rows {
            first,
            count: step.min(length - first),
        };
        divided.push(part(command, axis, rows)?);
    }
    Some(divided)
}

/// The dimension of the destination along which a command is divided: the one whose
/// elements lie farthest apart, of those whose elements do not need each other.
fn axis(command: &Command, destination: &Operand) -> Option<usize> {
    let apart = |axis: &usize| {
        let length = destination.shape.get(*axis).copied().unwrap_or(0);
        (length > 1, destination.stride_of(*axis), length)
    };
    let any = || (0..destination.rank).max_by_key(apart);
    let but = |needed: usize| {
        (0..destination.rank)
            .filter(|&it| it != needed)
            .max_by_key(apart)
    };
    match command.operation {
        // What is copied onto itself is read before it is overwritten.
        Operation::Copy if command.overlaps_itself() => None,
        Operation::Copy
        | Operation::Fill { .. }
        | Operation::Add
        | Operation::Multiply
        | Operation::Relu
        | Operation::Scale { .. } => any(),
        Operation::Matmul { .. } => Some(0),
        Operation::Conv2dU8 { .. } | Operation::Conv2dF32 { .. } | Operation::Resample { .. } => {
            Some(Y)
        }
        Operation::Reduce { axis, .. }
        | Operation::Softmax { axis }
        | Operation::LayerNorm { axis, .. } => but(axis),
        // Indices are only known while these run, and a bad one has to fail the whole.
        Operation::Gather | Operation::Scatter => None,
        Operation::Cholesky | Operation::TriangularSolve => None,
        Operation::TransferIn { .. } | Operation::TransferOut { .. } => None,
    }
}

fn part(command: &Command, axis: usize, rows: Rows) -> Option<Command> {
    let mut operation = command.operation;
    let operands = command.operands.iter().enumerate();
    let operands = operands.map(|(index, operand)| {
        let Rows { first, count } = match (&mut operation, index) {
            (_, 0) => rows,
            (Operation::Matmul { .. }, 1) => rows,
            (Operation::Matmul { .. }, _) | (Operation::LayerNorm { .. }, 2..) => {
                return Some(*operand);
            }
            (Operation::Conv2dU8 { geometry, .. } | Operation::Conv2dF32 { geometry, .. }, 1) => {
                let kernel = *command.operands.get(2)?.shape.first()?;
                let (source, inner) = source_rows(rows, geometry, operand.shape[Y], kernel)?;
                *geometry = inner;
                source
            }
            (Operation::Conv2dU8 { .. } | Operation::Conv2dF32 { .. }, _) => {
                return Some(*operand);
            }
            (Operation::Resample { factor }, _) => Rows {
                first: rows.first.checked_mul(*factor)?,
                count: rows.count.checked_mul(*factor)?,
            },
            _ => rows,
        };
        operand.rows(axis, first, count, command.access(index).writes())
    });
    let operands = operands.collect::<Option<Vec<_>>>()?;
    Some(Command::new(operation, operands))
}

/// The rows of a source of `height` rows that a convolution needs for some of its
/// destination, and what is left of its borders there.
fn source_rows(
    rows: Rows,
    geometry: &Geometry,
    height: u32,
    kernel: u32,
) -> Option<(Rows, Geometry)> {
    let stride = i64::from(geometry.stride_y);
    // Counted from the first row of the source; the border lies before it.
    let start = i64::from(rows.first) * stride - i64::from(geometry.pad_top);
    let end = start + (i64::from(rows.count) - 1) * stride + i64::from(kernel);
    let (first, last) = (start.max(0), end.min(i64::from(height)));
    if first >= last {
        return None;
    }
    let inner = Geometry {
        pad_top: u16::try_from(first - start).ok()?,
        pad_bottom: u16::try_from(end - last).ok()?,
        ..*geometry
    };
    let source = Rows {
        first: u32::try_from(first).ok()?,
        count: u32::try_from(last - first).ok()?,
    };
    Some((source, inner))
}
