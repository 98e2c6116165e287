// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a command to the kernel that executes it, on memory that is there.

use std::sync::atomic::AtomicBool;

use augur_abi::command::ReduceKind;
use augur_abi::{DataType, Status};
use augur_kernels::{
    Element, KernelError, View, cholesky, conv2d, copy, elementwise, fill, matmul, normalize,
    reduce, resample, rows, triangular,
};

use crate::command::Command;
use crate::operand::Operand;
use crate::operation::Operation;
use crate::residence::First;

/// The operands of a command with the addresses of their first elements.
struct Operands<'a> {
    command: &'a Command,
    first: &'a First,
}

impl Operands<'_> {
    fn data_type(&self, index: usize) -> Option<DataType> {
        self.command
            .operands
            .get(index)
            .map(|operand| operand.data_type)
    }

    fn view<T: Element>(&self, index: usize) -> Result<View<T>, Status> {
        let operand: &Operand = self
            .command
            .operands
            .get(index)
            .ok_or(Status::DeviceError)?;
        let first = *self.first.get(index).ok_or(Status::DeviceError)?;
        // SAFETY: by the contract of [`run`] the operand's whole span is mapped until
        // the command has ended; its address is a multiple of the element's size, as are
        // the pages it is mapped at; device memory is never referenced.
        Ok(unsafe { View::new(first, operand.layout()?) })
    }
}

/// Executes a command. No transfer is one.
///
/// # Safety
/// Until this returns, the whole span of each operand is pinned, and mapped at its
/// place of `first`; operands that share bytes are in one mapping.
///
/// # Errors
/// That of the kernel.
pub(crate) unsafe fn run(
    command: &Command,
    first: &First,
    cancelled: &AtomicBool,
) -> Result<(), Status> {
    dispatch(&Operands { command, first }, cancelled)
}

fn dispatch(operands: &Operands<'_>, cancelled: &AtomicBool) -> Result<(), Status> {
    let command = operands.command;
    let data_type = command
        .operands
        .first()
        .ok_or(Status::DeviceError)?
        .data_type;
    let o = operands;
    match (command.operation, data_type) {
        (Operation::Copy, _) => match data_type.bytes() {
            1 => copy::run::<u8>(o.view(0)?, o.view(1)?, cancelled),
            2 => copy::run::<i16>(o.view(0)?, o.view(1)?, cancelled),
            _ => copy::run::<i32>(o.view(0)?, o.view(1)?, cancelled),
        },
        (Operation::Fill { value }, _) => match data_type.bytes() {
            1 => fill::run::<u8>(o.view(0)?, value as u8, cancelled),
            2 => fill::run::<i16>(o.view(0)?, value as i16, cancelled),
            _ => fill::run::<i32>(o.view(0)?, value as i32, cancelled),
        },
        (Operation::Conv2dU8 { geometry, finish }, _) => conv2d::run_u8(
            o.view(0)?,
            o.view(1)?,
            o.view(2)?,
            &geometry,
            &finish,
            cancelled,
        ),
        (Operation::Conv2dF32 { geometry, finish }, _) => conv2d::run_f32(
            o.view(0)?,
            o.view(1)?,
            o.view(2)?,
            &geometry,
            &finish,
            cancelled,
        ),
        (Operation::Resample { factor }, DataType::U8) => {
            resample::run_u8(o.view(0)?, o.view(1)?, factor, cancelled)
        }
        (Operation::Resample { factor }, _) => {
            resample::run_f32(o.view(0)?, o.view(1)?, factor, cancelled)
        }
        (Operation::Add, DataType::U8) => {
            elementwise::add_u8(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Add, _) => elementwise::add_f32(o.view(0)?, o.view(1)?, o.view(2)?, cancelled),
        (Operation::Multiply, DataType::U8) => {
            elementwise::multiply_u8(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Multiply, _) => {
            elementwise::multiply_f32(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Relu, _) => elementwise::relu_f32(o.view(0)?, o.view(1)?, cancelled),
        (Operation::Scale { scale, bias }, _) => {
            elementwise::scale_f32(o.view(0)?, o.view(1)?, scale, bias, cancelled)
        }
        (Operation::Matmul { update }, DataType::I32) => {
            matmul::run_i8(o.view(0)?, o.view(1)?, o.view(2)?, update, cancelled)
        }
        (Operation::Matmul { update }, _) if o.data_type(1) == Some(DataType::Bf16) => {
            matmul::run_bf16(o.view(0)?, o.view(1)?, o.view(2)?, update, cancelled)
        }
        (Operation::Matmul { update }, _) => {
            matmul::run_f32(o.view(0)?, o.view(1)?, o.view(2)?, update, cancelled)
        }
        (Operation::Reduce { kind, axis }, _) => match kind {
            ReduceKind::Sum => reduce::sum_f32(o.view(0)?, o.view(1)?, axis, cancelled),
            ReduceKind::Mean => reduce::mean_f32(o.view(0)?, o.view(1)?, axis, cancelled),
            ReduceKind::Maximum => reduce::maximum_f32(o.view(0)?, o.view(1)?, axis, cancelled),
        },
        (Operation::Softmax { axis }, _) => {
            normalize::softmax_f32(o.view(0)?, o.view(1)?, axis, cancelled)
        }
        (Operation::LayerNorm { axis, epsilon }, _) => normalize::layer_norm_f32(
            o.view(0)?,
            o.view(1)?,
            o.view(2)?,
            o.view(3)?,
            epsilon,
            axis,
            cancelled,
        ),
        (Operation::Gather, DataType::U8) => {
            rows::gather::<u8>(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Gather, _) => {
            rows::gather::<f32>(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Scatter, DataType::U8) => {
            rows::scatter::<u8>(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Scatter, _) => {
            rows::scatter::<f32>(o.view(0)?, o.view(1)?, o.view(2)?, cancelled)
        }
        (Operation::Cholesky, _) => cholesky::run_f32(o.view(0)?, cancelled),
        (Operation::TriangularSolve, _) => triangular::run_f32(o.view(0)?, o.view(1)?, cancelled),
        (Operation::TransferIn { .. } | Operation::TransferOut { .. }, _) => {
            return Err(Status::DeviceError);
        }
    }
    .map_err(|error| match error {
        KernelError::Cancelled => Status::Cancelled,
        _ => Status::BadOperand,
    })
}
