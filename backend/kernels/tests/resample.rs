// SPDX-License-Identifier: MIT OR Apache-2.0
//! resample against a reference in wider numbers.

mod common;

use augur_kernels::{Layout, ShapeError, resample};
use common::*;
use proptest::prelude::*;

/// Shapes of destination and source, and the factor.
fn shapes() -> impl Strategy<Value = ([u32; 4], [u32; 4], u32)> {
    let small = prop_oneof![
        (1..3u32, 1..7u32, 1..30u32, 1..6u32),
        (Just(1u32), 1..3u32, 1..40u32, 1..40u32),
        (Just(1u32), 1..3u32, 1..700u32, 1..5u32),
        (Just(1u32), Just(1u32), 1..3u32, 1..3000u32),
    ];
    (small, 2..=16u32, 0..3u32, 0..3u32).prop_map(|((n, y, x, c), factor, more_y, more_x)| {
        let factor = if y * x * c > 2000 {
            factor.min(4)
        } else {
            factor
        };
        (
            [n, y, x, c],
            [n, y * factor + more_y, x * factor + more_x, c],
            factor,
        )
    })
}

fn block(index: &[u32], factor: u32) -> impl Iterator<Item = [u32; 4]> {
    let [n, y, x, c] = [index[0], index[1] * factor, index[2] * factor, index[3]];
    (0..factor * factor).map(move |i| [n, y + i / factor, x + i % factor, c])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn bytes_are_averaged_exactly_with_halves_up(
        (small, large, factor) in shapes(), to in placement(), from in source_placement(),
    ) {
        let mut destination = Tensor::<u8>::new(&small, &to);
        let mut source = Tensor::<u8>::new(&large, &from);
        let before = destination.surroundings();
        resample::run_u8(destination.view(), source.view(), factor, &GO_ON).unwrap();
        for index in indices(&small) {
            let sum: u32 = block(&index, factor).map(|at| u32::from(source.get(&at))).sum();
            let mean = f64::from(sum) / f64::from(factor * factor);
            prop_assert_eq!(destination.get(&index), (mean + 0.5).floor() as u8, "{:?}", index);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }

    #[test]
    fn floats_are_averaged_within_the_error_of_their_sum(
        (small, large, factor) in shapes(), to in placement(), from in source_placement(),
    ) {
        let mut destination = Tensor::<f32>::new(&small, &to);
        let mut source = Tensor::with(&large, &from, unit_float);
        let before = destination.surroundings();
        resample::run_f32(destination.view(), source.view(), factor, &GO_ON).unwrap();
        let count = f64::from(factor * factor);
        for index in indices(&small) {
            let values = || block(&index, factor).map(|at| f64::from(source.get(&at)));
            let mean = values().sum::<f64>() / count;
            let magnitude = values().map(f64::abs).sum::<f64>() / count;
            // count - 1 additions, the rounded share and the product with it,
            // each a relative error of 2⁻²⁴ of at most the magnitude.
            let bound = (count + 2.0) * f64::from(f32::EPSILON) / 2.0 * magnitude;
            let error = (f64::from(destination.get(&index)) - mean).abs();
            prop_assert!(error <= bound, "{:?}: {} > {}", index, error, bound);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let layout = |shape: &[u32]| Layout::<u8>::dense(shape).unwrap();
    let source = layout(&[1, 8, 8, 3]);
    let check = |shape: &[u32], factor| resample::check(&layout(shape), &source, factor);
    assert_eq!(check(&[1, 4, 4, 3], 2), Ok(()));
    assert_eq!(check(&[1, 3, 4, 3], 2), Ok(()));
    assert_eq!(
        check(&[1, 5, 4, 3], 2),
        Err(ShapeError::Extent {
            dimension: "height"
        })
    );
    assert_eq!(
        check(&[1, 4, 5, 3], 2),
        Err(ShapeError::Extent { dimension: "width" })
    );
    assert_eq!(check(&[1, 4, 4, 2], 2), Err(ShapeError::Mismatch));
    assert_eq!(check(&[2, 4, 4, 3], 2), Err(ShapeError::Mismatch));
    assert_eq!(
        check(&[4, 4, 3], 2),
        Err(ShapeError::Rank { rank: 3, needed: 4 })
    );
    for factor in [0, 1, 17, u32::MAX] {
        let refused = Err(ShapeError::Parameter {
            parameter: "factor",
        });
        assert_eq!(check(&[1, 1, 1, 3], factor), refused);
    }
}
