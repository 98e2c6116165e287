// SPDX-License-Identifier: MIT OR Apache-2.0
//! Convolution and resampling.

use augur_client::{Convolution, DataType, Tensor};

use super::{Model, indices};

impl Model {
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
                self.set_element(destination, &index, &[mean as u8]);
            } else {
                let floats = sources.iter().map(|at| self.float(source, at));
                let mean = floats.clone().sum::<f32>() / block as f32;
                let magnitude = floats.map(f32::abs).sum::<f32>() / block as f32;
                self.set_float(destination, &index, mean, magnitude);
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
            self.set_element(destination, &index, &[value as u8]);
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
            let bias = f64::from(f32::from_bits(convolution.bias));
            let (value, magnitude) = (sum + bias, magnitude + bias.abs());
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
