// SPDX-License-Identifier: MIT OR Apache-2.0
//! Convolution and resampling.

use augur_client::{Convolution, DataType, Error};

use super::case::Case;

/// A random convolution with the shapes of source, weights and destination.
fn convolution(case: &mut Case<'_>) -> (Convolution, [Vec<u32>; 3]) {
    let numbers = &mut *case.numbers;
    let groups = numbers.u16(1..=3);
    let (inputs, outputs) = (numbers.u32(1..=2), numbers.u32(1..=2));
    let [kernel_height, kernel_width] = [numbers.u32(1..=5), numbers.u32(1..=5)];
    let [batch, height, width] = [numbers.u32(1..=2), numbers.u32(5..=20), numbers.u32(5..=20)];
    let convolution = Convolution {
        stride: [numbers.u16(1..=3), numbers.u16(1..=3)],
        pad_rows: [numbers.u16(0..=3), numbers.u16(0..=3)],
        pad_columns: [numbers.u16(0..=3), numbers.u16(0..=3)],
        repeat_edge: numbers.bool(),
        groups,
        shift: 0,
        absolute: numbers.bool(),
        bias: 0,
    };
    let outputs_of = |extent: u32, pad: [u16; 2], kernel: u32, stride: u16| {
        (extent + u32::from(pad[0]) + u32::from(pad[1]) - kernel) / u32::from(stride) + 1
    };
    let groups = u32::from(groups);
    let to_height = outputs_of(
        height,
        convolution.pad_rows,
        kernel_height,
        convolution.stride[0],
    );
    let to_width = outputs_of(
        width,
        convolution.pad_columns,
        kernel_width,
        convolution.stride[1],
    );
    let shapes = [
        vec![batch, height, width, inputs * groups],
        vec![kernel_height, kernel_width, inputs, outputs * groups],
        vec![batch, to_height, to_width, outputs * groups],
    ];
    (convolution, shapes)
}

/// CONV2D of u8.
pub fn conv2d_u8(case: &mut Case<'_>) -> Result<(), Error> {
    let (convolution, [source, weights, destination]) = convolution(case);
    let convolution = Convolution {
        shift: case.numbers.u16(0..=24),
        bias: case.numbers.i32(-70_000..70_000).cast_unsigned(),
        ..convolution
    };
    case.note(&format!("{convolution:?}"));
    let source = case.view(1, DataType::U8, &source)?;
    let weights = case.view(2, DataType::I16, &weights)?;
    let destination = case.view(0, DataType::U8, &destination)?;
    case.list
        .conv2d(&destination, &source, &weights, &convolution)?;
    case.model
        .conv2d_u8(&destination, &source, &weights, &convolution);
    Ok(())
}

/// CONV2D of f32.
pub fn conv2d_f32(case: &mut Case<'_>) -> Result<(), Error> {
    let (convolution, [source, weights, destination]) = convolution(case);
    let convolution = Convolution {
        bias: case.numbers.f32().to_bits(),
        ..convolution
    };
    case.note(&format!("{convolution:?}"));
    let source = case.view(1, DataType::F32, &source)?;
    let weights = case.view(2, DataType::F32, &weights)?;
    let destination = case.view(0, DataType::F32, &destination)?;
    case.list
        .conv2d(&destination, &source, &weights, &convolution)?;
    case.model
        .conv2d_f32(&destination, &source, &weights, &convolution);
    Ok(())
}

/// RESAMPLE, of sources with odd rows and columns left over.
pub fn resample(case: &mut Case<'_>) -> Result<(), Error> {
    let data_type = case.byte_or_float();
    let numbers = &mut *case.numbers;
    let factor = numbers.u32(2..=5);
    let [batch, channels] = [numbers.u32(1..=2), numbers.u32(1..=3)];
    let [height, width] = [numbers.u32(1..=9), numbers.u32(1..=9)];
    let [larger_height, larger_width] =
        [height, width].map(|extent| extent * factor + numbers.u32(0..factor));
    let from = [batch, larger_height, larger_width, channels];
    case.note(&format!("by {factor}"));
    let source = case.view(1, data_type, &from)?;
    let destination = case.view(0, data_type, &[batch, height, width, channels])?;
    case.list.resample(&destination, &source, factor)?;
    case.model.resample(&destination, &source, factor);
    Ok(())
}
