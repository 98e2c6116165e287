// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls into the `gemm` crate: products of f32 matrices in private
//! memory and in views.

use gemm::Parallelism;

use crate::View;
use crate::matmul::Update;

/// acc(m,n) += a(m,k) · b(k,n); all are dense and row-major.
pub(crate) fn accumulate_dense(
    acc: &mut [f32],
    a: &[f32],
    b: &[f32],
    (m, n, k): (usize, usize, usize),
) {
    assert!(
        acc.len() == m * n && a.len() == m * k && b.len() == k * n,
        "sizes differ"
    );
    // SAFETY: the slices hold exactly the elements that the strides name, and
    // `acc` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            acc.as_mut_ptr(),
            1,
            n as isize,
            true,
            a.as_ptr(),
            1,
            k as isize,
            b.as_ptr(),
            1,
            n as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// dst(m,n) = a(m,k) · b(k,n), or dst ± a · b. The first two dimensions of the
/// views are these; the others have one element.
pub(crate) fn multiply_views(destination: View<f32>, a: View<f32>, b: View<f32>, update: Update) {
    let dimensions = |view: &View<f32>| {
        let [rows, columns, ..] = view.shape();
        (rows as usize, columns as usize)
    };
    let strides = |view: &View<f32>| {
        let [row, column, ..] = view.layout().strides();
        ((row / 4) as isize, (column / 4) as isize)
    };
    let ((m, n), (_, k)) = (dimensions(&destination), dimensions(&a));
    assert!(
        dimensions(&a) == (m, k) && dimensions(&b) == (k, n),
        "shapes differ"
    );
    let ((dst_rs, dst_cs), (a_rs, a_cs), (b_rs, b_cs)) =
        (strides(&destination), strides(&a), strides(&b));
    // SAFETY: a view's shape and strides describe elements within its memory,
    // which its maker keeps mapped. `gemm` works on raw pointers; a value that
    // changes meanwhile changes the product and nothing else.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination.pointer(),
            dst_cs,
            dst_rs,
            update != Update::Replace,
            a.pointer(),
            a_cs,
            a_rs,
            b.pointer(),
            b_cs,
            b_rs,
            1.0,
            if update == Update::Subtract {
                -1.0
            } else {
                1.0
            },
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
