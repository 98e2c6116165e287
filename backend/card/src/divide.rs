// SPDX-License-Identifier: MIT OR Apache-2.0
//! Large commands in parts that several engines compute at once. The parts leave
//! the same bytes behind as the whole, each is ordered on what it touches itself,
//! and what needs one part does not wait for the others. Whether it pays is decided
//! elsewhere.

use augur_kernels::conv2d::Geometry;

use crate::command::Command;
use crate::operand::Operand;
use crate::operation::Operation;

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

/// The rows along which a command is divided: how many there are, and the operands
/// that are cut at the same ones.
pub(crate) struct Sliced<'a> {
    pub rows: u32,
    axis: usize,
    operands: Vec<&'a Operand>,
}

/// How a command is divided; `None` when it cannot be.
pub(crate) fn sliced(command: &Command) -> Option<Sliced<'_>> {
    let destination = command.operands.first()?;
    let axis = axis(command, destination)?;
    let rows = destination.length(axis)?;
    let alike =
        |it: &&Operand| it.rank() == destination.rank() && it.shape() == destination.shape();
    // Others are cut elsewhere, or not at all.
    let sources = command.operands.iter().skip(1).filter(alike);
    Some(Sliced {
        rows,
        axis,
        operands: std::iter::once(destination).chain(sources).collect(),
    })
}

impl Sliced<'_> {
    /// The addresses of the operands that are cut.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let end = |it: &Operand| it.address.0 + it.span;
        self.operands.iter().map(move |it| (it.address.0, end(it)))
    }

    /// The rows at which a range of addresses begins and ends, of the operands that it
    /// shares addresses with.
    pub fn bounds(&self, start: u64, end: u64, mut visit: impl FnMut(u32)) {
        for operand in &self.operands {
            let (first, stride) = (operand.address.0, operand.stride_of(self.axis));
            let row = operand.span - stride * u64::from(self.rows.saturating_sub(1));
            // Rows that lie between each other have no bounds.
            if stride == 0 || row > stride || start >= first + operand.span || end <= first {
                continue;
            }
            let before = start.saturating_sub(first) / stride;
            let behind = (end - first).div_ceil(stride);
            for row in [before, behind] {
                if row > 0 && row < u64::from(self.rows) {
                    visit(row as u32);
                }
            }
        }
    }
}

/// Divides a command at these rows into others that together do the same; `None`
/// when it is one that cannot be divided.
pub(crate) fn divide(command: &Command, cuts: &[u32]) -> Option<Vec<Command>> {
    let Sliced { rows, axis, .. } = sliced(command)?;
    if cuts.is_empty() {
        return None;
    }
    let mut divided = Vec::with_capacity(cuts.len() + 1);
    let mut first = 0;
    for &end in cuts.iter().chain([&rows]) {
        let count = end.checked_sub(first)?;
        divided.push(part(command, axis, Rows { first, count })?);
        first = end;
    }
    Some(divided)
}

/// The dimension of the destination along which a command is divided: the one whose
/// elements lie farthest apart, of those whose elements do not need each other.
fn axis(command: &Command, destination: &Operand) -> Option<usize> {
    let apart = |axis: &usize| {
        let length = destination.length(*axis).unwrap_or(0);
        (length > 1, destination.stride_of(*axis), length)
    };
    let any = || (0..destination.rank()).max_by_key(apart);
    let but = |needed: usize| {
        (0..destination.rank())
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
                return Some(operand.clone());
            }
            (Operation::Conv2dU8 { geometry, .. } | Operation::Conv2dF32 { geometry, .. }, 1) => {
                let kernel = command.operands.get(2)?.length(0)?;
                let (source, inner) = source_rows(rows, geometry, operand.length(Y)?, kernel)?;
                *geometry = inner;
                source
            }
            (Operation::Conv2dU8 { .. } | Operation::Conv2dF32 { .. }, _) => {
                return Some(operand.clone());
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
