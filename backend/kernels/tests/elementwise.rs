// SPDX-License-Identifier: MIT OR Apache-2.0
//! add, multiply, relu and scale against element-by-element references; all of
//! them are exact, floats to the bit.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use std::sync::atomic::AtomicBool;

use augur_kernels::{Element, KernelError, View, elementwise};
use common::*;
use proptest::prelude::*;

type Binary<T> = fn(View<T>, View<T>, View<T>, &AtomicBool) -> Result<(), KernelError>;

/// Runs a kernel with the destination apart, and in place of its source.
fn binary<T: Element + PartialEq + std::fmt::Debug>(
    shape: &[u32],
    placements: &[Placement; 3],
    kernel: Binary<T>,
    value: fn(u64) -> T,
    reference: fn(T, T) -> T,
) {
    let [to, a, b] = placements;
    let mut destination = Tensor::<T>::new(shape, to);
    let (mut a, mut b) = (Tensor::with(shape, a, value), Tensor::with(shape, b, value));
    let before = destination.surroundings();
    kernel(destination.view(), a.view(), b.view(), &GO_ON).unwrap();
    let expected: Vec<T> = indices(shape)
        .map(|i| reference(a.get(&i), b.get(&i)))
        .collect();
    for (index, expected) in indices(shape).zip(&expected) {
        assert_eq!(destination.get(&index), *expected, "{index:?}");
    }
    assert_eq!(destination.surroundings(), before);

    let mut destination = Tensor::with(shape, to, value);
    let expected: Vec<T> = indices(shape)
        .map(|i| reference(destination.get(&i), b.get(&i)))
        .collect();
    kernel(destination.view(), destination.view(), b.view(), &GO_ON).unwrap();
    for (index, expected) in indices(shape).zip(&expected) {
        assert_eq!(destination.get(&index), *expected, "in place, {index:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn binary_kernels_compute_every_element_and_touch_nothing_else(
        shape in shape(), to in placement(), a in source_placement(), b in source_placement(),
        which in 0..4,
    ) {
        let placements = [to, a, b];
        match which {
            0 => binary(&shape, &placements, elementwise::add_u8, |bits| bits as u8,
                |a, b| (u32::from(a) + u32::from(b)).min(255) as u8),
            1 => binary(&shape, &placements, elementwise::multiply_u8, |bits| (bits >> 60) as u8 * 3,
                |a, b| (u32::from(a) * u32::from(b)).min(255) as u8),
            2 => binary(&shape, &placements, elementwise::add_f32, unit_float, |a, b| a + b),
            _ => binary(&shape, &placements, elementwise::multiply_f32, unit_float, |a, b| a * b),
        }
    }

    #[test]
    fn unary_kernels_compute_every_element_and_touch_nothing_else(
        shape in shape(), to in placement(), from in source_placement(), relu: bool,
        scale in -4.0..4.0f32, bias in -4.0..4.0f32,
    ) {
        let mut destination = Tensor::<f32>::new(&shape, &to);
        let mut source = Tensor::with(&shape, &from, unit_float);
        let before = destination.surroundings();
        if relu {
            elementwise::relu_f32(destination.view(), source.view(), &GO_ON).unwrap();
        } else {
            elementwise::scale_f32(destination.view(), source.view(), scale, bias, &GO_ON).unwrap();
        }
        for index in indices(&shape) {
            let value = source.get(&index);
            let expected = if relu { value.max(0.0) } else { value * scale + bias };
            prop_assert_eq!(destination.get(&index), expected);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

#[test]
fn relu_keeps_a_nan() {
    let dense = Placement::dense();
    let mut tensor = Tensor::with(&[3], &dense, |_| f32::NAN);
    elementwise::relu_f32(tensor.view(), tensor.view(), &GO_ON).unwrap();
    assert!(indices(&[3]).all(|index| tensor.get(&index).is_nan()));
}
