// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compute engines: each is a thread that executes one command at a time, in
//! place on device memory.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use augur_abi::command::{MAX_OPERANDS, ReduceKind};
use augur_abi::{DataType, Status};
use augur_kernels::{
    Element, KernelError, View, cholesky, conv2d, copy, elementwise, fill, matmul, normalize,
    reduce, resample, rows, triangular,
};
use augur_memory::{Access, DeviceAddress, Pin, PinError};

use crate::command::Command;
use crate::device_memory::Contiguous;
use crate::dispatch::Work;
use crate::operand::Operand;
use crate::operation::Operation;
use crate::shared::{Shared, Totals};
use crate::status::status_of;

/// How long an engine waits before it looks again whether windows have settled.
const PATIENCE: Duration = Duration::from_millis(10);

/// An engine: works until the queue is closed.
pub(crate) fn run(shared: &Shared, engine: usize) {
    while let Some(work) = shared.dispatch.take_compute(engine, || shared.now()) {
        let result = execute(shared, &work, true).unwrap_or(Err(Status::DeviceError));
        shared.ended(&work, result);
    }
}

/// Plays the part of engines that have nothing to do, for `commands` commands of at
/// most `nanos` estimated nanoseconds. To wake an engine's own thread costs more than
/// a small command; what takes longer or would have to wait is left to that thread.
pub(crate) fn stand_in(shared: &Shared, commands: usize, nanos: u64) {
    for _ in 0..commands {
        let Some((engine, work)) = shared.dispatch.borrow_compute(shared.now()) else {
            return;
        };
        let command = work.list.commands.get(work.command);
        let brief = command.is_some_and(|command| command.estimated_ns() <= nanos);
        let result = if brief {
            execute(shared, &work, false)
        } else {
            None
        };
        match result {
            Some(result) => {
                shared.dispatch.give_back(engine);
                shared.ended(&work, result);
            }
            None => shared.dispatch.hand_over(engine, work),
        }
    }
}

/// Executes a command; `None` when it would have to wait, and must not.
fn execute(shared: &Shared, work: &Work, may_wait: bool) -> Option<Result<(), Status>> {
    let list = &work.list;
    let Some(command) = list.commands.get(work.command) else {
        return Some(Err(Status::DeviceError));
    };
    let ranges = Ranges::of(command);
    let pin = match pin(shared, work, ranges.accesses(), may_wait)? {
        Ok(pin) => pin,
        Err(status) => return Some(Err(status)),
    };
    let start = shared.now();
    let result = compute(shared, command, ranges.ranges(), &pin, &list.cancelled);
    let elapsed = shared.now() - start;
    Totals::add(&shared.totals.compute_ns, elapsed.0);
    let mut core = shared.core();
    if let Some(info) = core.contexts.get_mut(&list.context) {
        info.compute += elapsed;
        info.commands += 1;
    }
    core.manager.unpin(pin, shared.guest_time());
    shared.carry_out(core);
    Some(result)
}

/// Pins the command's memory, waiting for windows that are on the move; `None` when
/// it must not wait.
fn pin(
    shared: &Shared,
    work: &Work,
    accesses: &[Access],
    may_wait: bool,
) -> Option<Result<Pin, Status>> {
    let mut core = shared.core();
    loop {
        if work.list.is_cancelled() || shared.stopping.load(Ordering::Relaxed) {
            return Some(Err(Status::Cancelled));
        }
        match core
            .manager
            .pin(work.list.context, accesses, shared.guest_time())
        {
            Ok(pin) => return Some(Ok(pin)),
            Err(PinError::Memory(error)) => return Some(Err(status_of(error))),
            Err(PinError::Moving) if !may_wait => return None,
            Err(PinError::Moving) => core = shared.wait_for_change(core, PATIENCE),
        }
    }
}

/// Operands that share bytes, to be seen through one view: through two, the same
/// byte would have two addresses and an overlap could not be noticed.
#[derive(Clone, Copy)]
struct OperandRange {
    access: Access,
    /// A bit for each operand.
    operands: u8,
}

impl OperandRange {
    fn addresses(&self) -> Range<u64> {
        self.access.address.0..self.access.address.0 + self.access.bytes
    }
}

/// The ranges of a command.
struct Ranges {
    ranges: [OperandRange; MAX_OPERANDS],
    accesses: [Access; MAX_OPERANDS],
    count: usize,
}

impl Ranges {
    fn of(command: &Command) -> Self {
        let nothing = Access {
            address: DeviceAddress(0),
            bytes: 0,
            write: false,
        };
        let mut found = Self {
            ranges: [OperandRange {
                access: nothing,
                operands: 0,
            }; MAX_OPERANDS],
            accesses: [nothing; MAX_OPERANDS],
            count: 0,
        };
        // No command has more operands.
        for (index, access) in command.accesses().take(MAX_OPERANDS).enumerate() {
            found.add(OperandRange {
                access,
                operands: 1 << index,
            });
        }
        for (access, range) in found.accesses.iter_mut().zip(&found.ranges) {
            *access = range.access;
        }
        found
    }

    fn add(&mut self, mut merged: OperandRange) {
        // Until nothing overlaps any more.
        while let Some(other) = self.ranges[..self.count].iter().position(|range| {
            let (a, b) = (range.addresses(), merged.addresses());
            a.start < b.end && b.start < a.end
        }) {
            self.count -= 1;
            self.ranges.swap(other, self.count);
            let other = self.ranges[self.count];
            let (a, b) = (other.addresses(), merged.addresses());
            let start = a.start.min(b.start);
            merged.access = Access {
                address: DeviceAddress(start),
                bytes: a.end.max(b.end) - start,
                write: merged.access.write || other.access.write,
            };
            merged.operands |= other.operands;
        }
        self.ranges[self.count] = merged;
        self.count += 1;
    }

    fn ranges(&self) -> &[OperandRange] {
        &self.ranges[..self.count]
    }

    fn accesses(&self) -> &[Access] {
        &self.accesses[..self.count]
    }
}

/// The operands of a command with the addresses of their first elements.
struct Operands<'a> {
    command: &'a Command,
    first: [*mut u8; MAX_OPERANDS],
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
        // SAFETY: the operand's whole span is pinned and mapped until the command
        // has ended, and its address is a multiple of the element's size, as are
        // the pages it is mapped at; device memory is never referenced.
        Ok(unsafe { View::new(first, operand.layout()?) })
    }
}

/// Sees pinned memory through views and computes.
fn compute(
    shared: &Shared,
    command: &Command,
    ranges: &[OperandRange],
    pin: &Pin,
    cancelled: &AtomicBool,
) -> Result<(), Status> {
    let mut first = [std::ptr::null_mut(); MAX_OPERANDS];
    let mut views: [Option<Contiguous>; MAX_OPERANDS] = Default::default();
    for ((range, segments), view) in ranges.iter().zip(pin.segments()).zip(&mut views) {
        let made = shared.memory.contiguous(segments).map_err(|error| {
            log::error!("cannot map scattered windows for an engine: {error}");
            Status::DeviceError
        })?;
        for (index, operand) in command.operands.iter().enumerate() {
            if range.operands & (1 << index) != 0 {
                let into = operand.address.0 - range.access.address.0;
                first[index] = made.first().wrapping_add(into as usize);
            }
        }
        *view = Some(made);
    }
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
