// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations: opcodes with checked parameters and operands that fit them, by
//! the kernels' own checks.

use augur_abi::command::{
    CONV_ABSOLUTE, CONV_EDGE, Conv2dParams, ElementwiseParams, FillParams, LayerNormParams,
    MATMUL_ACCUMULATE, MATMUL_SUBTRACT, MatmulParams, Opcode, ReduceKind, ReduceParams,
    ResampleParams, SoftmaxParams, TransferParams,
};
use augur_abi::{DataType, Status};
use augur_kernels::conv2d::{FinishF32, FinishU8, Geometry};
use augur_kernels::matmul::Update;
use augur_kernels::{
    Bf16, cholesky, conv2d, copy, elementwise, matmul, normalize, reduce, resample, rows,
    triangular,
};
use zerocopy::FromBytes;

use crate::operand::Operand;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operation {
    Copy,
    Fill {
        value: u64,
    },
    Conv2dU8 {
        geometry: Geometry,
        finish: FinishU8,
    },
    Conv2dF32 {
        geometry: Geometry,
        finish: FinishF32,
    },
    Resample {
        factor: u32,
    },
    Add,
    Multiply,
    Relu,
    Scale {
        scale: f32,
        bias: f32,
    },
    Matmul {
        update: Update,
    },
    Reduce {
        kind: ReduceKind,
        axis: usize,
    },
    Softmax {
        axis: usize,
    },
    LayerNorm {
        axis: usize,
        epsilon: f32,
    },
    Gather,
    Scatter,
    Cholesky,
    TriangularSolve,
    TransferIn {
        transfer: usize,
        offset: u64,
    },
    TransferOut {
        transfer: usize,
        offset: u64,
    },
}

impl Operation {
    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Copy => "copy",
            Operation::Fill { .. } => "fill",
            Operation::Conv2dU8 { .. } | Operation::Conv2dF32 { .. } => "conv2d",
            Operation::Resample { .. } => "resample",
            Operation::Add => "add",
            Operation::Multiply => "multiply",
            Operation::Relu => "relu",
            Operation::Scale { .. } => "scale",
            Operation::Matmul { .. } => "matmul",
            Operation::Reduce { .. } => "reduce",
            Operation::Softmax { .. } => "softmax",
            Operation::LayerNorm { .. } => "layer norm",
            Operation::Gather => "gather",
            Operation::Scatter => "scatter",
            Operation::Cholesky => "cholesky",
            Operation::TriangularSolve => "solve",
            Operation::TransferIn { .. } => "transfer in",
            Operation::TransferOut { .. } => "transfer out",
        }
    }
}

fn parameters<T: FromBytes>(bytes: &[u8]) -> Result<T, Status> {
    T::read_from_bytes(bytes).map_err(|_| Status::Invalid)
}

/// Checks parameters, element types and shapes.
pub(crate) fn check(
    opcode: Opcode,
    bytes: &[u8],
    operands: &[Operand],
) -> Result<Operation, Status> {
    let bad = |_| Status::BadOperand;
    match (opcode, operands) {
        (Opcode::Copy, [destination, source]) => {
            if destination.data_type != source.data_type {
                return Err(Status::BadOperand);
            }
            match destination.data_type.bytes() {
                1 => copy::check::<u8>(&destination.layout()?, &source.layout()?),
                2 => copy::check::<i16>(&destination.layout()?, &source.layout()?),
                _ => copy::check::<i32>(&destination.layout()?, &source.layout()?),
            }
            .map_err(bad)?;
            Ok(Operation::Copy)
        }
        (Opcode::Fill, [destination]) => {
            let FillParams { value } = parameters(bytes)?;
            if value >> (8 * destination.data_type.bytes()) != 0 {
                return Err(Status::Invalid);
            }
            Ok(Operation::Fill { value })
        }
        (Opcode::Conv2d, [destination, source, weights]) => {
            check_conv2d(&parameters(bytes)?, destination, source, weights)
        }
        (Opcode::Resample, [destination, source]) => {
            let ResampleParams { factor, reserved } = parameters(bytes)?;
            if reserved != 0 {
                return Err(Status::Invalid);
            }
            match (destination.data_type, source.data_type) {
                (DataType::U8, DataType::U8) => {
                    resample::check::<u8>(&destination.layout()?, &source.layout()?, factor)
                }
                (DataType::F32, DataType::F32) => {
                    resample::check::<f32>(&destination.layout()?, &source.layout()?, factor)
                }
                _ => return Err(Status::BadOperand),
            }
            .map_err(bad)?;
            Ok(Operation::Resample { factor })
        }
        (Opcode::Add | Opcode::Multiply, [destination, a, b]) => {
            no_parameters(bytes)?;
            match (destination.data_type, a.data_type, b.data_type) {
                (DataType::U8, DataType::U8, DataType::U8) => elementwise::check_binary::<u8>(
                    &destination.layout()?,
                    &a.layout()?,
                    &b.layout()?,
                ),
                (DataType::F32, DataType::F32, DataType::F32) => elementwise::check_binary::<f32>(
                    &destination.layout()?,
                    &a.layout()?,
                    &b.layout()?,
                ),
                _ => return Err(Status::BadOperand),
            }
            .map_err(bad)?;
            Ok(if opcode == Opcode::Add {
                Operation::Add
            } else {
                Operation::Multiply
            })
        }
        (Opcode::Relu | Opcode::Scale, [destination, source]) => {
            all_floats(operands)?;
            elementwise::check_unary::<f32>(&destination.layout()?, &source.layout()?)
                .map_err(bad)?;
            if opcode == Opcode::Relu {
                no_parameters(bytes)?;
                return Ok(Operation::Relu);
            }
            let ElementwiseParams { scale, bias } = parameters(bytes)?;
            Ok(Operation::Scale {
                scale: f32::from_bits(scale),
                bias: f32::from_bits(bias),
            })
        }
        (Opcode::Matmul, [destination, a, b]) => {
            let MatmulParams { flags, reserved } = parameters(bytes)?;
            let update = match flags {
                0 => Update::Replace,
                MATMUL_ACCUMULATE => Update::Add,
                MATMUL_SUBTRACT => Update::Subtract,
                _ => return Err(Status::Invalid),
            };
            if reserved != 0 {
                return Err(Status::Invalid);
            }
            check_matmul(destination, a, b)?;
            Ok(Operation::Matmul { update })
        }
        (Opcode::TransferIn | Opcode::TransferOut, [operand]) => {
            let TransferParams {
                transfer,
                reserved,
                offset,
            } = parameters(bytes)?;
            if reserved != 0 {
                return Err(Status::Invalid);
            }
            if !operand.is_dense_bytes() {
                return Err(Status::BadOperand);
            }
            let transfer = transfer as usize;
            Ok(if opcode == Opcode::TransferIn {
                Operation::TransferIn { transfer, offset }
            } else {
                Operation::TransferOut { transfer, offset }
            })
        }
        (Opcode::Reduce, [destination, source]) => {
            let ReduceParams { axis, kind } = parameters(bytes)?;
            let (axis, kind) = (
                axis as usize,
                ReduceKind::from_code(kind).ok_or(Status::Invalid)?,
            );
            all_floats(operands)?;
            reduce::check(&destination.layout()?, &source.layout()?, axis).map_err(bad)?;
            Ok(Operation::Reduce { kind, axis })
        }
        (Opcode::Softmax, [destination, source]) => {
            let SoftmaxParams { axis, reserved } = parameters(bytes)?;
            if reserved != 0 {
                return Err(Status::Invalid);
            }
            let axis = axis as usize;
            all_floats(operands)?;
            normalize::check_softmax(&destination.layout()?, &source.layout()?, axis)
                .map_err(bad)?;
            Ok(Operation::Softmax { axis })
        }
        (Opcode::LayerNorm, [destination, source, scale, bias]) => {
            let LayerNormParams { axis, epsilon } = parameters(bytes)?;
            let axis = axis as usize;
            all_floats(operands)?;
            normalize::check_layer_norm(
                &destination.layout()?,
                &source.layout()?,
                &scale.layout()?,
                &bias.layout()?,
                axis,
            )
            .map_err(bad)?;
            Ok(Operation::LayerNorm {
                axis,
                epsilon: f32::from_bits(epsilon),
            })
        }
        (Opcode::Gather, [listed, table, indices]) => {
            check_rows(listed, table, indices)?;
            Ok(Operation::Gather)
        }
        (Opcode::Scatter, [table, listed, indices]) => {
            check_rows(listed, table, indices)?;
            Ok(Operation::Scatter)
        }
        (Opcode::Cholesky, [matrix]) => {
            all_floats(operands)?;
            cholesky::check(&matrix.layout()?).map_err(bad)?;
            Ok(Operation::Cholesky)
        }
        (Opcode::TriangularSolve, [x, l]) => {
            all_floats(operands)?;
            triangular::check(&x.layout()?, &l.layout()?).map_err(bad)?;
            Ok(Operation::TriangularSolve)
        }
        // Every opcode has exactly as many operands as `Opcode::operands` says.
        _ => Err(Status::Invalid),
    }
}

fn check_matmul(destination: &Operand, a: &Operand, b: &Operand) -> Result<(), Status> {
    match (destination.data_type, a.data_type, b.data_type) {
        (DataType::F32, DataType::F32, DataType::F32) => {
            matmul::check::<f32, f32>(&destination.layout()?, &a.layout()?, &b.layout()?)
        }
        (DataType::F32, DataType::Bf16, DataType::Bf16) => {
            matmul::check::<f32, Bf16>(&destination.layout()?, &a.layout()?, &b.layout()?)
        }
        (DataType::I32, DataType::I8, DataType::I8) => {
            matmul::check::<i32, i8>(&destination.layout()?, &a.layout()?, &b.layout()?)
        }
        _ => return Err(Status::BadOperand),
    }
    .map_err(|_| Status::BadOperand)
}

/// Rows that are listed by indices, and the table they are rows of.
fn check_rows(listed: &Operand, table: &Operand, indices: &Operand) -> Result<(), Status> {
    match (listed.data_type, table.data_type, indices.data_type) {
        (DataType::U8, DataType::U8, DataType::I32) => {
            rows::check::<u8>(&listed.layout()?, &table.layout()?, &indices.layout()?)
        }
        (DataType::F32, DataType::F32, DataType::I32) => {
            rows::check::<f32>(&listed.layout()?, &table.layout()?, &indices.layout()?)
        }
        _ => return Err(Status::BadOperand),
    }
    .map_err(|_| Status::BadOperand)
}

fn check_conv2d(
    wire: &Conv2dParams,
    destination: &Operand,
    source: &Operand,
    weights: &Operand,
) -> Result<Operation, Status> {
    if wire.flags & !(CONV_ABSOLUTE | CONV_EDGE) != 0 {
        return Err(Status::Invalid);
    }
    let geometry = Geometry {
        stride_y: wire.stride_y,
        stride_x: wire.stride_x,
        pad_top: wire.pad_top,
        pad_bottom: wire.pad_bottom,
        pad_left: wire.pad_left,
        pad_right: wire.pad_right,
        groups: wire.groups,
        repeat_edge: wire.flags & CONV_EDGE != 0,
    };
    let absolute = wire.flags & CONV_ABSOLUTE != 0;
    match (destination.data_type, source.data_type, weights.data_type) {
        (DataType::U8, DataType::U8, DataType::I16) => {
            let finish = FinishU8 {
                absolute,
                bias: wire.bias.cast_signed(),
                shift: wire.shift,
            };
            conv2d::check_u8(
                &destination.layout()?,
                &source.layout()?,
                &weights.layout()?,
                &geometry,
                &finish,
            )
            .map_err(|_| Status::BadOperand)?;
            Ok(Operation::Conv2dU8 { geometry, finish })
        }
        (DataType::F32, DataType::F32, DataType::F32) => {
            if wire.shift != 0 {
                return Err(Status::Invalid);
            }
            conv2d::check::<f32, f32>(
                &destination.layout()?,
                &source.layout()?,
                &weights.layout()?,
                &geometry,
            )
            .map_err(|_| Status::BadOperand)?;
            let finish = FinishF32 {
                absolute,
                bias: f32::from_bits(wire.bias),
            };
            Ok(Operation::Conv2dF32 { geometry, finish })
        }
        _ => Err(Status::BadOperand),
    }
}

fn no_parameters(bytes: &[u8]) -> Result<(), Status> {
    if parameters::<ElementwiseParams>(bytes)? == ElementwiseParams::default() {
        Ok(())
    } else {
        Err(Status::Invalid)
    }
}

fn all_floats(operands: &[Operand]) -> Result<(), Status> {
    if operands
        .iter()
        .all(|operand| operand.data_type == DataType::F32)
    {
        Ok(())
    } else {
        Err(Status::BadOperand)
    }
}
