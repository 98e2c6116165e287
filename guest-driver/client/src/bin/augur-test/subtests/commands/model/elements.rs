// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that treat each element by itself.

use augur_client::{DataType, Tensor};

use super::{Model, indices};

impl Model {
    /// COPY.
    pub fn copy(&mut self, destination: &Tensor, source: &Tensor) {
        let values: Vec<Vec<u8>> = indices(source.shape())
            .map(|index| self.element(source, &index).to_vec())
            .collect();
        for (index, value) in indices(destination.shape()).zip(values) {
            self.set_element(destination, &index, &value);
        }
    }

    /// FILL.
    pub fn fill(&mut self, destination: &Tensor, value: u64) {
        let size = destination.data_type().bytes() as usize;
        for index in indices(destination.shape()) {
            self.set_element(destination, &index, &value.to_le_bytes()[..size]);
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
                self.set_element(destination, &index, &[value]);
            } else {
                let (a, b) = (self.float(a, &index), self.float(b, &index));
                let value = floats(a, b);
                self.set_float(destination, &index, value, a.abs() + b.abs() + value.abs());
            }
        }
    }

    /// RELU and SCALE.
    pub fn unary(&mut self, destination: &Tensor, source: &Tensor, map: impl Fn(f32) -> f32) {
        for index in indices(destination.shape()) {
            let from = self.float(source, &index);
            let value = map(from);
            // A term and a bias that cancel each other are each at most this.
            let magnitude = value.abs() + map(0.0).abs() + (map(from) - map(0.0)).abs();
            self.set_float(destination, &index, value, magnitude);
        }
    }
}
