// SPDX-License-Identifier: MIT OR Apache-2.0
//! A model of an object: every command as the datasheet defines it, element by
//! element.

use augur_client::{Convolution, DataType, Tensor};

use crate::harness::{Outcome, check};
use crate::pattern;

/// Largest difference of f32 results, relative to the largest magnitude that
/// took part: sums may be made in any order.
const TOLERANCE: f32 = 1e-5;

/// The bytes of an object, and which of them f32 commands wrote.
pub struct Model {
    address: u64,
    bytes: Vec<u8>,
    /// Places of f32 results with the magnitude their tolerance refers to.
    floats: Vec<(usize, f32)>,
}

impl Model {
    /// An object at a device address with these contents.
    pub fn new(address: u64, bytes: Vec<u8>) -> Self {
        Self {
            address,
            bytes,
            floats: Vec::new(),
        }
    }

    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Compares with what the card's object holds: bytes exactly, f32 results
    /// within the tolerance. `before` is only used to say more.
    pub fn compare(&mut self, found: &[u8], before: &[u8]) -> Outcome {
        for &(place, magnitude) in &self.floats {
            let (value, expected) = (float(found, place), float(&self.bytes, place));
            let allowed = TOLERANCE * magnitude.max(1.0);
            check((value - expected).abs() <= allowed, || {
                format!(
                    "f32 at byte {place} is {value}, expected {expected} within {allowed:e}, was {}",
                    float(before, place)
                )
            })?;
        }
        for (place, _) in std::mem::take(&mut self.floats) {
            self.bytes[place..place + 4].copy_from_slice(&found[place..place + 4]);
        }
        pattern::same(found, &self.bytes, "the whole object")
    }

    /// Byte offset of an element.
    fn place(&self, tensor: &Tensor, index: &[u32]) -> usize {
        let steps = index.iter().zip(tensor.strides());
        let offset: u64 = steps.map(|(&at, &stride)| u64::from(at) * stride).sum();
        (tensor.device_address() - self.address + offset) as usize
    }

    fn byte(&self, tensor: &Tensor, index: &[u32]) -> u8 {
        self.bytes[self.place(tensor, index)]
    }

    fn float(&self, tensor: &Tensor, index: &[u32]) -> f32 {
        float(&self.bytes, self.place(tensor, index))
    }

    fn set_float(&mut self, tensor: &Tensor, index: &[u32], value: f32, magnitude: f32) {
        let place = self.place(tensor, index);
        self.bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        self.floats.push((place, magnitude));
    }

    /// COPY.
    pub fn copy(&mut self, destination: &Tensor, source: &Tensor) {
        let size = source.data_type().bytes() as usize;
        let mut values = Vec::new();
        for index in indices(source.shape()) {
            let place = self.place(source, &index);
            values.push(self.bytes[place..place + size].to_vec());
        }
        for (index, value) in indices(destination.shape()).zip(values) {
            let place = self.place(destination, &index);
            self.bytes[place..place + size].copy_from_slice(&value);
        }
    }

    /// FILL.
    pub fn fill(&mut self, destination: &Tensor, value: u64) {
        let size = destination.data_type().bytes() as usize;
        for index in indices(destination.shape()) {
            let place = self.place(destination, &index);
            self.bytes[place..place + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
    }

    /// ADD and MULTIPLY.
    pub fn binary(
        &mut self,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
        bytes: fn(u8, u8) -> u8,
        floats: fn(f32, f32) -> f32,
    ) {
        for index in indices(destination.shape()) {
            if destination.data_type() == DataType::U8 {
                let value = bytes(self.byte(a, &index), self.byte(b, &index));
                let place = self.place(destination, &index);
                self.bytes[place] = value;
            } else {
                let value = floats(self.float(a, &index), self.float(b, &index));
                self.set_float(destination, &index, value, value.abs());
            }
        }
    }

    /// RELU and SCALE.
    pub fn unary(&mut self, destination: &Tensor, source: &Tensor, map: impl Fn(f32) -> f32) {
        for index in indices(destination.shape()) {
            let value = map(self.float(source, &index));
            self.set_float(destination, &index, value, value.abs());
        }
    }

    /// MATMUL.
    pub fn matmul(&mut self, destination: &Tensor, a: &Tensor, b: &Tensor, accumulate: bool) {
        for index in indices(destination.shape()) {
            let (mut sum, mut magnitude) = (0.0_f64, 0.0_f64);
            if accumulate {
                sum = self.float(destination, &index).into();
            }
            for inner in 0..a.shape()[1] {
                let term = f64::from(self.float(a, &[index[0], inner]))
                    * f64::from(self.float(b, &[inner, index[1]]));
                sum += term;
                magnitude += term.abs();
            }
            self.set_float(destination, &index, sum as f32, magnitude as f32);
        }
    }

    /// RESAMPLE.
    pub fn resample(&mut self, destination: &Tensor, source: &Tensor, factor: u32) {
        let block = factor * factor;
        for index in indices(destination.shape()) {
            let mut sources = Vec::new();
            for (row, column) in (0..factor).flat_map(|row| (0..factor).map(move |c| (row, c))) {
                let [n, y, x, c] = [index[0], index[1] * factor, index[2] * factor, index[3]];
                sources.push([n, y + row, x + column, c]);
            }
            if destination.data_type() == DataType::U8 {
                let bytes = sources.iter().map(|at| u32::from(self.byte(source, at)));
                let mean = (2 * bytes.sum::<u32>() + block) / (2 * block);
                let place = self.place(destination, &index);
                self.bytes[place] = mean as u8;
            } else {
                let floats = sources.iter().map(|at| self.float(source, at));
                let mean = floats.sum::<f32>() / block as f32;
                self.set_float(destination, &index, mean, 2.0);
            }
        }
    }

    /// CONV2D of u8.
    pub fn conv2d_u8(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        weights: &Tensor,
        convolution: &Convolution,
    ) {
        for index in indices(destination.shape()) {
            let mut sum = 0_i64;
            for (weight, at) in taps(&index, source, weights, convolution) {
                let place = self.place(weights, &weight);
                let weight = i16::from_le_bytes([self.bytes[place], self.bytes[place + 1]]);
                sum += i64::from(weight) * at.map_or(0, |at| i64::from(self.byte(source, &at)));
            }
            if convolution.absolute {
                sum = sum.abs();
            }
            let bias = i64::from(convolution.bias.cast_signed());
            let half = (1_i64 << convolution.shift) >> 1;
            let value = ((sum + bias + half) >> convolution.shift).clamp(0, 255);
            let place = self.place(destination, &index);
            self.bytes[place] = value as u8;
        }
    }

    /// CONV2D of f32.
    pub fn conv2d_f32(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        weights: &Tensor,
        convolution: &Convolution,
    ) {
        for index in indices(destination.shape()) {
            let (mut sum, mut magnitude) = (0.0_f64, 0.0_f64);
            for (weight, at) in taps(&index, source, weights, convolution) {
                let value = at.map_or(0.0, |at| self.float(source, &at));
                let term = f64::from(self.float(weights, &weight)) * f64::from(value);
                sum += term;
                magnitude += term.abs();
            }
            if convolution.absolute {
                sum = sum.abs();
            }
            let value = sum + f64::from(f32::from_bits(convolution.bias));
            self.set_float(destination, &index, value as f32, magnitude as f32);
        }
    }
}

/// What one output of a convolution is made of: an index of the weights with
/// the index of the source, or with none where the padding is zero.
fn taps(
    output: &[u32],
    source: &Tensor,
    weights: &Tensor,
    convolution: &Convolution,
) -> Vec<([u32; 4], Option<[u32; 4]>)> {
    let &[_, height, width, channels] = source.shape() else {
        return Vec::new();
    };
    let &[kernel_height, kernel_width, group_channels, outputs] = weights.shape() else {
        return Vec::new();
    };
    let groups = channels / group_channels;
    let group = output[3] / (outputs / groups);
    let along = |output: u32, kernel: u32, stride: u16, pad: u16, extent: u32| {
        let at = i64::from(output) * i64::from(stride) + i64::from(kernel) - i64::from(pad);
        let last = i64::from(extent) - 1;
        let inside = convolution.repeat_edge || (0..=last).contains(&at);
        inside.then(|| at.clamp(0, last) as u32)
    };
    let mut taps = Vec::new();
    for kernel in indices(&[kernel_height, kernel_width, group_channels]) {
        let (ky, kx, channel) = (kernel[0], kernel[1], kernel[2]);
        let y = along(
            output[1],
            ky,
            convolution.stride[0],
            convolution.pad_rows[0],
            height,
        );
        let x = along(
            output[2],
            kx,
            convolution.stride[1],
            convolution.pad_columns[0],
            width,
        );
        let from = y.zip(x);
        let at = from.map(|(y, x)| [output[0], y, x, group * group_channels + channel]);
        taps.push(([ky, kx, channel, output[3]], at));
    }
    taps
}

/// Every index tuple of a shape, the last dimension fastest.
fn indices(shape: &[u32]) -> impl Iterator<Item = Vec<u32>> + use<> {
    let shape = shape.to_vec();
    let count: u64 = shape.iter().map(|&extent| u64::from(extent)).product();
    (0..count).map(move |mut number| {
        let mut index = vec![0; shape.len()];
        for (at, &extent) in index.iter_mut().zip(&shape).rev() {
            *at = (number % u64::from(extent)) as u32;
            number /= u64::from(extent);
        }
        index
    })
}

fn float(bytes: &[u8], place: usize) -> f32 {
    let word = bytes.get(place..).and_then(<[u8]>::first_chunk);
    word.map_or(f32::NAN, |word| f32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(model.bytes(), [1, 1, 2, 3, 4]);
        let turned = tensor(DataType::U8, 0, &[2, 2]).transpose(0, 1);
        let turned = turned.expect("two dimensions");
        model.copy(&tensor(DataType::U8, 0, &[2, 2]), &turned);
        assert_eq!(model.bytes(), [1, 2, 1, 3, 4]);
    }

    #[test]
    fn resampling_rounds_half_up() {
        // 1+2+3+4 = 10 -> 2.5 -> 3; nine bytes that sum to 13 -> 1.44 -> 1.
        let mut model = Model::new(ADDRESS, vec![1, 2, 3, 4, 0]);
        let pixel = tensor(DataType::U8, 4, &[1, 1, 1, 1]);
        model.resample(&pixel, &tensor(DataType::U8, 0, &[1, 2, 2, 1]), 2);
        assert_eq!(model.bytes()[4], 3);
        let mut model = Model::new(ADDRESS, vec![5, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        let pixel = tensor(DataType::U8, 9, &[1, 1, 1, 1]);
        model.resample(&pixel, &tensor(DataType::U8, 0, &[1, 3, 3, 1]), 3);
        assert_eq!(model.bytes()[9], 1);
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
        model.bytes()[2..4].to_vec()
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
        assert!(model.compare(&right, &before).is_ok());

        let mut model = Model::new(ADDRESS, before.clone());
        model.matmul(&sum, &row, &column, true);
        let wrong = floats(&[1.0, 2.0, 3.0, 4.0, 111.1]);
        assert!(model.compare(&wrong, &before).is_err());
        let mut model = Model::new(ADDRESS, before.clone());
        model.matmul(&sum, &row, &column, true);
        let beside = floats(&[1.0, 2.0, 3.0, 5.0, 111.0]);
        assert!(model.compare(&beside, &before).is_err());
    }
}
