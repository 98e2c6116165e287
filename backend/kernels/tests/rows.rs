// SPDX-License-Identifier: MIT OR Apache-2.0
//! gather and scatter against row-by-row references.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use augur_kernels::{KernelError, Layout, ShapeError, rows};
use common::*;
use proptest::prelude::*;

/// Rows of a table, number of indices, and the shape of a row.
fn shapes() -> impl Strategy<Value = (u32, u32, Vec<u32>)> {
    let row = prop_oneof![
        prop::collection::vec(1..5u32, 0..=5),
        prop::collection::vec(1..60u32, 2),
        prop::collection::vec(1..6000u32, 1),
    ];
    (1..8u32, 1..12u32, row)
}

fn with_rows(count: u32, row: &[u32]) -> Vec<u32> {
    [&[count], row].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gather_copies_the_rows_that_indices_name(
        (length, count, row) in shapes(), to in placement(), from in source_placement(),
        by in source_placement(),
    ) {
        let (shape, table_shape) = (with_rows(count, &row), with_rows(length, &row));
        let mut destination = Tensor::<u16>::new(&shape, &to);
        let mut table = Tensor::<u16>::new(&table_shape, &from);
        let mut indices_of = Tensor::<i32>::with(&[count], &by, |bits| (bits % u64::from(length)) as i32);
        let before = destination.surroundings();
        rows::gather(destination.view(), table.view(), indices_of.view(), &GO_ON).unwrap();
        for index in indices(&shape) {
            let mut at = index.clone();
            at[0] = indices_of.get(&[index[0]]) as u32;
            prop_assert_eq!(destination.get(&index), table.get(&at), "{:?}", index);
        }
        prop_assert_eq!(destination.surroundings(), before);
    }

    #[test]
    fn scatter_copies_to_the_rows_that_indices_name_and_the_last_wins(
        (length, count, row) in shapes(), to in placement(), from in source_placement(),
        by in source_placement(),
    ) {
        let (shape, table_shape) = (with_rows(count, &row), with_rows(length, &row));
        let mut source = Tensor::<u8>::new(&shape, &from);
        let mut table = Tensor::<u8>::new(&table_shape, &to);
        let mut indices_of = Tensor::<i32>::with(&[count], &by, |bits| (bits % u64::from(length)) as i32);
        let before = table.surroundings();
        let mut expected: Vec<u8> = indices(&table_shape).map(|index| table.get(&index)).collect();
        let size = expected.len() / length as usize;
        for (position, row) in indices(&shape).collect::<Vec<_>>().chunks(size).enumerate() {
            let first = indices_of.get(&[position as u32]) as usize * size;
            for (place, index) in expected[first..].iter_mut().zip(row) {
                *place = source.get(index);
            }
        }
        rows::scatter(table.view(), source.view(), indices_of.view(), &GO_ON).unwrap();
        for (index, expected) in indices(&table_shape).zip(expected) {
            prop_assert_eq!(table.get(&index), expected, "{:?}", index);
        }
        prop_assert_eq!(table.surroundings(), before);
    }
}

#[test]
fn an_index_outside_the_table_ends_it_before_that_row() {
    let dense = Placement::dense();
    for bad in [-1, 4, i32::MIN, i32::MAX] {
        let mut table = Tensor::<f32>::with(&[4, 3], &dense, |_| 2.0);
        let mut rows_of = Tensor::<f32>::with(&[2, 3], &dense, |_| 1.0);
        let order = std::cell::Cell::new(0);
        let mut named =
            Tensor::<i32>::with(
                &[2],
                &dense,
                |_| if order.replace(1) == 0 { 3 } else { bad },
            );
        let refused = Err(KernelError::Index {
            position: 1,
            index: bad,
        });
        let before = table.surroundings();
        assert_eq!(
            rows::gather(rows_of.view(), table.view(), named.view(), &GO_ON),
            refused
        );
        assert_eq!((rows_of.get(&[0, 2]), rows_of.get(&[1, 0])), (2.0, 1.0));
        assert_eq!(
            rows::scatter(table.view(), rows_of.view(), named.view(), &GO_ON),
            refused
        );
        assert_eq!((table.get(&[0, 0]), table.get(&[2, 2])), (2.0, 2.0));
        assert_eq!(table.surroundings(), before);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let layout = |shape: &[u32]| Layout::<u8>::dense(shape).unwrap();
    let named = |shape: &[u32]| Layout::<i32>::dense(shape).unwrap();
    let check = |a: &[u32], b: &[u32], c: &[u32]| rows::check(&layout(a), &layout(b), &named(c));
    assert_eq!(check(&[2, 3], &[9, 3], &[2]), Ok(()));
    assert_eq!(check(&[2, 3], &[9, 4], &[2]), Err(ShapeError::Mismatch));
    assert_eq!(check(&[2, 3], &[9, 3, 1], &[2]), Err(ShapeError::Mismatch));
    let number = Err(ShapeError::Extent {
        dimension: "number of rows",
    });
    assert_eq!(check(&[2, 3], &[9, 3], &[3]), number);
    let rank = Err(ShapeError::Rank { rank: 2, needed: 1 });
    assert_eq!(check(&[2, 3], &[9, 3], &[2, 1]), rank);
}
