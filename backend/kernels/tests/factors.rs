// SPDX-License-Identifier: MIT OR Apache-2.0
//! cholesky and triangular against references in f64.

mod common;

use std::sync::atomic::AtomicBool;

use augur_kernels::{KernelError, Layout, ShapeError, cholesky, triangular};
use common::*;
use proptest::prelude::*;

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![1..20u32, Just(64), Just(65), 60..200u32]
}

/// A lower triangular matrix whose diagonal is far from zero, with what stands
/// above the diagonal.
fn triangle(size: u32, placement: &Placement, above: f32) -> Tensor<f32> {
    let mut state = 77;
    let mut tensor = Tensor::new(&[size, size], placement);
    for index in indices(&[size, size]) {
        let value = unit_float(random(&mut state));
        let value = match index[0].cmp(&index[1]) {
            std::cmp::Ordering::Less => above,
            std::cmp::Ordering::Equal => value + 4.0,
            std::cmp::Ordering::Greater => value / (size as f32).sqrt(),
        };
        tensor.set(&index, value);
    }
    tensor
}

/// Element (row, column) of a · bᵀ and the sum of the magnitudes it is made of.
fn product(a: &[f64], b: &[f64], size: usize, row: usize, column: usize) -> (f64, f64) {
    let products = (0..size).map(|level| a[row * size + level] * b[column * size + level]);
    products.fold((0.0, 0.0), |(sum, magnitude), product| {
        (sum + product, magnitude + product.abs())
    })
}

fn values(tensor: &Tensor<f32>, shape: &[u32]) -> Vec<f64> {
    indices(shape)
        .map(|index| f64::from(tensor.get(&index)))
        .collect()
}

/// What (n + 3) roundings can add up to, relative to the magnitude, doubled for
/// terms of higher order.
fn bound(size: u32, magnitude: f64) -> f64 {
    f64::from(size + 3) * f64::from(f32::EPSILON) * magnitude
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_factor_times_its_transpose_is_the_matrix(size in size(), at in placement()) {
        let shape = [size, size];
        let n = size as usize;
        let known = values(&triangle(size, &Placement::dense(), 0.0), &shape);
        let mut matrix = Tensor::<f32>::new(&shape, &at);
        for index in indices(&shape) {
            let (row, column) = (index[0] as usize, index[1] as usize);
            // The upper triangle is not to be read.
            let value = if column > row { f64::NAN } else { product(&known, &known, n, row, column).0 };
            matrix.set(&index, value as f32);
        }
        let wanted = values(&matrix, &shape);
        let before = matrix.surroundings();
        cholesky::run_f32(matrix.view(), &GO_ON).unwrap();
        prop_assert_eq!(matrix.surroundings(), before);
        let found = values(&matrix, &shape);
        for row in 0..n {
            for column in 0..n {
                if column > row {
                    prop_assert_eq!(found[row * n + column], 0.0);
                    continue;
                }
                let (sum, magnitude) = product(&found, &found, n, row, column);
                let error = (sum - wanted[row * n + column]).abs();
                prop_assert!(error <= bound(size, magnitude), "({row}, {column}): {error}");
            }
        }
    }

    #[test]
    fn what_is_solved_gives_the_right_side(
        size in size(), rows in 1..80u32, at in placement(), l in placement(),
    ) {
        let n = size as usize;
        let mut triangle = triangle(size, &l, f32::NAN);
        let factors: Vec<f64> = indices(&[size, size])
            .map(|index| if index[1] > index[0] { 0.0 } else { f64::from(triangle.get(&index)) })
            .collect();
        let mut x = Tensor::with(&[rows, size], &at, unit_float);
        let wanted = values(&x, &[rows, size]);
        let before = x.surroundings();
        triangular::run_f32(x.view(), triangle.view(), &GO_ON).unwrap();
        prop_assert_eq!(x.surroundings(), before);
        let found = values(&x, &[rows, size]);
        for row in 0..rows as usize {
            for column in 0..n {
                let (sum, magnitude) = product(&found, &factors, n, row, column);
                let error = (sum - wanted[row * n + column]).abs();
                prop_assert!(error <= bound(size, magnitude + 1.0), "({row}, {column}): {error}");
            }
        }
    }
}

fn unit(matrix: &mut Tensor<f32>, size: u32) {
    for index in indices(&[size, size]) {
        matrix.set(&index, if index[0] == index[1] { 1.0 } else { 0.0 });
    }
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_named_by_its_column() {
    for (size, bad) in [(5, 3), (100, 70)] {
        let mut matrix = Tensor::new(&[size, size], &Placement::dense());
        for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            unit(&mut matrix, size);
            matrix.set(&[bad, bad], value);
            assert_eq!(
                cholesky::run_f32(matrix.view(), &GO_ON),
                Err(KernelError::NotPositive { column: bad.into() })
            );
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let layout = |shape: &[u32]| Layout::<f32>::dense(shape).unwrap();
    assert_eq!(cholesky::check(&layout(&[4, 4])), Ok(()));
    assert_eq!(cholesky::check(&layout(&[4, 5])), Err(ShapeError::Mismatch));
    let rank = |rank| Err(ShapeError::Rank { rank, needed: 2 });
    assert_eq!(cholesky::check(&layout(&[4])), rank(1));
    let check = |x: &[u32], l: &[u32]| triangular::check(&layout(x), &layout(l));
    assert_eq!(check(&[7, 4], &[4, 4]), Ok(()));
    assert_eq!(check(&[4, 7], &[4, 4]), Err(ShapeError::Mismatch));
    assert_eq!(check(&[7, 4], &[4, 5]), Err(ShapeError::Mismatch));
    assert_eq!(check(&[7, 4], &[4, 4, 1]), rank(3));
}

#[test]
fn cancelled_kernels_stop() {
    let stop = AtomicBool::new(true);
    let mut a = triangle(8, &Placement::dense(), 0.0);
    let mut b = triangle(8, &Placement::dense(), 0.0);
    let cancelled = Err(KernelError::Cancelled);
    assert_eq!(cholesky::run_f32(a.view(), &stop), cancelled);
    assert_eq!(triangular::run_f32(a.view(), b.view(), &stop), cancelled);
}
