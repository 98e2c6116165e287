// SPDX-License-Identifier: MIT OR Apache-2.0
//! A model of an object: every command as the datasheet defines it, element by
//! element.

mod elements;
mod images;
mod lines;
mod products;
mod tables;
#[cfg(test)]
mod tests;

use augur_client::Tensor;

use crate::harness::{Outcome, check};
use crate::pattern;

/// Largest difference of f32 results, relative to the magnitudes that took
/// part: sums may be made in any order.
const TOLERANCE: f32 = 1e-5;

/// The bytes of an object, and which of them f32 commands wrote.
pub struct Model {
    address: u64,
    initial: Vec<u8>,
    bytes: Vec<u8>,
    /// Places of f32 results with the difference that is allowed.
    floats: Vec<(usize, f32)>,
}

impl Model {
    /// An object at a device address with these contents.
    pub fn new(address: u64, bytes: Vec<u8>) -> Self {
        Self {
            address,
            initial: bytes.clone(),
            bytes,
            floats: Vec::new(),
        }
    }

    /// The contents before any command.
    pub fn initial(&self) -> &[u8] {
        &self.initial
    }

    /// Puts i32 elements where a tensor of rank 1 has them, before any command.
    pub fn put(&mut self, tensor: &Tensor, values: &[i32]) {
        for (at, value) in (0..).zip(values) {
            let place = self.place(tensor, &[at]);
            self.initial[place..place + 4].copy_from_slice(&value.to_le_bytes());
            self.bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Compares with what the card's object holds: bytes exactly, f32 results
    /// within the tolerance.
    pub fn compare(&mut self, found: &[u8]) -> Outcome {
        for &(place, allowed) in &self.floats {
            let (value, expected) = (float(found, place), float(&self.bytes, place));
            check((value - expected).abs() <= allowed, || {
                format!(
                    "f32 at byte {place} is {value}, expected {expected} within {allowed:e}, was {}",
                    float(&self.initial, place)
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

    /// The bytes of an element.
    fn element(&self, tensor: &Tensor, index: &[u32]) -> &[u8] {
        let size = tensor.data_type().bytes() as usize;
        &self.bytes[self.place(tensor, index)..][..size]
    }

    fn set_element(&mut self, tensor: &Tensor, index: &[u32], value: &[u8]) {
        let place = self.place(tensor, index);
        self.bytes[place..place + value.len()].copy_from_slice(value);
    }

    fn byte(&self, tensor: &Tensor, index: &[u32]) -> u8 {
        self.bytes[self.place(tensor, index)]
    }

    fn float(&self, tensor: &Tensor, index: &[u32]) -> f32 {
        float(&self.bytes, self.place(tensor, index))
    }

    /// Sets a result, with the sum of the magnitudes that it was made of.
    fn set_float(&mut self, tensor: &Tensor, index: &[u32], value: f32, magnitude: f32) {
        self.set_element(tensor, index, &value.to_le_bytes());
        let place = self.place(tensor, index);
        self.floats.push((place, TOLERANCE * magnitude));
    }
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
