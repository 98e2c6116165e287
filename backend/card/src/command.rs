// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands: from the guest's bytes to a type that cannot be wrong.
//!
//! What is checked here: opcode, sizes, reserved fields, operand layouts, shapes
//! and parameters (by the kernels' own checks), overlap of destination and
//! sources. What is not: whether the memory exists, which only the memory manager
//! knows, and must know again when the command starts.

use augur_abi::Status;
use augur_abi::command::{CommandHeader, Opcode, Operand as WireOperand};
use augur_kernels::matmul::Update;
use augur_memory::Access;
use augur_scheduler::list::Access as RegionAccess;
use augur_scheduler::overlap::overlaps;
use zerocopy::FromBytes;

use crate::operand::Operand;
use crate::operation::{self, Operation};

/// A checked command. The destination is the first operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub operation: Operation,
    pub operands: Vec<Operand>,
    /// About how long an engine or channel takes, in nanoseconds.
    pub nanos: u64,
}

impl Command {
    /// A command whose operands fit the operation.
    pub fn new(operation: Operation, operands: Vec<Operand>) -> Self {
        let mut command = Command {
            operation,
            operands,
            nanos: 0,
        };
        command.nanos = command.estimate();
        command
    }

    /// Whether a source shares bytes with the destination.
    pub fn overlaps_itself(&self) -> bool {
        self.operands
            .split_first()
            .is_some_and(|(destination, sources)| {
                let shares = |source: &Operand| overlaps(&destination.region, &source.region);
                sources.iter().any(shares)
            })
    }

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
            // Which rows a scatter writes is not known before it runs.
            Operation::Matmul {
                update: Update::Add | Update::Subtract,
            }
            | Operation::Scatter
            | Operation::Cholesky
            | Operation::TriangularSolve
                if index == 0 =>
            {
                RegionAccess::ReadWrite
            }
            _ if index == 0 => RegionAccess::Write,
            _ => RegionAccess::Read,
        }
    }

    /// About how long an engine or channel takes, for fairness between contexts:
    /// 20 multiply-adds of a product, 10 of a triangle, 8 bytes of a filter or 12
    /// bytes of a move in a nanosecond.
    fn estimate(&self) -> u64 {
        let elements = |index: usize| self.operands.get(index).map_or(0, Operand::elements);
        let bytes: u64 = self
            .operands
            .iter()
            .map(|operand| operand.region.bytes())
            .sum();
        match self.operation {
            Operation::Matmul { .. } => {
                let depth = self.operands.get(1).map_or(1, |a| a.shape()[1]);
                elements(0).saturating_mul(depth) / 20
            }
            Operation::Conv2dU8 { .. } | Operation::Conv2dF32 { .. } => {
                let outputs = self.operands.first().map_or(1, |o| o.shape()[3]);
                elements(0).saturating_mul(elements(2) / outputs) / 8
            }
            Operation::Cholesky | Operation::TriangularSolve => {
                let size = self.operands.last().map_or(1, |it| it.shape()[0]);
                elements(0).saturating_mul(size) / 20
            }
            _ => bytes / 12,
        }
    }

    /// The device memory it uses, in the order of its operands.
    pub fn accesses(&self) -> impl Iterator<Item = Access> + '_ {
        let destination_is_written = !matches!(self.operation, Operation::TransferOut { .. });
        self.operands
            .iter()
            .enumerate()
            .map(move |(index, operand)| Access {
                address: operand.address,
                bytes: operand.span,
                write: index == 0 && destination_is_written,
            })
    }
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
    let mut operands = Vec::with_capacity(count);
    for (index, bytes) in wire.chunks_exact(WireOperand::BYTES).enumerate() {
        let wire = WireOperand::read_from_bytes(bytes).map_err(|_| Status::Invalid)?;
        let written = index == 0 && opcode != Opcode::TransferOut;
        operands.push(Operand::check(&wire, written)?);
    }
    let operation = operation::check(opcode, parameters, &operands)?;
    check_overlap(opcode, &operands)?;
    Ok((Command::new(operation, operands), length))
}

fn check_overlap(opcode: Opcode, operands: &[Operand]) -> Result<(), Status> {
    let Some((destination, sources)) = operands.split_first() else {
        return Err(Status::Invalid);
    };
    let in_place = matches!(
        opcode,
        Opcode::Add
            | Opcode::Multiply
            | Opcode::Relu
            | Opcode::Scale
            | Opcode::Softmax
            | Opcode::LayerNorm
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
    use augur_abi::DataType;
    use augur_abi::command::{ElementwiseParams, FillParams, MatmulParams};
    use augur_memory::DeviceAddress;
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
        assert_eq!(
            command.operation,
            Operation::Matmul {
                update: Update::Replace
            }
        );
        let accesses: Vec<Access> = command.accesses().collect();
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
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..400), opcode in 0u16..20, patch in any::<bool>()) {
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
