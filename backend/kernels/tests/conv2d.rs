// SPDX-License-Identifier: MIT OR Apache-2.0
//! conv2d against the definition, tap by tap.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use std::sync::atomic::AtomicBool;

use augur_kernels::conv2d::{self, FinishF32, FinishU8, Geometry};
use augur_kernels::{Element, KernelError, Layout, ShapeError};
use common::*;
use proptest::prelude::*;

/// Shapes that fit together.
#[derive(Debug, Clone)]
struct Case {
    destination: [u32; 4],
    source: [u32; 4],
    weights: [u32; 4],
    geometry: Geometry,
}

/// Sizes of a group: (groups, inputs, outputs).
fn groups() -> impl Strategy<Value = (u32, u32, u32)> {
    prop_oneof![
        // Depthwise, also with more channels than a chunk or a tile.
        (1..5u32, Just(1u32), Just(1u32)),
        (60..140u32, Just(1u32), Just(1u32)),
        (2040..2060u32, Just(1u32), Just(1u32)),
        (1..4u32, 1..6u32, 1..6u32),
        // More products than a block, more outputs than a block.
        (1..3u32, 100..300u32, 1..3u32),
        (1..3u32, 1..3u32, 500..530u32),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let lengths = prop_oneof![
        (1..12u32, 1..12u32),
        (1..3u32, 1..300u32),
        (15..25u32, 15..25u32)
    ];
    (
        (groups(), 1..3u32, lengths, 1..7u32, 1..7u32),
        (
            prop::array::uniform4(0..8u16),
            1..5u16,
            1..5u16,
            any::<bool>(),
        ),
    )
        .prop_map(
            |(((groups, inputs, outputs), images, (y, x), ky, kx), rest)| {
                let (
                    [mut pad_top, pad_bottom, mut pad_left, pad_right],
                    stride_y,
                    stride_x,
                    repeat_edge,
                ) = rest;
                // Large cases are made small somewhere.
                let many = groups * inputs * outputs > 50;
                let (y, x) = if many { (y.min(6), x.min(6)) } else { (y, x) };
                pad_top = pad_top.max((ky.saturating_sub(y + u32::from(pad_bottom))) as u16);
                pad_left = pad_left.max((kx.saturating_sub(x + u32::from(pad_right))) as u16);
                let extent = |length: u32, pads: u16, kernel: u32, stride: u16| {
                    (length + u32::from(pads) - kernel) / u32::from(stride) + 1
                };
                let height = extent(y, pad_top + pad_bottom, ky, stride_y);
                let width = extent(x, pad_left + pad_right, kx, stride_x);
                Case {
                    destination: [images, height, width, groups * outputs],
                    source: [images, y, x, groups * inputs],
                    weights: [ky, kx, inputs, groups * outputs],
                    geometry: Geometry {
                        stride_y,
                        stride_x,
                        pad_top,
                        pad_bottom,
                        pad_left,
                        pad_right,
                        groups: groups as u16,
                        repeat_edge,
                    },
                }
            },
        )
        .prop_filter("too large for a test", |case| {
            let size = |shape: [u32; 4]| shape.iter().map(|&n| n as usize).product::<usize>();
            let [ky, kx, inputs, _] = case.weights;
            size(case.destination) * (ky * kx * inputs) as usize <= 600_000
        })
}

/// The values and weights under the kernel at an output, None where padding is
/// zero.
fn taps<'a, T: Element, W: Element>(
    case: &'a Case,
    source: &'a Tensor<T>,
    weights: &'a Tensor<W>,
    index: &'a [u32],
) -> impl Iterator<Item = (Option<T>, W)> + 'a {
    let Geometry {
        stride_y,
        stride_x,
        pad_top,
        pad_left,
        groups,
        repeat_edge,
        ..
    } = case.geometry;
    let [_, height, width, _] = case.source.map(i64::from);
    let [ky, kx, inputs, outputs] = case.weights;
    let group = index[3] / (outputs / u32::from(groups));
    indices(&[ky, kx, inputs])
        .map(|i| i.try_into().unwrap())
        .map(move |[ky, kx, input]: [u32; 3]| {
            let y = i64::from(index[1] * u32::from(stride_y) + ky) - i64::from(pad_top);
            let x = i64::from(index[2] * u32::from(stride_x) + kx) - i64::from(pad_left);
            let inside = (0..height).contains(&y) && (0..width).contains(&x);
            let (y, x) = (y.clamp(0, height - 1) as u32, x.clamp(0, width - 1) as u32);
            let value = (inside || repeat_edge)
                .then(|| source.get(&[index[0], y, x, group * inputs + input]));
            (value, weights.get(&[ky, kx, input, index[3]]))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn convolution_of_bytes_is_exact(
        case in case(), absolute: bool, large: bool, bias in -100_000..100_000i32, shift in 0..=24u16,
        to in placement(), from in source_placement(), by in source_placement(),
    ) {
        let mut destination = Tensor::<u8>::new(&case.destination, &to);
        let mut source = Tensor::<u8>::new(&case.source, &from);
        let mut weights = Tensor::<i16>::with(&case.weights, &by, |bits| {
            if large { bits as i16 } else { (bits % 64) as i16 - 24 }
        });
        let finish = FinishU8 { absolute, bias, shift: if large { shift } else { shift % 12 } };
        let before = destination.surroundings();
        conv2d::run_u8(
            destination.view(), source.view(), weights.view(), &case.geometry, &finish, &GO_ON,
        ).unwrap();
        for index in indices(&case.destination) {
            let mut sum = taps(&case, &source, &weights, &index)
                .map(|(value, weight)| i32::from(value.unwrap_or(0)).wrapping_mul(i32::from(weight)))
                .fold(0i32, i32::wrapping_add);
            if absolute {
                sum = sum.wrapping_abs();
            }
            sum = sum.wrapping_add(bias);
            if finish.shift > 0 {
                sum = sum.wrapping_add(1 << (finish.shift - 1));
            }
            let expected = (sum >> finish.shift).clamp(0, 255) as u8;
            prop_assert_eq!(destination.get(&index), expected, "{:?}", index);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }

    #[test]
    fn convolution_of_floats_is_within_the_error_of_its_sums(
        case in case(), absolute: bool, bias in -2.0..2.0f32,
        to in placement(), from in source_placement(), by in source_placement(),
    ) {
        let mut destination = Tensor::<f32>::new(&case.destination, &to);
        let mut source = Tensor::with(&case.source, &from, unit_float);
        let mut weights = Tensor::with(&case.weights, &by, unit_float);
        let finish = FinishF32 { absolute, bias };
        let before = destination.surroundings();
        conv2d::run_f32(
            destination.view(), source.view(), weights.view(), &case.geometry, &finish, &GO_ON,
        ).unwrap();
        let [ky, kx, inputs, _] = case.weights.map(f64::from);
        for index in indices(&case.destination) {
            let products = || taps(&case, &source, &weights, &index)
                .map(|(value, weight)| f64::from(value.unwrap_or(0.0)) * f64::from(weight));
            let sum = products().sum::<f64>();
            let expected = if absolute { sum.abs() } else { sum } + f64::from(bias);
            let magnitude = products().map(f64::abs).sum::<f64>() + f64::from(bias).abs();
            // Each product is rounded once and takes part in at most as many
            // additions as there are products, then in that of the bias; each
            // is a relative error of 2⁻²⁴ of at most the magnitude. Doubled
            // for the terms of higher order, which are far smaller.
            let steps = ky * kx * inputs + 2.0;
            let bound = 2.0 * steps * f64::from(f32::EPSILON) / 2.0 * magnitude;
            let error = (f64::from(destination.get(&index)) - expected).abs();
            prop_assert!(error <= bound, "{:?}: {} > {}", index, error, bound);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

const PLAIN: Geometry = Geometry {
    stride_y: 1,
    stride_x: 1,
    pad_top: 0,
    pad_bottom: 0,
    pad_left: 0,
    pad_right: 0,
    groups: 1,
    repeat_edge: false,
};

#[test]
fn shapes_and_parameters_that_do_not_fit_are_refused() {
    let layout = |shape: &[u32]| Layout::<f32>::dense(shape).unwrap();
    let check = |d: &[u32], s: &[u32], w: &[u32], geometry| {
        conv2d::check(&layout(d), &layout(s), &layout(w), &geometry)
    };
    let (d, s, w) = ([1, 6, 6, 4], [1, 8, 8, 2], [3, 3, 2, 4]);
    let height = Err(ShapeError::Extent {
        dimension: "height",
    });
    let width = Err(ShapeError::Extent { dimension: "width" });
    assert_eq!(check(&d, &s, &w, PLAIN), Ok(()));
    assert_eq!(
        check(
            &d,
            &s,
            &w,
            Geometry {
                pad_top: 1,
                ..PLAIN
            }
        ),
        height
    );
    assert_eq!(
        check(
            &d,
            &s,
            &w,
            Geometry {
                pad_right: 1,
                ..PLAIN
            }
        ),
        width
    );
    assert_eq!(
        check(
            &d,
            &s,
            &w,
            Geometry {
                stride_x: 2,
                ..PLAIN
            }
        ),
        width
    );
    assert_eq!(check(&d, &s, &[9, 3, 2, 4], PLAIN), height);
    assert_eq!(
        check(&d, &s, &w, Geometry { groups: 2, ..PLAIN }),
        Err(ShapeError::Groups)
    );
    assert_eq!(check(&[1, 6, 6, 3], &s, &w, PLAIN), Err(ShapeError::Groups));
    let three = Geometry { groups: 3, ..PLAIN };
    assert_eq!(check(&d, &[1, 8, 8, 6], &w, three), Err(ShapeError::Groups));
    let images = Err(ShapeError::Extent {
        dimension: "number of images",
    });
    assert_eq!(check(&[2, 6, 6, 4], &s, &w, PLAIN), images);
    let rank = Err(ShapeError::Rank { rank: 3, needed: 4 });
    assert_eq!(check(&[6, 6, 4], &s, &w, PLAIN), rank);
    for (parameter, geometry) in [
        (
            "stride_y",
            Geometry {
                stride_y: 0,
                ..PLAIN
            },
        ),
        (
            "stride_x",
            Geometry {
                stride_x: 0,
                ..PLAIN
            },
        ),
        ("groups", Geometry { groups: 0, ..PLAIN }),
    ] {
        assert_eq!(
            check(&d, &s, &w, geometry),
            Err(ShapeError::Parameter { parameter })
        );
    }
}

#[test]
fn a_kernel_too_large_for_sliding_rows_is_computed_by_blocks() {
    // The widest stride and paddings, and a kernel of which most lies outside.
    let geometry = Geometry {
        stride_y: u16::MAX,
        stride_x: u16::MAX,
        pad_top: u16::MAX,
        pad_left: u16::MAX,
        repeat_edge: true,
        ..PLAIN
    };
    let dense = Placement::dense();
    let source_shape = [1, 3, 2, 1];
    let kernel = [2, 65_537, 1, 1];
    let mut source = Tensor::<u8>::with(&source_shape, &dense, |_| 1);
    let mut weights = Tensor::<i16>::with(&kernel, &dense, |_| 2);
    let mut destination = Tensor::<u8>::new(&[1, 2, 1, 1], &dense);
    let finish = FinishU8 {
        absolute: false,
        bias: 0,
        shift: 11,
    };
    conv2d::run_u8(
        destination.view(),
        source.view(),
        weights.view(),
        &geometry,
        &finish,
        &GO_ON,
    )
    .unwrap();
    // 2 · 65537 taps of 1 · 2 are 262148; shifted right by 11 that is 128.
    assert_eq!(destination.get(&[0, 0, 0, 0]), 128);
    assert_eq!(destination.get(&[0, 1, 0, 0]), 128);
}

#[test]
fn the_magnitude_of_the_smallest_sum_wraps() {
    // 257 · 255 · 32768 wraps to a negative sum; 2³¹ itself has no magnitude.
    let dense = Placement::dense();
    let mut source = Tensor::<u8>::with(&[1, 1, 1, 260], &dense, |_| 128);
    let mut weights = Tensor::<i16>::with(&[1, 1, 260, 1], &dense, |_| 0);
    let mut destination = Tensor::<u8>::new(&[1, 1, 1, 1], &dense);
    // 128 · -32768 = -2²²: 512 of them are -2³¹; 256 with twice the value.
    let mut double = Tensor::<u8>::with(&[1, 1, 1, 512], &dense, |_| 128);
    let mut most = Tensor::<i16>::with(&[1, 1, 512, 1], &dense, |_| i16::MIN);
    let finish = FinishU8 {
        absolute: true,
        bias: -1,
        shift: 24,
    };
    conv2d::run_u8(
        destination.view(),
        double.view(),
        most.view(),
        &PLAIN,
        &finish,
        &GO_ON,
    )
    .unwrap();
    // |-2³¹| wraps to itself; minus one it is 2³¹ - 1, and rounding wraps.
    assert_eq!(destination.get(&[0, 0, 0, 0]), 0);
    let finish = FinishU8 {
        absolute: true,
        bias: 7,
        shift: 0,
    };
    conv2d::run_u8(
        destination.view(),
        source.view(),
        weights.view(),
        &PLAIN,
        &finish,
        &GO_ON,
    )
    .unwrap();
    assert_eq!(destination.get(&[0, 0, 0, 0]), 7);
}

#[test]
fn a_cancelled_convolution_stops() {
    let dense = Placement::dense();
    let stop = AtomicBool::new(true);
    for inputs in [1, 2] {
        let mut source = Tensor::<u8>::with(&[1, 4, 4, inputs], &dense, |_| 1);
        let mut weights = Tensor::<i16>::with(&[1, 1, inputs, 1], &dense, |_| 1);
        let mut destination = Tensor::<u8>::with(&[1, 4, 4, 1], &dense, |_| 99);
        let finish = FinishU8 {
            absolute: false,
            bias: 0,
            shift: 0,
        };
        let ended = conv2d::run_u8(
            destination.view(),
            source.view(),
            weights.view(),
            &PLAIN,
            &finish,
            &stop,
        );
        assert_eq!(ended, Err(KernelError::Cancelled));
        assert_eq!(destination.get(&[0, 0, 0, 0]), 99);
    }
}
