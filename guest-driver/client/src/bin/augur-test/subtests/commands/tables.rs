// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of tables, named by indices that repeat.

use augur_client::{DataType, Error, Tensor};

use super::case::Case;

/// A table, the rows that are listed, and the indices.
fn rows(case: &mut Case<'_>, [table, listed]: [u64; 2]) -> Result<[Tensor; 3], Error> {
    let data_type = case.byte_or_float();
    let rank = case.numbers.usize(1..=3);
    let mut shape = case.shape(rank, [90, 30, 12][rank - 1]);
    let table = case.view(table, data_type, &shape)?;
    let limit = shape[0].cast_signed();
    shape[0] = case.numbers.u32(1..=40);
    let listed = case.view(listed, data_type, &shape)?;
    let indices = case.view(2, DataType::I32, &shape[..1])?;
    let values: Vec<i32> = (0..shape[0]).map(|_| case.numbers.i32(0..limit)).collect();
    case.model.put(&indices, &values);
    case.note(&format!("indices {values:?}"));
    Ok([table, listed, indices])
}

/// GATHER.
pub fn gather(case: &mut Case<'_>) -> Result<(), Error> {
    let [table, listed, indices] = rows(case, [1, 0])?;
    case.list.gather(&listed, &table, &indices)?;
    case.model.gather(&listed, &table, &indices);
    Ok(())
}

/// SCATTER.
pub fn scatter(case: &mut Case<'_>) -> Result<(), Error> {
    let [table, listed, indices] = rows(case, [0, 1])?;
    case.list.scatter(&table, &listed, &indices)?;
    case.model.scatter(&table, &listed, &indices);
    Ok(())
}
