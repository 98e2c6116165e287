// SPDX-License-Identifier: MIT OR Apache-2.0
//! reduce, softmax and layer normalisation: kernels along one dimension,
//! against references in f64.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use augur_kernels::{Layout, ShapeError, normalize, reduce};
use common::*;
use proptest::prelude::*;

/// Half of the distance between 1 and the next float: the error of a rounding.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// A shape and one of its dimensions.
fn shape_and_axis() -> impl Strategy<Value = (Vec<u32>, usize)> {
    let shapes = prop_oneof![shape(), (1..4u32, 1..4000u32).prop_map(|(a, b)| vec![a, b])];
    (shapes, any::<prop::sample::Index>()).prop_map(|(shape, axis)| {
        let axis = axis.index(shape.len());
        (shape, axis)
    })
}

/// The lines of a shape along a dimension: the indices of their elements.
fn lines(shape: &[u32], axis: usize) -> impl Iterator<Item = Vec<Vec<u32>>> {
    let mut firsts = shape.to_vec();
    let length = std::mem::replace(&mut firsts[axis], 1);
    indices(&firsts).map(move |first| {
        let element = |place| {
            let mut index = first.clone();
            index[axis] = place;
            index
        };
        (0..length).map(element).collect()
    })
}

/// Floats of very different magnitudes.
fn wide_float(bits: u64) -> f32 {
    unit_float(bits) * f32::powi(2.0, (bits % 8) as i32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn reductions_are_within_the_error_of_their_sums(
        (shape, axis) in shape_and_axis(), to in placement(), from in source_placement(), which in 0..3,
    ) {
        let mut results = shape.clone();
        results[axis] = 1;
        let mut destination = Tensor::<f32>::new(&results, &to);
        let mut source = Tensor::with(&shape, &from, wide_float);
        let before = destination.surroundings();
        let (d, s) = (destination.view(), source.view());
        match which {
            0 => reduce::sum_f32(d, s, axis, &GO_ON).unwrap(),
            1 => reduce::mean_f32(d, s, axis, &GO_ON).unwrap(),
            _ => reduce::maximum_f32(d, s, axis, &GO_ON).unwrap(),
        }
        for line in lines(&shape, axis) {
            let values = || line.iter().map(|index| f64::from(source.get(index)));
            let count = line.len() as f64;
            let (sum, magnitude) = (values().sum::<f64>(), values().map(f64::abs).sum::<f64>());
            // Each value takes part in at most n additions, some of them to
            // zeros; the mean is rounded once more. Doubled for the terms of
            // higher order.
            let (expected, bound) = match which {
                0 => (sum, 2.0 * count * UNIT * magnitude),
                1 => (sum / count, 2.0 * (count + 1.0) * UNIT * magnitude / count),
                _ => (values().fold(f64::NEG_INFINITY, f64::max), 0.0),
            };
            let error = (f64::from(destination.get(&line[0])) - expected).abs();
            prop_assert!(error <= bound, "{:?}: {} > {}", line[0], error, bound);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }

    #[test]
    fn softmax_is_within_the_error_of_its_exponentials(
        (shape, axis) in shape_and_axis(), to in placement(), from in source_placement(), in_place: bool,
    ) {
        let mut destination = Tensor::with(&shape, &to, wide_float);
        let mut source = Tensor::with(&shape, &from, wide_float);
        let before = destination.surroundings();
        let original = |index: &Vec<u32>| if in_place { destination.get(index) } else { source.get(index) };
        let inputs: Vec<Vec<f64>> = lines(&shape, axis)
            .map(|line| line.iter().map(|index| f64::from(original(index))).collect())
            .collect();
        let from = if in_place { destination.view() } else { source.view() };
        normalize::softmax_f32(destination.view(), from, axis, &GO_ON).unwrap();
        for (line, inputs) in lines(&shape, axis).zip(inputs) {
            let most = inputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum = inputs.iter().map(|value| (value - most).exp()).sum::<f64>();
            let count = inputs.len() as f64;
            // The difference from the maximum is rounded, which multiplies
            // the exponential by up to exp(|difference| · 2⁻²⁴); the
            // exponential has an error of 4 units itself. This holds for the
            // element and for the sum, whose additions are n more; then a
            // reciprocal and a product. Doubled for terms of higher order.
            let spread = inputs.iter().map(|value| most - value).fold(0.0, f64::max);
            let relative = 2.0 * UNIT * (2.0 * (spread + 4.0) + count + 2.0);
            for (index, input) in line.iter().zip(inputs) {
                let expected = (input - most).exp() / sum;
                let error = (f64::from(destination.get(index)) - expected).abs();
                // What is below the normal numbers may be lost.
                let bound = relative * expected + 2.0 * f64::from(f32::MIN_POSITIVE);
                prop_assert!(error <= bound, "{:?}: {} > {}", index, error, bound);
            }
        }
        prop_assert_eq!(destination.surroundings(), before);
    }

    #[test]
    fn layer_normalisation_is_within_the_error_of_its_moments(
        (shape, axis) in shape_and_axis(), to in placement(), from in source_placement(),
        by in source_placement(), plus in source_placement(), epsilon in 1e-5..1e-2f32,
    ) {
        let length = shape[axis];
        let mut destination = Tensor::<f32>::new(&shape, &to);
        let mut source = Tensor::with(&shape, &from, wide_float);
        let mut scale = Tensor::with(&[length], &by, unit_float);
        let mut bias = Tensor::with(&[length], &plus, unit_float);
        let before = destination.surroundings();
        normalize::layer_norm_f32(
            destination.view(), source.view(), scale.view(), bias.view(), epsilon, axis, &GO_ON,
        ).unwrap();
        for line in lines(&shape, axis) {
            let inputs: Vec<f64> = line.iter().map(|index| f64::from(source.get(index))).collect();
            let count = inputs.len() as f64;
            let most = inputs.iter().map(|value| value.abs()).fold(0.0, f64::max);
            let mean = inputs.iter().sum::<f64>() / count;
            let variance = inputs.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let deviation = (variance + f64::from(epsilon)).sqrt();
            // The mean is off by at most (n + 1) units of the largest value,
            // and each distance from it by that and a rounding (`distance`).
            // The deviation's relative error is at most that of the distances
            // over the deviation, and n + 6 roundings of the sum of squares,
            // the division, the root and the reciprocal.
            let distance = (count + 3.0) * UNIT * most;
            let relative = distance / deviation + (count + 6.0) * UNIT;
            for (place, (index, input)) in line.iter().zip(inputs).enumerate() {
                let (scale, bias) = (scale.get(&[place as u32]), bias.get(&[place as u32]));
                let normal = (input - mean) / deviation;
                let expected = normal * f64::from(scale) + f64::from(bias);
                let bound = 2.0 * (f64::from(scale).abs()
                    * (distance / deviation + normal.abs() * relative)
                    + 4.0 * UNIT * (normal.abs() + f64::from(bias).abs()));
                let error = (f64::from(destination.get(index)) - expected).abs();
                prop_assert!(error <= bound, "{:?}: {} > {}", index, error, bound);
            }
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

#[test]
fn a_maximum_tells_of_a_nan() {
    let dense = Placement::dense();
    for (shape, axis) in [([40, 3], 0), ([3, 40], 1)] {
        let number = std::cell::Cell::new(0);
        let mut source = Tensor::with(&shape, &dense, |_| {
            number.set(number.get() + 1);
            if number.get() == 55 {
                f32::NAN
            } else {
                number.get() as f32
            }
        });
        let mut results = shape;
        results[axis] = 1;
        let mut destination = Tensor::<f32>::new(&results, &dense);
        reduce::maximum_f32(destination.view(), source.view(), axis, &GO_ON).unwrap();
        let nans = indices(&results)
            .filter(|index| destination.get(index).is_nan())
            .count();
        assert_eq!(nans, 1);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let layout = |shape: &[u32]| Layout::<f32>::dense(shape).unwrap();
    let source = layout(&[4, 5]);
    let axis = Err(ShapeError::Parameter { parameter: "axis" });
    assert_eq!(reduce::check(&layout(&[4, 1]), &source, 1), Ok(()));
    assert_eq!(
        reduce::check(&layout(&[4, 1]), &source, 0),
        Err(ShapeError::Mismatch)
    );
    assert_eq!(
        reduce::check(&layout(&[4]), &source, 1),
        Err(ShapeError::Mismatch)
    );
    assert_eq!(reduce::check(&layout(&[4, 1]), &source, 2), axis);
    assert_eq!(normalize::check_softmax(&source, &source, 2), axis);
    assert_eq!(
        normalize::check_softmax(&layout(&[5, 4]), &source, 1),
        Err(ShapeError::Mismatch)
    );
    let (five, four) = (layout(&[5]), layout(&[4]));
    let check = |scale, bias| normalize::check_layer_norm(&source, &source, scale, bias, 1);
    assert_eq!(check(&five, &five), Ok(()));
    assert_eq!(check(&four, &five), Err(ShapeError::Mismatch));
    assert_eq!(check(&five, &four), Err(ShapeError::Mismatch));
    assert_eq!(
        check(&five, &source),
        Err(ShapeError::Rank { rank: 2, needed: 1 })
    );
}
