// SPDX-License-Identifier: MIT OR Apache-2.0
//! copy and fill against element-by-element references.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use std::sync::atomic::AtomicBool;

use augur_kernels::{Element, KernelError, Layout, ShapeError, View, copy, fill};
use common::*;
use proptest::prelude::*;

fn copies<T: Element + PartialEq + std::fmt::Debug>(
    shape: &[u32],
    to: &Placement,
    from: &Placement,
) {
    let (mut destination, mut source) =
        (Tensor::<T>::new(shape, to), Tensor::<T>::new(shape, from));
    let before = destination.surroundings();
    copy::run(destination.view(), source.view(), &GO_ON).unwrap();
    for index in indices(shape) {
        assert_eq!(destination.get(&index), source.get(&index), "{index:?}");
    }
    assert_eq!(destination.surroundings(), before);
}

/// Two views of one memory: a first element (in elements) and element strides.
#[derive(Debug, Clone)]
struct Overlap {
    shape: Vec<u32>,
    starts: [u64; 2],
    strides: [Vec<u64>; 2],
}

/// Destinations do not overlap themselves; half of the pairs have the same
/// strides.
fn overlap() -> impl Strategy<Value = Overlap> {
    let shape = prop_oneof![
        prop::collection::vec(1..9u32, 1..=3),
        prop::collection::vec(1..3000u32, 1),
        prop::collection::vec(1..60u32, 2),
    ];
    (
        shape,
        placement(),
        source_placement(),
        any::<bool>(),
        [0..40u64, 0..40u64],
    )
        .prop_map(|(shape, to, from, alike, starts)| {
            let strides = |placement: &Placement| {
                placement.layout::<u16>(&shape).strides()[..shape.len()].to_vec()
            };
            let strides = [strides(&to), strides(if alike { &to } else { &from })];
            Overlap {
                shape,
                starts,
                strides,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn copy_moves_every_element_and_nothing_else(
        shape in shape(), to in placement(), from in source_placement(), bytes in 0..3,
    ) {
        match bytes {
            0 => copies::<u8>(&shape, &to, &from),
            1 => copies::<i16>(&shape, &to, &from),
            _ => copies::<u32>(&shape, &to, &from),
        }
    }

    #[test]
    fn copy_of_overlapping_views_reads_the_source_first(overlap in overlap()) {
        let Overlap { shape, starts, strides } = overlap;
        let layouts = strides.map(|strides| Layout::<u16>::new(&shape, &strides).unwrap());
        let words = 64 + layouts[0].span_bytes().max(layouts[1].span_bytes()) as usize / 2;
        let mut memory: Vec<u16> = (0..words).map(|word| (word * 40503) as u16).collect();
        let place = |view: usize, index: &[u32]| {
            let strides = layouts[view].strides();
            let bytes: u64 = index.iter().zip(strides).map(|(&i, s)| u64::from(i) * s).sum();
            starts[view] as usize + bytes as usize / 2
        };
        let mut expected = memory.clone();
        for index in indices(&shape) {
            expected[place(0, &index)] = memory[place(1, &index)];
        }
        let pointer = memory.as_mut_ptr();
        let views = [0, 1].map(|view| {
            // SAFETY: `memory` holds both spans behind their starts and
            // outlives the views.
            unsafe { View::new(pointer.add(starts[view] as usize).cast(), layouts[view]) }
        });
        copy::run(views[0], views[1], &GO_ON).unwrap();
        prop_assert_eq!(memory, expected);
    }

    #[test]
    fn fill_sets_every_element_and_nothing_else(shape in shape(), to in placement(), value: i16) {
        let mut destination = Tensor::<i16>::new(&shape, &to);
        let before = destination.surroundings();
        fill::run(destination.view(), value, &GO_ON).unwrap();
        for index in indices(&shape) {
            prop_assert_eq!(destination.get(&index), value);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }
}

fn whole(memory: &mut [u8], first: usize, shape: &[u32], strides: &[u64]) -> View<u8> {
    let layout = Layout::new(shape, strides).unwrap();
    assert!(first + layout.span_bytes() as usize <= memory.len());
    // SAFETY: the assertion holds the view within `memory`, which the tests
    // keep while they use the view.
    unsafe { View::new(memory.as_mut_ptr().add(first), layout) }
}

#[test]
fn a_copy_that_would_need_too_much_staging_is_refused_untouched() {
    let side = 1u32 << 14;
    let mut memory = vec![7u8; 1 << 28];
    memory[1] = 9;
    let rows = whole(&mut memory, 0, &[side, side], &[u64::from(side), 1]);
    let columns = whole(&mut memory, 0, &[side, side], &[1, u64::from(side)]);
    let refused = copy::run(rows, columns, &GO_ON);
    assert_eq!(refused, Err(KernelError::Staging { bytes: 1 << 28 }));
    assert_eq!(memory[1], 9);
}

#[test]
fn shapes_that_differ_are_refused() {
    let (a, b) = (
        Layout::<u8>::dense(&[2, 3]).unwrap(),
        Layout::<u8>::dense(&[3, 2]).unwrap(),
    );
    assert_eq!(copy::check(&a, &b), Err(ShapeError::Mismatch));
    let c = Layout::<u8>::dense(&[2, 3, 1]).unwrap();
    assert_eq!(copy::check(&a, &c), Err(ShapeError::Mismatch));
}

#[test]
fn a_cancelled_copy_stops() {
    let stop = AtomicBool::new(true);
    let mut memory = vec![0u8; 200];
    memory[100..].fill(1);
    let (to, from) = (
        whole(&mut memory, 0, &[100], &[1]),
        whole(&mut memory, 100, &[100], &[1]),
    );
    assert_eq!(copy::run(to, from, &stop), Err(KernelError::Cancelled));
    assert_eq!(fill::run(to, 5, &stop), Err(KernelError::Cancelled));
    assert_eq!(memory[..100], [0; 100]);
}
