// SPDX-License-Identifier: MIT OR Apache-2.0
//! matmul against a reference in f64.

mod common;

use std::sync::atomic::AtomicBool;

use augur_kernels::matmul::Update;
use augur_kernels::{Bf16, KernelError, Layout, ShapeError, matmul};
use common::*;
use proptest::prelude::*;

fn dimensions() -> impl Strategy<Value = (u32, u32, u32)> {
    prop_oneof![
        (1..40u32, 1..40u32, 1..40u32),
        (1..4u32, 1..150u32, 1..150u32),
        (1..150u32, 1..4u32, 1..150u32),
        // Beyond one block of each dimension.
        (1000..1200u32, 1..4u32, 1..4u32),
        (1..4u32, 1000..1200u32, 1..4u32),
        (1..4u32, 1..4u32, 1000..2200u32),
    ]
}

fn update() -> impl Strategy<Value = Update> {
    prop::sample::select(vec![Update::Replace, Update::Add, Update::Subtract])
}

/// What is kept of what the destination held, and the sign of the product.
fn terms(update: Update, held: f64) -> (f64, f64) {
    match update {
        Update::Replace => (0.0, 1.0),
        Update::Add => (held, 1.0),
        Update::Subtract => (held, -1.0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn products_are_within_the_error_of_their_sums(
        (m, n, k) in dimensions(), update in update(),
        to in placement(), a in source_placement(), b in source_placement(),
    ) {
        let mut destination = Tensor::with(&[m, n], &to, unit_float);
        let mut a = Tensor::with(&[m, k], &a, unit_float);
        let mut b = Tensor::with(&[k, n], &b, unit_float);
        let before = destination.surroundings();
        let addend: Vec<f32> = indices(&[m, n]).map(|index| destination.get(&index)).collect();
        matmul::run_f32(destination.view(), a.view(), b.view(), update, &GO_ON).unwrap();
        for (index, addend) in indices(&[m, n]).zip(addend) {
            let (addend, sign) = terms(update, addend.into());
            let (mut sum, mut magnitude) = (addend, addend.abs());
            for level in 0..k {
                let product = f64::from(a.get(&[index[0], level])) * f64::from(b.get(&[level, index[1]]));
                sum += sign * product;
                magnitude += product.abs();
            }
            // In whatever order: each product is rounded once and takes part
            // in at most k + 1 additions (one more for accumulation), each a
            // relative error of 2⁻²⁴ of at most the magnitude. Doubled for the
            // terms of higher order, which are far smaller.
            let bound = 2.0 * f64::from(k + 2) * f64::from(f32::EPSILON) / 2.0 * magnitude;
            let error = (f64::from(destination.get(&index)) - sum).abs();
            prop_assert!(error <= bound, "{:?}: {} > {}", index, error, bound);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn products_of_bytes_are_exact(
        (m, n, k) in dimensions(), update in update(), extreme: bool,
        to in placement(), a in source_placement(), b in source_placement(),
    ) {
        let byte = |bits: u64| if extreme { i8::MIN } else { bits as i8 };
        let mut destination = Tensor::<i32>::new(&[m, n], &to);
        let mut a = Tensor::with(&[m, k], &a, byte);
        let mut b = Tensor::with(&[k, n], &b, byte);
        let before = destination.surroundings();
        let addend: Vec<i32> = indices(&[m, n]).map(|index| destination.get(&index)).collect();
        matmul::run_i8(destination.view(), a.view(), b.view(), update, &GO_ON).unwrap();
        for (index, addend) in indices(&[m, n]).zip(addend) {
            let sum: i64 = (0..k)
                .map(|level| i64::from(a.get(&[index[0], level])) * i64::from(b.get(&[level, index[1]])))
                .sum();
            let expected = match update {
                Update::Replace => sum,
                Update::Add => i64::from(addend) + sum,
                Update::Subtract => i64::from(addend) - sum,
            } as i32;
            prop_assert_eq!(destination.get(&index), expected, "{:?}", index);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }

    #[test]
    fn products_of_bf16_are_within_the_error_of_their_sums(
        (m, n, k) in dimensions(), update in update(),
        to in placement(), a in source_placement(), b in source_placement(),
    ) {
        let half = |bits: u64| Bf16((unit_float(bits).to_bits() >> 16) as u16);
        let exact = |half: Bf16| f64::from(f32::from_bits(u32::from(half.0) << 16));
        let mut destination = Tensor::with(&[m, n], &to, unit_float);
        let mut a = Tensor::with(&[m, k], &a, half);
        let mut b = Tensor::with(&[k, n], &b, half);
        let before = destination.surroundings();
        let addend: Vec<f32> = indices(&[m, n]).map(|index| destination.get(&index)).collect();
        matmul::run_bf16(destination.view(), a.view(), b.view(), update, &GO_ON).unwrap();
        for (index, addend) in indices(&[m, n]).zip(addend) {
            let (addend, sign) = terms(update, addend.into());
            let (mut sum, mut magnitude) = (addend, addend.abs());
            for level in 0..k {
                let product = exact(a.get(&[index[0], level])) * exact(b.get(&[level, index[1]]));
                sum += sign * product;
                magnitude += product.abs();
            }
            // As for f32.
            let bound = 2.0 * f64::from(k + 2) * f64::from(f32::EPSILON) / 2.0 * magnitude;
            let error = (f64::from(destination.get(&index)) - sum).abs();
            prop_assert!(error <= bound, "{:?}: {} > {}", index, error, bound);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

#[test]
fn what_is_not_accumulated_is_not_read() {
    let dense = Placement::dense();
    let mut destination = Tensor::with(&[5, 7], &dense, |_| f32::NAN);
    let mut a = Tensor::with(&[5, 3], &dense, unit_float);
    let mut b = Tensor::with(&[3, 7], &dense, unit_float);
    matmul::run_f32(
        destination.view(),
        a.view(),
        b.view(),
        Update::Replace,
        &GO_ON,
    )
    .unwrap();
    assert!(indices(&[5, 7]).all(|index| destination.get(&index).is_finite()));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let layout = |shape: &[u32]| Layout::<f32>::dense(shape).unwrap();
    let check = |d: &[u32], a: &[u32], b: &[u32]| matmul::check(&layout(d), &layout(a), &layout(b));
    assert_eq!(check(&[2, 3], &[2, 4], &[4, 3]), Ok(()));
    assert_eq!(check(&[2, 3], &[2, 4], &[3, 4]), Err(ShapeError::Mismatch));
    assert_eq!(check(&[3, 3], &[2, 4], &[4, 3]), Err(ShapeError::Mismatch));
    assert_eq!(check(&[2, 4], &[2, 4], &[4, 3]), Err(ShapeError::Mismatch));
    let rank = Err(ShapeError::Rank { rank: 3, needed: 2 });
    assert_eq!(check(&[2, 3], &[2, 4], &[1, 4, 3]), rank);
}

#[test]
fn a_cancelled_product_stops() {
    let dense = Placement::dense();
    let mut tensors = [0; 3].map(|_| Tensor::<f32>::with(&[4, 4], &dense, |_| 1.0));
    let [d, a, b] = &mut tensors;
    let stop = AtomicBool::new(true);
    let ended = matmul::run_f32(d.view(), a.view(), b.view(), Update::Replace, &stop);
    assert_eq!(ended, Err(KernelError::Cancelled));
    assert_eq!(d.get(&[0, 0]), 1.0);
}
