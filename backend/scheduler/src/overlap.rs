// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether two regions share a byte, and whether one holds the other.
//!
//! Exact to byte and stride.  Runs and rectangles of one pitch (tiles of a
//! row-major matrix) are decided by a few comparisons; everything else by the
//! bounded linear form of [`crate::diophantine`].

use crate::diophantine::{MAX_TERMS, Reach, Term, reach};
use crate::region::Region;

/// Whether the regions share a byte.
///
/// Exact, but for strides chosen to exhaust the search: three or more that do
/// not nest.  Those count as shared, so an ordering is never missed.
#[must_use]
#[inline]
pub fn overlaps(a: &Region, b: &Region) -> bool {
    a.start() < b.end()
        && b.start() < a.end()
        && (a.is_contiguous() && b.is_contiguous() || share(a, b))
}

/// Whether regions whose hulls meet, and which are not both runs, share a byte.
#[inline(never)]
fn share(a: &Region, b: &Region) -> bool {
    // Some byte of a is at distance d from the start of a run of b, for d in
    // the window: b.start + Σb - a.start - Σa in -(b.run - 1) ..= a.run - 1.
    let ahead = signed(b.start()) - signed(a.start());
    let low = 1 - signed(b.run_bytes()) - ahead;
    let high = signed(a.run_bytes()) - 1 - ahead;
    match (a.dims(), b.dims()) {
        ([dim], []) => step_within(dim.stride, -(signed(dim.count) - 1), 0, low, high),
        ([], [dim]) => step_within(dim.stride, 0, signed(dim.count) - 1, low, high),
        ([mine], [theirs]) if mine.stride == theirs.stride => step_within(
            mine.stride,
            -(signed(mine.count) - 1),
            signed(theirs.count) - 1,
            low,
            high,
        ),
        _ => general(a, b, low, high),
    }
}

/// Whether a multiple of `stride` by a coefficient in `least ..= most` is in
/// `low ..= high`.
fn step_within(stride: u64, least: i64, most: i64, low: i64, high: i64) -> bool {
    let stride = signed(stride);
    let coefficient = high.div_euclid(stride).min(most);
    coefficient >= least && coefficient * stride >= low
}

#[inline(never)]
fn general(a: &Region, b: &Region, low: i64, high: i64) -> bool {
    let mut terms = [Term::default(); MAX_TERMS];
    let mine = a.dims().iter().map(|dim| Term {
        stride: i128::from(dim.stride),
        least: 1 - i128::from(dim.count),
        most: 0,
    });
    let theirs = b.dims().iter().map(|dim| Term {
        stride: i128::from(dim.stride),
        least: 0,
        most: i128::from(dim.count) - 1,
    });
    let mut used = 0;
    for (slot, term) in terms.iter_mut().zip(mine.chain(theirs)) {
        *slot = term;
        used += 1;
    }
    reach(&mut terms[..used], low.into(), high.into()) != Reach::Never
}

/// Whether every byte of `inner` is in `outer`.  May say no where the truth is
/// yes (strides that are not each other's); never the reverse.
#[must_use]
#[inline]
pub fn covers(outer: &Region, inner: &Region) -> bool {
    outer.start() <= inner.start()
        && inner.end() <= outer.end()
        && (outer.is_contiguous() || rows_cover(outer, inner))
}

/// The same for an `outer` that is no run.
#[inline(never)]
fn rows_cover(outer: &Region, inner: &Region) -> bool {
    let Some((pitch, finer)) = outer.dims().split_first() else {
        return true;
    };
    if !finer.is_empty() {
        return outer == inner;
    }
    // Rows of `outer`: every run of `inner` must lie inside one of them.
    let row_of = |at: u64| (at - outer.start()) / pitch.stride;
    match inner.dims() {
        [] => run_in_row(outer, pitch.stride, inner.start(), inner.run_bytes()),
        [dim] if dim.stride % pitch.stride == 0 => {
            run_in_row(outer, pitch.stride, inner.start(), inner.run_bytes())
                && row_of(inner.end() - 1) < pitch.count
        }
        _ if inner.runs() <= 64 => {
            let mut inside = true;
            inner.for_each_run(|start, length| {
                inside &= run_in_row(outer, pitch.stride, start, length);
            });
            inside
        }
        _ => false,
    }
}

/// Whether `start .. start + length`, inside the hull of `outer`, lies in one
/// row of it.
fn run_in_row(outer: &Region, pitch: u64, start: u64, length: u64) -> bool {
    let column = (start - outer.start()) % pitch;
    column + length <= outer.run_bytes()
}

/// Addresses and spans are below `ADDRESS_LIMIT`, so they are the same number
/// as `i64`.
fn signed(value: u64) -> i64 {
    value as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bytes(region: &Region) -> BTreeSet<u64> {
        let mut all = BTreeSet::new();
        region.for_each_run(|start, length| all.extend(start..start + length));
        all
    }

    /// Bytes of the view itself, before anything is canonical.
    fn view_bytes(base: u64, element: u64, shape: &[u64], strides: &[i64]) -> Vec<u64> {
        let mut starts = vec![base as i64];
        for (&count, &stride) in shape.iter().zip(strides) {
            starts = starts
                .iter()
                .flat_map(|&start| (0..count as i64).map(move |step| start + step * stride))
                .collect();
        }
        starts
            .iter()
            .flat_map(|&start| (0..element).map(move |byte| start as u64 + byte))
            .collect()
    }

    type View = (u64, u64, Vec<u64>, Vec<i64>);

    fn view() -> impl Strategy<Value = View> {
        (0usize..5).prop_flat_map(|rank| {
            (
                2000u64..2300,
                prop::sample::select(vec![1u64, 2, 4, 8]),
                prop::collection::vec(1u64..5, rank),
                prop::collection::vec(
                    prop_oneof![
                        -40i64..41,
                        prop::sample::select(vec![0i64, 4, 8, 16, 32, 64, 100, 128, -16]),
                    ],
                    rank,
                ),
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_region_has_exactly_the_bytes_of_its_view((base, element, shape, strides) in view()) {
            let region = Region::read(base, element, &shape, &strides).unwrap();
            let expected: BTreeSet<u64> =
                view_bytes(base, element, &shape, &strides).into_iter().collect();
            prop_assert_eq!(region.start(), *expected.first().unwrap());
            prop_assert_eq!(region.end(), *expected.last().unwrap() + 1);
            prop_assert_eq!(bytes(&region), expected);
        }

        #[test]
        fn a_written_view_is_refused_exactly_when_elements_share_bytes(
            (base, element, shape, strides) in view(),
        ) {
            let all = view_bytes(base, element, &shape, &strides);
            let distinct: BTreeSet<u64> = all.iter().copied().collect();
            let written = Region::written(base, element, &shape, &strides);
            prop_assert_eq!(written.is_ok(), distinct.len() == all.len());
        }

        #[test]
        fn overlap_is_exact_to_the_byte(first in view(), second in view()) {
            let a = Region::read(first.0, first.1, &first.2, &first.3).unwrap();
            let b = Region::read(second.0, second.1, &second.2, &second.3).unwrap();
            let expected = !bytes(&a).is_disjoint(&bytes(&b));
            prop_assert_eq!(overlaps(&a, &b), expected);
            prop_assert_eq!(overlaps(&b, &a), expected);
        }

        #[test]
        fn covers_never_claims_a_byte_too_many(first in view(), second in view()) {
            let a = Region::read(first.0, first.1, &first.2, &first.3).unwrap();
            let b = Region::read(second.0, second.1, &second.2, &second.3).unwrap();
            if covers(&a, &b) {
                prop_assert!(bytes(&b).is_subset(&bytes(&a)));
            }
            prop_assert!(covers(&a, &a));
        }
    }

    #[test]
    fn tiles_of_one_matrix_touch_only_when_they_share_elements() {
        let tile = |row: u64, column: u64| {
            Region::written(row * 4096 + column * 4, 4, &[64, 64], &[4096, 4]).unwrap()
        };
        assert!(!overlaps(&tile(0, 0), &tile(0, 64)));
        assert!(!overlaps(&tile(0, 0), &tile(64, 0)));
        assert!(overlaps(&tile(0, 0), &tile(63, 63)));
        assert!(covers(&tile(0, 0), &tile(0, 0)));
    }

    #[test]
    fn hostile_views_get_a_typed_error() {
        use crate::region::{ADDRESS_LIMIT, RegionError};
        let read = |base, element, shape: &[u64], strides: &[i64]| {
            Region::read(base, element, shape, strides).unwrap_err()
        };
        assert_eq!(read(0, 4, &[0], &[4]), RegionError::Empty);
        assert_eq!(read(0, 0, &[1], &[4]), RegionError::Empty);
        assert_eq!(read(u64::MAX, 4, &[], &[]), RegionError::OutOfRange);
        assert_eq!(read(ADDRESS_LIMIT, 1, &[], &[]), RegionError::OutOfRange);
        assert_eq!(read(8, 4, &[4], &[-4]), RegionError::OutOfRange);
        assert_eq!(
            read(0, 4, &[u64::MAX, 2], &[i64::MAX, 4]),
            RegionError::OutOfRange
        );
        assert_eq!(
            read(0, 4, &[3, 3], &[i64::MIN, i64::MIN]),
            RegionError::OutOfRange
        );
        assert_eq!(
            read(0, 4, &[1; 7], &[1; 7]),
            RegionError::TooManyDimensions(7)
        );
        assert_eq!(
            read(0, 4, &[1, 1], &[1]),
            RegionError::RankMismatch {
                shape: 2,
                strides: 1
            }
        );
        assert_eq!(
            Region::written(0, 4, &[4], &[2]).unwrap_err(),
            RegionError::OverlappingWrite
        );
    }
}
