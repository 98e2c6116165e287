// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands: from the guest's bytes to a type that cannot be wrong.
//!
//! What is checked here: opcode, sizes, reserved fields, operand layouts, shapes
//! and parameters (by the kernels' own checks), overlap of destination and
//! sources. What is not: whether the memory exists, which only the memory manager
//! knows, and must know again when the command starts.

use augur_abi::command::{
    CONV_ABSOLUTE, CONV_EDGE, CommandHeader, Conv2dParams, ElementwiseParams, FillParams,
    MATMUL_ACCUMULATE, MAX_RANK, MatmulParams, Opcode, Operand as WireOperand, ResampleParams,
    TransferParams,
};
use augur_abi::{DataType, Status};
use augur_kernels::conv2d::{FinishF32, FinishU8, Geometry};
use augur_kernels::{Element, Layout, conv2d, copy, elementwise, matmul, resample};
use augur_memory::{Access, DeviceAddress};
use augur_scheduler::list::Access as RegionAccess;
use augur_scheduler::overlap::overlaps;
use augur_scheduler::region::{Region, RegionError};
use zerocopy::FromBytes;

/// A checked operand: a strided range of device addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Operand {
    pub address: DeviceAddress,
    pub data_type: DataType,
    /// Bytes from the first byte of the first element to behind the last.
    pub span: u64,
    /// The bytes of its elements, exactly.
    pub region: Region,
    rank: usize,
    shape: [u32; MAX_RANK],
    stride: [u64; MAX_RANK],
}

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
        accumulate: bool,
    },
    TransferIn {
        transfer: usize,
        offset: u64,
    },
    TransferOut {
        transfer: usize,
        offset: u64,
    },
}

/// A checked command. The destination is the first operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub operation: Operation,
    pub operands: Vec<Operand>,
}

impl Command {
    /// Whether a DMA channel executes it, not a compute engine.
    pub fn is_transfer(&self) -> bool {
        matches!(
            self.operation,
            Operation::TransferIn { .. } | Operation::TransferOut { .. }
        )
    }

    /// How the command uses an operand's elements.
    pub fn access(&self, index: usize) -> RegionAccess {
        match self.operation {
            Operation::TransferOut { .. } => RegionAccess::Read,
            Operation::Matmul { accumulate: true } if index == 0 => RegionAccess::ReadWrite,
            _ if index == 0 => RegionAccess::Write,
            _ => RegionAccess::Read,
        }
    }

    /// About how long an engine or channel takes, for fairness between contexts:
    /// 20 multiply-adds, 8 bytes of a filter or 12 bytes of a move in a nanosecond.
    pub fn estimated_ns(&self) -> u64 {
        let elements = |index: usize| self.operands.get(index).map_or(0, Operand::elements);
        let bytes: u64 = self
            .operands
            .iter()
            .map(|operand| operand.region.bytes())
            .sum();
        match self.operation {
            Operation::Matmul { .. } => {
                let depth = self.operands.get(1).map_or(1, |a| u64::from(a.shape[1]));
                elements(0).saturating_mul(depth) / 20
            }
            Operation::Conv2dU8 { .. } | Operation::Conv2dF32 { .. } => {
                let outputs = self
                    .operands
                    .first()
                    .map_or(1, |o| u64::from(o.shape[3]))
                    .max(1);
                elements(0).saturating_mul(elements(2) / outputs) / 8
            }
            _ => bytes / 12,
        }
    }

    /// The device memory it uses, in the order of its operands.
    pub fn accesses(&self) -> Vec<Access> {
        let destination_is_written = !matches!(self.operation, Operation::TransferOut { .. });
        self.operands
            .iter()
            .enumerate()
            .map(|(index, operand)| Access {
                address: operand.address,
                bytes: operand.span,
                write: index == 0 && destination_is_written,
            })
            .collect()
    }
}

impl Operand {
    /// The layout, when the operand has elements of type `T`.
    pub fn layout<T: Element>(&self) -> Result<Layout<T>, Status> {
        Layout::new(&self.shape[..self.rank], &self.stride[..self.rank])
            .map_err(|_| Status::BadOperand)
    }

    /// Number of elements.
    fn elements(&self) -> u64 {
        // Cannot overflow: the layout was checked.
        self.shape[..self.rank]
            .iter()
            .map(|&length| u64::from(length))
            .product()
    }

    /// Checks an operand of the wire; one that is written must not name a byte
    /// twice.
    fn check(wire: &WireOperand, written: bool) -> Result<Self, Status> {
        let data_type = DataType::from_code(wire.data_type).ok_or(Status::Invalid)?;
        let rank = usize::from(wire.rank);
        if !(1..=MAX_RANK).contains(&rank) || wire.reserved != [0; 6] {
            return Err(Status::Invalid);
        }
        if wire.shape[rank..].iter().any(|&length| length != 0)
            || wire.stride[rank..].iter().any(|&stride| stride != 0)
        {
            return Err(Status::Invalid);
        }
        if !wire.address.is_multiple_of(data_type.bytes()) {
            return Err(Status::BadOperand);
        }
        let mut operand = Operand {
            address: DeviceAddress(wire.address),
            data_type,
            span: 0,
            region: region(wire, data_type, rank, written)?,
            rank,
            shape: wire.shape,
            stride: wire.stride,
        };
        operand.span = match data_type.bytes() {
            1 => operand.layout::<u8>()?.span_bytes(),
            2 => operand.layout::<i16>()?.span_bytes(),
            _ => operand.layout::<i32>()?.span_bytes(),
        };
        wire.address
            .checked_add(operand.span)
            .ok_or(Status::BadOperand)?;
        Ok(operand)
    }

    /// Whether the operand is dense bytes of rank 1, as transfers need.
    fn is_dense_bytes(&self) -> bool {
        self.data_type == DataType::U8
            && self.rank == 1
            && (self.shape[0] == 1 || self.stride[0] == 1)
    }

    fn same_elements(&self, other: &Operand) -> bool {
        self == other
    }
}

/// The bytes of an operand's elements.
fn region(
    wire: &WireOperand,
    data_type: DataType,
    rank: usize,
    written: bool,
) -> Result<Region, Status> {
    let mut shape = [1; MAX_RANK];
    let mut strides = [0; MAX_RANK];
    for axis in 0..rank {
        shape[axis] = u64::from(wire.shape[axis]);
        if shape[axis] > 1 {
            strides[axis] = i64::try_from(wire.stride[axis]).map_err(|_| Status::BadOperand)?;
        }
    }
    let make = if written {
        Region::written
    } else {
        Region::read
    };
    make(
        wire.address,
        data_type.bytes(),
        &shape[..rank],
        &strides[..rank],
    )
    .map_err(|error| match error {
        RegionError::OutOfRange => Status::NoObject,
        _ => Status::BadOperand,
    })
}

/// Checks the command at the start of `bytes`; answers it and its length.
///
/// # Errors
/// [`Status::Invalid`] for what is malformed, [`Status::BadOperand`] for operands
/// that do not fit the command or each other.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Command, usize), Status> {
    let (header, _) = CommandHeader::read_from_prefix(bytes).map_err(|_| Status::Invalid)?;
    let opcode = Opcode::from_code(header.opcode).ok_or(Status::Invalid)?;
    let count = opcode.operands();
    let parameter_end = CommandHeader::BYTES + opcode.parameter_bytes();
    let length = parameter_end + count * WireOperand::BYTES;
    if usize::from(header.operand_count) != count || header.bytes as usize != length {
        return Err(Status::Invalid);
    }
    let parameters = bytes
        .get(CommandHeader::BYTES..parameter_end)
        .ok_or(Status::Invalid)?;
    let wire = bytes.get(parameter_end..length).ok_or(Status::Invalid)?;
    let operands = wire
        .chunks_exact(WireOperand::BYTES)
        .enumerate()
        .map(|(index, bytes)| {
            let wire = WireOperand::read_from_bytes(bytes).map_err(|_| Status::Invalid)?;
            Operand::check(&wire, index == 0 && opcode != Opcode::TransferOut)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let operation = check_operation(opcode, parameters, &operands)?;
    check_overlap(opcode, &operands)?;
    Ok((
        Command {
            operation,
            operands,
        },
        length,
    ))
}

fn parameters<T: FromBytes>(bytes: &[u8]) -> Result<T, Status> {
    T::read_from_bytes(bytes).map_err(|_| Status::Invalid)
}

fn check_operation(
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
            if reserved != 0 || flags & !MATMUL_ACCUMULATE != 0 {
                return Err(Status::Invalid);
            }
            all_floats(operands)?;
            matmul::check::<f32, f32>(&destination.layout()?, &a.layout()?, &b.layout()?)
                .map_err(bad)?;
            Ok(Operation::Matmul {
                accumulate: flags & MATMUL_ACCUMULATE != 0,
            })
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
        // Every opcode has exactly as many operands as `Opcode::operands` says.
        _ => Err(Status::Invalid),
    }
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

fn check_overlap(opcode: Opcode, operands: &[Operand]) -> Result<(), Status> {
    let Some((destination, sources)) = operands.split_first() else {
        return Err(Status::Invalid);
    };
    let in_place = matches!(
        opcode,
        Opcode::Add | Opcode::Multiply | Opcode::Relu | Opcode::Scale
    );
    for source in sources {
        let allowed = opcode == Opcode::Copy || (in_place && destination.same_elements(source));
        if !allowed && overlaps(&destination.region, &source.region) {
            return Err(Status::BadOperand);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::IntoBytes as _;

    fn dense(address: u64, data_type: DataType, shape: &[u32]) -> WireOperand {
        let mut operand = WireOperand {
            address,
            data_type: data_type.code(),
            rank: shape.len() as u8,
            ..WireOperand::default()
        };
        let mut stride = data_type.bytes();
        for axis in (0..shape.len()).rev() {
            operand.shape[axis] = shape[axis];
            operand.stride[axis] = stride;
            stride *= u64::from(shape[axis]);
        }
        operand
    }

    fn command(opcode: Opcode, parameters: &[u8], operands: &[WireOperand]) -> Vec<u8> {
        let header = CommandHeader {
            opcode: opcode.code(),
            operand_count: operands.len() as u16,
            bytes: (CommandHeader::BYTES + parameters.len() + operands.len() * WireOperand::BYTES)
                as u32,
        };
        [header.as_bytes(), parameters, operands.as_bytes()].concat()
    }

    #[test]
    fn a_good_command_is_taken_with_its_length() {
        let operands = [
            dense(0x1000, DataType::F32, &[4, 6]),
            dense(0x2000, DataType::F32, &[4, 5]),
            dense(0x3000, DataType::F32, &[5, 6]),
        ];
        let mut bytes = command(
            Opcode::Matmul,
            MatmulParams::default().as_bytes(),
            &operands,
        );
        let length = bytes.len();
        bytes.extend([0xff; 9]);
        let (command, taken) = parse(&bytes).unwrap();
        assert_eq!(taken, length);
        assert_eq!(command.operation, Operation::Matmul { accumulate: false });
        let accesses = command.accesses();
        assert_eq!(
            accesses[0],
            Access {
                address: DeviceAddress(0x1000),
                bytes: 96,
                write: true
            }
        );
        assert!(!accesses[1].write && !accesses[2].write);
    }

    #[test]
    fn overlap_is_allowed_only_where_it_has_a_meaning() {
        let a = dense(0x1000, DataType::F32, &[8]);
        let shifted = dense(0x1004, DataType::F32, &[8]);
        let add = |operands: &[WireOperand]| {
            parse(&command(
                Opcode::Add,
                ElementwiseParams::default().as_bytes(),
                operands,
            ))
            .map(|_| ())
        };
        assert_eq!(add(&[a, a, a]), Ok(()));
        assert_eq!(add(&[a, shifted, a]), Err(Status::BadOperand));
        assert_eq!(
            parse(&command(Opcode::Copy, &[], &[a, shifted])).map(|_| ()),
            Ok(())
        );
        let mut folded = a;
        folded.stride[0] = 0;
        assert_eq!(
            parse(&command(Opcode::Copy, &[], &[folded, shifted])).map(|_| ()),
            Err(Status::BadOperand)
        );
        assert_eq!(
            parse(&command(Opcode::Copy, &[], &[shifted, folded])).map(|_| ()),
            Ok(())
        );
    }

    #[test]
    fn what_is_reserved_must_be_zero() {
        let a = dense(0x1000, DataType::U8, &[8]);
        let fill = |operand: WireOperand, value: u64| {
            parse(&command(
                Opcode::Fill,
                FillParams { value }.as_bytes(),
                &[operand],
            ))
            .map(|_| ())
        };
        assert_eq!(fill(a, 255), Ok(()));
        assert_eq!(fill(a, 256), Err(Status::Invalid));
        assert_eq!(
            fill(
                WireOperand {
                    reserved: [0, 0, 0, 0, 0, 1],
                    ..a
                },
                1
            ),
            Err(Status::Invalid)
        );
        let mut behind = a;
        behind.shape[1] = 1;
        assert_eq!(fill(behind, 1), Err(Status::Invalid));
        assert_eq!(
            fill(
                WireOperand {
                    address: u64::MAX,
                    ..a
                },
                1
            ),
            Err(Status::NoObject)
        );
        assert_eq!(fill(WireOperand { rank: 7, ..a }, 1), Err(Status::Invalid));
        assert_eq!(
            fill(WireOperand { data_type: 99, ..a }, 1),
            Err(Status::Invalid)
        );
        let relu = command(
            Opcode::Relu,
            &[1; 8],
            &[
                dense(0, DataType::F32, &[1]),
                dense(64, DataType::F32, &[1]),
            ],
        );
        assert_eq!(parse(&relu).map(|_| ()), Err(Status::Invalid));
    }

    proptest! {
        /// Anything at all is answered without a panic, and what is accepted can be
        /// laid out.
        #[test]
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..400), opcode in 0u16..14, patch in any::<bool>()) {
            if patch && bytes.len() >= CommandHeader::BYTES
                && let Some(opcode) = Opcode::from_code(opcode)
            {
                let length = CommandHeader::BYTES + opcode.parameter_bytes() + opcode.operands() * WireOperand::BYTES;
                let header = CommandHeader { opcode: opcode.code(), operand_count: opcode.operands() as u16, bytes: length as u32 };
                bytes[..CommandHeader::BYTES].copy_from_slice(header.as_bytes());
                bytes.resize(length, 0);
            }
            if let Ok((command, length)) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
                for access in command.accesses() {
                    prop_assert!(access.bytes > 0 && access.address.0.checked_add(access.bytes).is_some());
                }
            }
        }
    }
}
