// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the builder writes, byte by byte, and what it refuses.

use augur_abi::command::MATMUL_ACCUMULATE;
use augur_abi::command::ReduceKind;
use zerocopy::FromBytes;

use super::*;

fn tensor(data_type: DataType, shape: &[u32]) -> Tensor {
    Tensor::dense(0x10_0000, data_type, 0, shape).expect("a good shape")
}

fn header(list: &CommandList<'_>, offset: usize) -> CommandHeader {
    let bytes = &list.commands()[offset..offset + CommandHeader::BYTES];
    CommandHeader::read_from_bytes(bytes).expect("eight bytes")
}

#[test]
fn commands_are_header_parameters_and_operands_destination_first() {
    let mut list = CommandList::new();
    let destination = tensor(DataType::F32, &[2, 4]);
    let (a, b) = (
        tensor(DataType::F32, &[2, 3]),
        tensor(DataType::F32, &[3, 4]),
    );
    list.fill(&destination, 0x3f80_0000).expect("fits");
    list.matmul(&destination, &a, &b, true).expect("fits");

    assert_eq!(list.command_count(), 2);
    let fill = header(&list, 0);
    assert_eq!(
        (fill.opcode, fill.operand_count, fill.bytes),
        (Opcode::Fill.code(), 1, 8 + 8 + 88)
    );
    assert_eq!(list.commands()[8..16], 0x3f80_0000_u64.to_le_bytes());
    let at = fill.bytes as usize;
    let matmul = header(&list, at);
    assert_eq!(
        (matmul.opcode, matmul.operand_count, matmul.bytes),
        (Opcode::Matmul.code(), 3, 8 + 8 + 3 * 88)
    );
    assert_eq!(list.commands().len(), at + matmul.bytes as usize);
    assert_eq!(
        list.commands()[at + 8..at + 12],
        MATMUL_ACCUMULATE.to_le_bytes()
    );
    for (index, expected) in [destination, a, b].iter().enumerate() {
        let from = at + 16 + index * Operand::BYTES;
        assert_eq!(
            &list.commands()[from..from + Operand::BYTES],
            expected.operand().as_bytes()
        );
    }
}

#[test]
fn every_command_has_the_size_that_its_opcode_says() {
    let image = tensor(DataType::U8, &[1, 8, 8, 3]);
    let half = tensor(DataType::U8, &[1, 4, 4, 3]);
    let weights = tensor(DataType::I16, &[3, 3, 1, 3]);
    let floats = tensor(DataType::F32, &[8]);
    let square = tensor(DataType::F32, &[4, 4]);
    let (row, column) = (tensor(DataType::F32, &[4]), tensor(DataType::F32, &[4, 1]));
    let (oblong, indices) = (tensor(DataType::F32, &[6, 4]), tensor(DataType::I32, &[6]));
    let depthwise = Convolution {
        groups: 3,
        ..Convolution::same_size(3, 3)
    };
    let input = [0; 8];
    let mut output = [0; 8];
    let bytes = tensor(DataType::U8, &[8]);

    let mut list = CommandList::new();
    list.copy(&image, &image).expect("fits");
    list.fill(&image, 255).expect("fits");
    list.conv2d(&image, &image, &weights, &depthwise)
        .expect("fits");
    list.resample(&half, &image, 2).expect("fits");
    list.add(&image, &image, &image).expect("fits");
    list.multiply(&floats, &floats, &floats).expect("fits");
    list.relu(&floats, &floats).expect("fits");
    list.scale(&floats, &floats, 2.0, 1.0).expect("fits");
    list.matmul(&square, &square, &square, false).expect("fits");
    list.reduce(&column, &square, 1, ReduceKind::Mean)
        .expect("fits");
    list.softmax(&square, &square, 0).expect("fits");
    list.layer_norm(&square, &square, &row, &row, 1, 1e-5)
        .expect("fits");
    list.gather(&oblong, &square, &indices).expect("fits");
    list.scatter(&square, &oblong, &indices).expect("fits");
    list.matmul_subtract(&square, &square, &square)
        .expect("fits");
    list.cholesky(&square).expect("fits");
    list.triangular_solve(&oblong, &square).expect("fits");
    list.upload(&bytes, &input).expect("fits");
    list.download(&mut output, &bytes).expect("fits");

    let mut at = 0;
    for opcode in [
        Opcode::Copy,
        Opcode::Fill,
        Opcode::Conv2d,
        Opcode::Resample,
        Opcode::Add,
        Opcode::Multiply,
        Opcode::Relu,
        Opcode::Scale,
        Opcode::Matmul,
        Opcode::Reduce,
        Opcode::Softmax,
        Opcode::LayerNorm,
        Opcode::Gather,
        Opcode::Scatter,
        Opcode::Matmul,
        Opcode::Cholesky,
        Opcode::TriangularSolve,
        Opcode::TransferIn,
        Opcode::TransferOut,
    ] {
        let found = header(&list, at);
        assert_eq!(found.opcode, opcode.code());
        assert_eq!(usize::from(found.operand_count), opcode.operands());
        let expected = 8 + opcode.parameter_bytes() + 88 * opcode.operands();
        assert_eq!(found.bytes as usize, expected, "{opcode:?}");
        at += expected;
    }
    assert_eq!(at, list.commands().len());
    assert_eq!(list.transfers().len(), 2);
    assert_eq!(list.transfers()[0].flags, 0);
    assert_eq!(list.transfers()[1].flags, uapi::TRANSFER_WRITES_MEMORY);
}

#[test]
fn products_of_small_types_are_taken_with_their_wider_sums() {
    let mut list = CommandList::new();
    for (from, to) in [
        (DataType::I8, DataType::I32),
        (DataType::Bf16, DataType::F32),
    ] {
        let (a, b) = (tensor(from, &[2, 3]), tensor(from, &[4, 3]));
        let b = b.transpose(0, 1).expect("two dimensions");
        list.matmul(&tensor(to, &[2, 4]), &a, &b, false)
            .expect("fits");
    }
    assert_eq!(list.command_count(), 2);
}

#[test]
fn shapes_and_types_that_do_not_fit_are_refused() {
    let mut list = CommandList::new();
    let bytes = tensor(DataType::U8, &[8]);
    let floats = tensor(DataType::F32, &[8]);
    let words = tensor(DataType::I16, &[8]);
    let image = tensor(DataType::U8, &[1, 8, 8, 3]);
    let weights = tensor(DataType::I16, &[3, 3, 1, 3]);
    let depthwise = Convolution {
        groups: 3,
        ..Convolution::same_size(3, 3)
    };

    assert!(list.copy(&bytes, &floats).is_err());
    assert!(list.copy(&bytes, &image).is_err());
    assert!(list.fill(&bytes, 256).is_err());
    assert!(list.add(&words, &words, &words).is_err());
    assert!(list.add(&bytes, &bytes, &floats).is_err());
    assert!(list.relu(&bytes, &bytes).is_err());
    assert!(list.resample(&image, &image, 2).is_err());
    assert!(list.resample(&image, &image, 1).is_err());
    let square = tensor(DataType::F32, &[4, 4]);
    let oblong = tensor(DataType::F32, &[3, 4]);
    assert!(list.matmul(&square, &square, &oblong, false).is_err());
    assert!(list.matmul(&floats, &floats, &floats, false).is_err());
    let small = tensor(DataType::I8, &[4, 4]);
    assert!(list.matmul(&square, &small, &small, false).is_err());
    assert!(list.matmul(&small, &small, &small, false).is_err());
    assert!(list.reduce(&square, &square, 0, ReduceKind::Sum).is_err());
    assert!(list.reduce(&square, &square, 2, ReduceKind::Sum).is_err());
    assert!(list.softmax(&square, &oblong, 0).is_err());
    assert!(list.softmax(&square, &square, 2).is_err());
    let (row, indices) = (tensor(DataType::F32, &[3]), tensor(DataType::I32, &[3]));
    assert!(
        list.layer_norm(&square, &square, &row, &row, 1, 0.0)
            .is_err()
    );
    assert!(list.gather(&square, &square, &indices).is_err());
    assert!(list.gather(&oblong, &square, &row).is_err());
    assert!(list.scatter(&square, &square, &indices).is_err());
    let ungrouped = Convolution {
        groups: 1,
        ..depthwise
    };
    let no_groups = Convolution {
        groups: 0,
        ..depthwise
    };
    let no_stride = Convolution {
        stride: [0, 1],
        ..depthwise
    };
    let unpadded = Convolution {
        pad_rows: [0, 0],
        ..depthwise
    };
    for bad in [ungrouped, no_groups, no_stride, unpadded] {
        assert!(list.conv2d(&image, &image, &weights, &bad).is_err());
    }
    assert!(list.upload(&bytes, &[0; 7]).is_err());
    assert!(list.upload(&floats, &[0; 8]).is_err());
    assert!(list.lend(&[]).is_err());
    assert!(list.commands().is_empty());
}
