// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tensors in private memory with gaps around and between their elements, and
//! ways to make up their shapes and strides.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::atomic::AtomicBool;

use augur_kernels::{Element, Layout, View};
use proptest::prelude::*;

/// A flag that is never raised.
pub static GO_ON: AtomicBool = AtomicBool::new(false);

/// How a tensor lies in memory, apart from its shape.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Dimensions from the outermost in memory to the innermost: a shuffle key
    /// for each.
    order: [u8; 6],
    /// Elements left free behind each dimension's extent.
    gaps: [u8; 6],
    /// Dimensions that are repeated (stride 0), for sources.
    repeated: [bool; 6],
    /// Elements before the first.
    before: u8,
    seed: u64,
}

/// Placements of destinations and sources: half of them dense.
pub fn placement() -> impl Strategy<Value = Placement> {
    let dense = (any::<u64>(), 0..9u8).prop_map(|(seed, before)| Placement {
        order: [0, 1, 2, 3, 4, 5],
        gaps: [0; 6],
        repeated: [false; 6],
        before,
        seed,
    });
    let strided = (
        any::<[u8; 6]>(),
        prop::array::uniform6(0..4u8),
        any::<u64>(),
        0..9u8,
    )
        .prop_map(|(order, gaps, seed, before)| Placement {
            order,
            gaps,
            repeated: [false; 6],
            before,
            seed,
        });
    prop_oneof![dense, strided]
}

/// Placements of sources: some dimensions may be repeated.
pub fn source_placement() -> impl Strategy<Value = Placement> {
    (
        placement(),
        prop::array::uniform6(prop::bool::weighted(0.1)),
    )
        .prop_map(|(placement, repeated)| Placement {
            repeated,
            ..placement
        })
}

impl Placement {
    /// Row-major without gaps.
    pub fn dense() -> Self {
        Self {
            order: [0, 1, 2, 3, 4, 5],
            gaps: [0; 6],
            repeated: [false; 6],
            before: 0,
            seed: 1,
        }
    }

    pub fn layout<T: Element>(&self, shape: &[u32]) -> Layout<T> {
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        axes.sort_by_key(|&axis| self.order[axis]);
        let mut strides = vec![0; shape.len()];
        let mut extent = T::BYTES;
        for &axis in axes.iter().rev() {
            if self.repeated[axis] {
                continue;
            }
            strides[axis] = extent;
            if axis == axes[axes.len() - 1] && self.gaps[axis] == 3 {
                // Every second element of something.
                strides[axis] *= 2;
            }
            extent = strides[axis] * u64::from(shape[axis]) + u64::from(self.gaps[axis]) * T::BYTES;
        }
        Layout::new(shape, &strides).unwrap()
    }
}

/// A tensor with its own memory.
pub struct Tensor<T> {
    memory: Vec<u64>,
    first: usize,
    layout: Layout<T>,
}

impl<T: Element> Tensor<T> {
    /// Its memory is filled with random bytes.
    pub fn new(shape: &[u32], placement: &Placement) -> Self {
        let layout = placement.layout::<T>(shape);
        let first = usize::from(placement.before) * size_of::<T>();
        let words = (first + layout.span_bytes() as usize).div_ceil(8) + 2;
        let mut state = placement.seed | 1;
        let memory = (0..words).map(|_| random(&mut state)).collect();
        Self {
            memory,
            first,
            layout,
        }
    }

    /// With values made from random bits, in row-major order of indices.
    pub fn with(shape: &[u32], placement: &Placement, value: impl Fn(u64) -> T) -> Self {
        let mut tensor = Self::new(shape, placement);
        let mut state = placement.seed ^ 0x9e37_79b9_7f4a_7c15;
        for index in indices(shape) {
            let at = tensor.address(&index);
            // SAFETY: `address` is that of an element within `memory`.
            unsafe {
                tensor
                    .pointer()
                    .byte_add(at)
                    .cast::<T>()
                    .write(value(random(&mut state)))
            };
        }
        tensor
    }

    fn pointer(&mut self) -> *mut u8 {
        self.memory.as_mut_ptr().cast()
    }

    fn address(&self, index: &[u32]) -> usize {
        let strides = self.layout.strides();
        let offset: u64 = index
            .iter()
            .zip(strides)
            .map(|(&i, stride)| u64::from(i) * stride)
            .sum();
        self.first + offset as usize
    }

    pub fn layout(&self) -> &Layout<T> {
        &self.layout
    }

    pub fn view(&mut self) -> View<T> {
        let first = self.first;
        // SAFETY: `memory` holds the layout's span behind `first`, is aligned
        // to 8 bytes, and lives as long as the test uses the view.
        unsafe { View::new(self.pointer().byte_add(first), self.layout) }
    }

    pub fn get(&self, index: &[u32]) -> T {
        let at = self.address(index);
        // SAFETY: `address` is that of an element within `memory`.
        unsafe { self.memory.as_ptr().byte_add(at).cast::<T>().read() }
    }

    pub fn set(&mut self, index: &[u32], value: T) {
        let at = self.address(index);
        // SAFETY: `address` is that of an element within `memory`.
        unsafe { self.pointer().byte_add(at).cast::<T>().write(value) };
    }

    /// All bytes of the memory, those of elements replaced by zero: what a
    /// kernel must leave alone.
    pub fn surroundings(&mut self) -> Vec<u64> {
        let mut copy = Self {
            memory: self.memory.clone(),
            first: self.first,
            layout: self.layout,
        };
        let shape: Vec<u32> = copy.layout.shape().iter().map(|&n| n as u32).collect();
        for index in indices(&shape) {
            let at = copy.address(&index);
            // SAFETY: `address` is that of an element within `memory`.
            unsafe { copy.pointer().byte_add(at).cast::<T>().write_bytes(0, 1) };
        }
        copy.memory
    }
}

/// The next number of a 64-bit xorshift generator.
pub fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A float in [-1, 1) from random bits.
pub fn unit_float(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}

/// All index tuples of a shape, row-major.
pub fn indices(shape: &[u32]) -> impl Iterator<Item = Vec<u32>> + use<> {
    let shape = shape.to_vec();
    let count: u64 = shape.iter().map(|&n| u64::from(n)).product();
    (0..count).map(move |mut number| {
        let mut index = vec![0; shape.len()];
        for (index, &length) in index.iter_mut().zip(&shape).rev() {
            *index = (number % u64::from(length)) as u32;
            number /= u64::from(length);
        }
        index
    })
}

/// Shapes of one to six dimensions with a few thousand elements at most.
pub fn shape() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        prop::collection::vec(1..5u32, 1..=6),
        prop::collection::vec(1..15u32, 1..=3),
        prop::collection::vec(1..100u32, 1..=2),
        prop::collection::vec(1..20_000u32, 1),
    ]
}
