// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model against commands worked out by hand.

use augur_client::{Convolution, DataType, ReduceKind, Tensor};

use super::*;

const ADDRESS: u64 = 0x10_0000;

fn tensor(data_type: DataType, offset: u64, shape: &[u32]) -> Tensor {
    Tensor::dense(ADDRESS, data_type, offset, shape).expect("a good shape")
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn copies_read_all_of_an_overlapping_source_first() {
    let mut model = Model::new(ADDRESS, vec![1, 2, 3, 4, 5]);
    model.copy(
        &tensor(DataType::U8, 1, &[4]),
        &tensor(DataType::U8, 0, &[4]),
    );
    assert_eq!(model.bytes, [1, 1, 2, 3, 4]);
    let turned = tensor(DataType::U8, 0, &[2, 2]).transpose(0, 1);
    let turned = turned.expect("two dimensions");
    model.copy(&tensor(DataType::U8, 0, &[2, 2]), &turned);
    assert_eq!(model.bytes, [1, 2, 1, 3, 4]);
}

#[test]
fn resampling_rounds_half_up() {
    // 1+2+3+4 = 10 -> 2.5 -> 3; nine bytes that sum to 13 -> 1.44 -> 1.
    let mut model = Model::new(ADDRESS, vec![1, 2, 3, 4, 0]);
    let pixel = tensor(DataType::U8, 4, &[1, 1, 1, 1]);
    model.resample(&pixel, &tensor(DataType::U8, 0, &[1, 2, 2, 1]), 2);
    assert_eq!(model.bytes[4], 3);
    let mut model = Model::new(ADDRESS, vec![5, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    let pixel = tensor(DataType::U8, 9, &[1, 1, 1, 1]);
    model.resample(&pixel, &tensor(DataType::U8, 0, &[1, 3, 3, 1]), 3);
    assert_eq!(model.bytes[9], 1);
}

/// One row of two pixels, a kernel of one row and three columns.
fn convolved(convolution: Convolution) -> Vec<u8> {
    let mut bytes = vec![10, 20, 0, 0];
    for weight in [1_i16, 2, -3] {
        bytes.extend(weight.to_le_bytes());
    }
    let mut model = Model::new(ADDRESS, bytes);
    let row = |offset| tensor(DataType::U8, offset, &[1, 1, 2, 1]);
    let weights = tensor(DataType::I16, 4, &[1, 3, 1, 1]);
    let convolution = Convolution {
        pad_columns: [1, 1],
        ..convolution
    };
    model.conv2d_u8(&row(2), &row(0), &weights, &convolution);
    model.bytes[2..4].to_vec()
}

#[test]
fn convolutions_pad_round_and_clamp_by_hand() {
    let plain = Convolution::default();
    // 0*1 + 10*2 - 20*3 = -40; 10*1 + 20*2 - 0*3 = 50.
    assert_eq!(convolved(plain), [0, 50]);
    let absolute = Convolution {
        absolute: true,
        ..plain
    };
    assert_eq!(convolved(absolute), [40, 50]);
    // (40 + 3 + 4) >> 3 = 5; (50 + 3 + 4) >> 3 = 7.
    let scaled = Convolution {
        shift: 3,
        bias: 3,
        ..absolute
    };
    assert_eq!(convolved(scaled), [5, 7]);
    // 10 + 20 - 60 = -30; 10 + 40 - 60 = -10.
    let edge = Convolution {
        repeat_edge: true,
        ..absolute
    };
    assert_eq!(convolved(edge), [30, 10]);
}

#[test]
fn products_accumulate_and_differences_are_found() {
    let before = floats(&[1.0, 2.0, 3.0, 4.0, 100.0]);
    let mut model = Model::new(ADDRESS, before.clone());
    let (row, column) = (
        tensor(DataType::F32, 0, &[1, 2]),
        tensor(DataType::F32, 8, &[2, 1]),
    );
    let sum = tensor(DataType::F32, 16, &[1, 1]);
    model.matmul(&sum, &row, &column, true);
    let right = floats(&[1.0, 2.0, 3.0, 4.0, 111.0]);
    assert!(model.compare(&right).is_ok());

    let mut model = Model::new(ADDRESS, before.clone());
    model.matmul(&sum, &row, &column, true);
    let wrong = floats(&[1.0, 2.0, 3.0, 4.0, 111.1]);
    assert!(model.compare(&wrong).is_err());
    let mut model = Model::new(ADDRESS, before.clone());
    model.matmul(&sum, &row, &column, true);
    let beside = floats(&[1.0, 2.0, 3.0, 5.0, 111.0]);
    assert!(model.compare(&beside).is_err());
}

#[test]
fn small_products_widen_and_wrap() {
    // 100*100 + -128*127 = -6256; 2^31-1 + 1 wraps.
    let mut model = Model::new(ADDRESS, vec![100, 128, 100, 127, 0, 0, 0, 0]);
    let row = tensor(DataType::I8, 0, &[1, 2]);
    let column = tensor(DataType::I8, 2, &[2, 1]);
    let sum = tensor(DataType::I32, 4, &[1, 1]);
    model.matmul(&sum, &row, &column, false);
    assert_eq!(model.bytes[4..], (-6256_i32).to_le_bytes());
    let mut bytes = vec![1, 0, 1, 0];
    bytes.extend(i32::MAX.to_le_bytes());
    let mut model = Model::new(ADDRESS, bytes);
    model.matmul(&sum, &row, &column, true);
    assert_eq!(model.bytes[4..], i32::MIN.to_le_bytes());
    // 1.5 * -2 as bf16 0x3fc0 and 0xc000.
    let mut model = Model::new(ADDRESS, vec![0xc0, 0x3f, 0, 0xc0, 0, 0, 0, 0]);
    let (a, b) = (
        tensor(DataType::Bf16, 0, &[1, 1]),
        tensor(DataType::Bf16, 2, &[1, 1]),
    );
    model.matmul(&tensor(DataType::F32, 4, &[1, 1]), &a, &b, false);
    assert_eq!(float(&model.bytes, 4), -3.0);
}

#[test]
fn lines_are_reduced_and_normalised_by_hand() {
    let line = tensor(DataType::F32, 0, &[1, 3]);
    let one = tensor(DataType::F32, 12, &[1, 1]);
    for (kind, expected) in [
        (ReduceKind::Sum, 3.0),
        (ReduceKind::Mean, 1.0),
        (ReduceKind::Maximum, 4.0),
    ] {
        let mut model = Model::new(ADDRESS, floats(&[-2.0, 1.0, 4.0, 0.0]));
        model.reduce(&one, &line, 1, kind);
        assert_eq!(float(&model.bytes, 12), expected, "{kind:?}");
    }
    // Mean 1, variance (9 + 0 + 9) / 3 = 6, and 3 more: (-2-1)/3 = -1.
    let mut model = Model::new(
        ADDRESS,
        floats(&[-2.0, 1.0, 4.0, 2.0, 2.0, 2.0, 10.0, 20.0, 30.0]),
    );
    let (scale, bias) = (
        tensor(DataType::F32, 12, &[3]),
        tensor(DataType::F32, 24, &[3]),
    );
    model.layer_norm(&line, &line, [&scale, &bias], 1, 3.0);
    let found = [0, 4, 8].map(|place| float(&model.bytes, place));
    assert_eq!(found, [8.0, 20.0, 32.0]);
    // exp(0) and exp(-ln 3): 3/4 and 1/4.
    let mut model = Model::new(ADDRESS, floats(&[1000.0, 1000.0 - 3.0_f32.ln()]));
    let pair = tensor(DataType::F32, 0, &[2]);
    model.softmax(&pair, &pair, 0);
    assert!((float(&model.bytes, 0) - 0.75).abs() < 1e-4);
    assert!((float(&model.bytes, 4) - 0.25).abs() < 1e-4);
}

#[test]
fn rows_are_gathered_and_the_last_of_two_stays() {
    let table = tensor(DataType::U8, 0, &[2, 2]);
    let listed = tensor(DataType::U8, 4, &[4, 2]);
    let numbers = tensor(DataType::I32, 12, &[4]);
    let mut model = Model::new(ADDRESS, vec![0; 28]);
    model.bytes[..4].copy_from_slice(&[1, 2, 3, 4]);
    model.put(&numbers, &[1, 0, 1, 1]);
    model.gather(&listed, &table, &numbers);
    assert_eq!(model.bytes[4..12], [3, 4, 1, 2, 3, 4, 3, 4]);
    model.bytes[4..12].copy_from_slice(&[10, 11, 12, 13, 14, 15, 16, 17]);
    model.scatter(&table, &listed, &numbers);
    assert_eq!(model.bytes[..4], [12, 13, 16, 17]);
}
