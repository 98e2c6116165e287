// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands along one dimension.

use augur_client::{DataType, Error, ReduceKind, Tensor};

use super::case::Case;

/// A random shape of up to four dimensions, and one of them.
fn lines(case: &mut Case<'_>) -> (Vec<u32>, usize) {
    let rank = case.numbers.usize(1..=4);
    let shape = case.shape(rank, [90, 70, 20, 10][rank - 1]);
    let axis = case.numbers.usize(..rank);
    case.note(&format!("dimension {axis}"));
    (shape, axis)
}

/// REDUCE.
pub fn reduce(case: &mut Case<'_>) -> Result<(), Error> {
    let (shape, axis) = lines(case);
    let kind = ReduceKind::ALL[case.numbers.usize(..ReduceKind::ALL.len())];
    case.note(&format!("{kind:?}"));
    let source = case.turned_view(1, DataType::F32, &shape)?;
    let mut reduced = shape;
    reduced[axis] = 1;
    let destination = case.view(0, DataType::F32, &reduced)?;
    case.list.reduce(&destination, &source, axis, kind)?;
    case.model.reduce(&destination, &source, axis, kind);
    Ok(())
}

/// Source and destination of one shape, sometimes the same.
fn pair(case: &mut Case<'_>, shape: &[u32]) -> Result<[Tensor; 2], Error> {
    let source = case.turned_view(1, DataType::F32, shape)?;
    if case.numbers.bool() {
        case.note("in place");
        return Ok([source; 2]);
    }
    Ok([case.view(0, DataType::F32, shape)?, source])
}

/// SOFTMAX.
pub fn softmax(case: &mut Case<'_>) -> Result<(), Error> {
    let (shape, axis) = lines(case);
    let [destination, source] = pair(case, &shape)?;
    case.list.softmax(&destination, &source, axis)?;
    case.model.softmax(&destination, &source, axis);
    Ok(())
}

/// LAYER_NORM.
pub fn layer_norm(case: &mut Case<'_>) -> Result<(), Error> {
    let (shape, axis) = lines(case);
    let [destination, source] = pair(case, &shape)?;
    let scale = case.view(2, DataType::F32, &shape[axis..=axis])?;
    let bias = case.view(2, DataType::F32, &shape[axis..=axis])?;
    let epsilon = [1e-5, 1e-2, 0.5][case.numbers.usize(..3)];
    case.note(&format!("epsilon {epsilon}"));
    case.list
        .layer_norm(&destination, &source, &scale, &bias, axis, epsilon)?;
    case.model
        .layer_norm(&destination, &source, [&scale, &bias], axis, epsilon);
    Ok(())
}
