// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products of matrices.

use augur_client::{DataType, Tensor};

use super::{Model, indices};

impl Model {
    /// MATMUL of any types.
    pub fn matmul(&mut self, destination: &Tensor, a: &Tensor, b: &Tensor, accumulate: bool) {
        for index in indices(destination.shape()) {
            if destination.data_type() == DataType::I32 {
                self.sum_of_integers(destination, a, b, accumulate, &index);
            } else {
                self.sum_of_floats(destination, a, b, accumulate, &index);
            }
        }
    }

    fn sum_of_floats(
        &mut self,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
        accumulate: bool,
        index: &[u32],
    ) {
        let mut sum = 0.0_f64;
        if accumulate {
            sum = self.float(destination, index).into();
        }
        let mut magnitude = sum.abs();
        for inner in 0..a.shape()[1] {
            let term = self.real(a, &[index[0], inner]) * self.real(b, &[inner, index[1]]);
            sum += term;
            magnitude += term.abs();
        }
        self.set_float(destination, index, sum as f32, magnitude as f32);
    }

    fn sum_of_integers(
        &mut self,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
        accumulate: bool,
        index: &[u32],
    ) {
        let mut sum = 0_i32;
        if accumulate && let Some(word) = self.element(destination, index).first_chunk() {
            sum = i32::from_le_bytes(*word);
        }
        for inner in 0..a.shape()[1] {
            let a = self.byte(a, &[index[0], inner]).cast_signed();
            let b = self.byte(b, &[inner, index[1]]).cast_signed();
            sum = sum.wrapping_add(i32::from(a) * i32::from(b));
        }
        self.set_element(destination, index, &sum.to_le_bytes());
    }

    /// An f32, or a bf16, which is the upper half of one.
    fn real(&self, tensor: &Tensor, index: &[u32]) -> f64 {
        let mut word = [0; 4];
        let element = self.element(tensor, index);
        word[4 - element.len()..].copy_from_slice(element);
        f32::from_le_bytes(word).into()
    }
}
