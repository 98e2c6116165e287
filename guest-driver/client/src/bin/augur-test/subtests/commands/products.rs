// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products of matrices, operands turned or not, adding to what is there or
//! not.

use augur_client::{DataType, Error};

use super::case::Case;

/// MATMUL of f32.
pub fn f32(case: &mut Case<'_>) -> Result<(), Error> {
    product(case, DataType::F32, DataType::F32)
}

/// MATMUL of bf16 into f32.
pub fn bf16(case: &mut Case<'_>) -> Result<(), Error> {
    product(case, DataType::Bf16, DataType::F32)
}

/// MATMUL of i8 into i32.
pub fn i8(case: &mut Case<'_>) -> Result<(), Error> {
    product(case, DataType::I8, DataType::I32)
}

fn product(case: &mut Case<'_>, from: DataType, to: DataType) -> Result<(), Error> {
    let [rows, inner, columns] = [0; 3].map(|_| case.numbers.u32(1..=70));
    let accumulate = case.numbers.bool();
    case.note(&format!("accumulate {accumulate}"));
    let a = case.turned_view(1, from, &[rows, inner])?;
    let b = case.turned_view(2, from, &[inner, columns])?;
    let destination = case.view(0, to, &[rows, columns])?;
    case.list.matmul(&destination, &a, &b, accumulate)?;
    case.model.matmul(&destination, &a, &b, accumulate);
    Ok(())
}
