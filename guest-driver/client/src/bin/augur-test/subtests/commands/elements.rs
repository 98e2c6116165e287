// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that treat each element by itself.

use augur_client::{DataType, Error};

use super::case::Case;

/// COPY, sometimes of a source that overlaps the destination.
pub fn copy(case: &mut Case<'_>) -> Result<(), Error> {
    let data_type = case.any_type();
    let rank = case.numbers.usize(1..=6);
    let shape = case.shape(rank, [900, 60, 14, 8, 5, 4][rank - 1]);
    let destination = case.view(0, data_type, &shape)?;
    let source = if case.numbers.bool() {
        case.view(0, data_type, &shape)?
    } else {
        case.turned_view(1, data_type, &shape)?
    };
    case.list.copy(&destination, &source)?;
    case.model.copy(&destination, &source);
    Ok(())
}

/// COPY of a matrix, rows becoming columns, of every size of element.
pub fn transpose(case: &mut Case<'_>) -> Result<(), Error> {
    let data_type = case.any_type();
    let shape = case.shape(2, 140);
    let destination = case.view(0, data_type, &shape)?;
    let source = case.view(1, data_type, &[shape[1], shape[0]])?;
    let source = source.transpose(0, 1)?;
    case.list.copy(&destination, &source)?;
    case.model.copy(&destination, &source);
    Ok(())
}

/// FILL.
pub fn fill(case: &mut Case<'_>) -> Result<(), Error> {
    let data_type = case.any_type();
    let shape = case.shape(3, 12);
    let destination = case.view(0, data_type, &shape)?;
    let value = case.numbers.u64(..) >> (64 - 8 * data_type.bytes());
    case.note(&format!("with {value:#x}"));
    case.list.fill(&destination, value)?;
    case.model.fill(&destination, value);
    Ok(())
}

/// ADD and MULTIPLY, sometimes in place.
pub fn binary(case: &mut Case<'_>) -> Result<(), Error> {
    let data_type = case.byte_or_float();
    let shape = case.shape(3, 14);
    let destination = case.view(0, data_type, &shape)?;
    let a = case.view(1, data_type, &shape)?;
    let b = if case.numbers.bool() {
        destination
    } else {
        case.view(2, data_type, &shape)?
    };
    let (list, model) = (&mut case.list, &mut case.model);
    if case.numbers.bool() {
        list.add(&destination, &a, &b)?;
        model.binary(&destination, &a, &b, u8::saturating_add, |a, b| a + b);
    } else {
        list.multiply(&destination, &a, &b)?;
        model.binary(&destination, &a, &b, u8::saturating_mul, |a, b| a * b);
    }
    Ok(())
}

/// RELU.
pub fn relu(case: &mut Case<'_>) -> Result<(), Error> {
    let shape = case.shape(2, 90);
    let destination = case.view(0, DataType::F32, &shape)?;
    let source = case.view(1, DataType::F32, &shape)?;
    case.list.relu(&destination, &source)?;
    case.model
        .unary(&destination, &source, |value| value.max(0.0));
    Ok(())
}

/// SCALE.
pub fn scale(case: &mut Case<'_>) -> Result<(), Error> {
    let shape = case.shape(2, 90);
    let destination = case.view(0, DataType::F32, &shape)?;
    let source = case.view(1, DataType::F32, &shape)?;
    let (factor, bias) = (case.numbers.f32() * 9.0 - 4.5, case.numbers.f32());
    case.note(&format!("by {factor} plus {bias}"));
    case.list.scale(&destination, &source, factor, bias)?;
    case.model
        .unary(&destination, &source, |value| value * factor + bias);
    Ok(())
}
