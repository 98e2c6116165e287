// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking a product of f32 matrices without computing all of it.
//!
//! An entry is right when it differs from the exact product by at most
//! [`TOLERANCE`]` * (|A| |B|)ij`. Some rows are computed in full; all rows are
//! checked by Freivalds' method: for a vector of random signs r, `C r` must
//! equal `A (B r)`.
//!
//! The bound for a row of Freivalds' check: when every entry is within its
//! tolerance e_j, the difference is a sum of ±e_j with random signs, which by
//! Hoeffding's inequality stays below `6 |e|` (Euclidean norm) but for one
//! check in 30 million; and `(|A| |B|)ij <= |a_i| |b_j|` gives
//! `|e| <= TOLERANCE * |a_i| * |B|` (Frobenius norm). Correct f32 products lie
//! far below it, so that a false alarm does not happen.

/// Largest error of an entry, relative to `(|A| |B|)ij`.
pub const TOLERANCE: f64 = 1e-4;
/// Standard deviations of Hoeffding's bound.
pub(super) const DEVIATIONS: f64 = 6.0;

/// Square matrices by rows: `c` is to be `a` times `b`.
#[derive(Clone, Copy, Debug)]
pub struct Product<'matrices> {
    a: &'matrices [f32],
    b: &'matrices [f32],
    c: &'matrices [f32],
    size: usize,
}

/// Where a product is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wrong {
    /// An entry of a row that was computed in full.
    Entry {
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// What the product holds.
        found: f32,
        /// The exact entry, in f64.
        expected: f64,
        /// Largest difference allowed.
        allowed: f64,
    },
    /// A row in Freivalds' check.
    Row {
        /// Row.
        row: usize,
        /// `C r - A (B r)`.
        difference: f64,
        /// Largest magnitude allowed.
        allowed: f64,
    },
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wrong::Entry {
                row,
                column,
                found,
                expected,
                allowed,
            } => write!(
                f,
                "entry ({row}, {column}) is {found}, expected {expected} within {allowed:e}"
            ),
            Wrong::Row {
                row,
                difference,
                allowed,
            } => write!(
                f,
                "row {row} fails Freivalds' check: {difference:e} is not within {allowed:e}"
            ),
        }
    }
}

impl<'matrices> Product<'matrices> {
    /// Takes matrices of `size` by `size`, or `None` when one has another
    /// length.
    pub fn new(
        a: &'matrices [f32],
        b: &'matrices [f32],
        c: &'matrices [f32],
        size: usize,
    ) -> Option<Self> {
        let entries = size.checked_mul(size)?;
        let right = size != 0 && [a, b, c].iter().all(|matrix| matrix.len() == entries);
        right.then_some(Self { a, b, c, size })
    }

    /// Computes row `row` in f64 and compares every entry. Returns the largest
    /// error relative to `(|A| |B|)ij`.
    ///
    /// # Errors
    /// The first wrong entry.
    pub fn check_row(&self, row: usize) -> Result<f64, Wrong> {
        let mut exact = vec![0.0_f64; self.size];
        let mut magnitude = vec![0.0_f64; self.size];
        let rows = self.b.chunks_exact(self.size);
        for (&factor, b_row) in self.row(self.a, row).iter().zip(rows) {
            let factor = f64::from(factor);
            for ((sum, bound), &b) in exact.iter_mut().zip(&mut magnitude).zip(b_row) {
                let term = factor * f64::from(b);
                *sum += term;
                *bound += term.abs();
            }
        }
        let mut largest = 0.0_f64;
        let entries = self
            .row(self.c, row)
            .iter()
            .zip(exact.iter().zip(&magnitude));
        for (column, (&found, (&expected, &bound))) in entries.enumerate() {
            let difference = (f64::from(found) - expected).abs();
            let allowed = TOLERANCE * bound;
            if difference > allowed || difference.is_nan() {
                return Err(Wrong::Entry {
                    row,
                    column,
                    found,
                    expected,
                    allowed,
                });
            }
            if bound > 0.0 {
                largest = largest.max(difference / bound);
            }
        }
        Ok(largest)
    }

    /// Freivalds' check of every row with one vector of random signs.
    ///
    /// # Errors
    /// The first wrong row.
    pub fn check_random_signs(&self, random: &mut fastrand::Rng) -> Result<(), Wrong> {
        let signs: Vec<f64> = (0..self.size)
            .map(|_| if random.bool() { 1.0 } else { -1.0 })
            .collect();
        let combined: Vec<f64> = self.rows(self.b).map(|row| dot(row, &signs)).collect();
        let b_norm = norm(self.b);
        for (row, (a_row, c_row)) in self.rows(self.a).zip(self.rows(self.c)).enumerate() {
            let difference = dot(c_row, &signs) - dot(a_row, &combined);
            let allowed = DEVIATIONS * TOLERANCE * norm(a_row) * b_norm;
            if difference.abs() > allowed || difference.is_nan() {
                return Err(Wrong::Row {
                    row,
                    difference,
                    allowed,
                });
            }
        }
        Ok(())
    }

    fn rows(&self, matrix: &'matrices [f32]) -> impl Iterator<Item = &'matrices [f32]> {
        matrix.chunks_exact(self.size)
    }

    fn row(&self, matrix: &'matrices [f32], row: usize) -> &'matrices [f32] {
        &matrix[row * self.size..][..self.size]
    }
}

fn dot(row: &[f32], vector: &[f64]) -> f64 {
    row.iter()
        .zip(vector)
        .map(|(&entry, factor)| f64::from(entry) * factor)
        .sum()
}

/// Euclidean (for a matrix: Frobenius) norm.
pub(super) fn norm(entries: &[f32]) -> f64 {
    let squares = entries.iter().map(|&entry| f64::from(entry).powi(2));
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 96;

    fn matrices(seed: u64) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut matrix = || -> Vec<f32> {
            (0..SIZE * SIZE)
                .map(|_| random.f32().mul_add(2.0, -1.0))
                .collect()
        };
        let (a, b) = (matrix(), matrix());
        let mut c = vec![0.0; SIZE * SIZE];
        for i in 0..SIZE {
            for k in 0..SIZE {
                for j in 0..SIZE {
                    c[i * SIZE + j] += a[i * SIZE + k] * b[k * SIZE + j];
                }
            }
        }
        (a, b, c)
    }

    fn signs_find_an_error(a: &[f32], b: &[f32], c: &[f32]) -> bool {
        let product = Product::new(a, b, c, SIZE).expect("square");
        let mut random = fastrand::Rng::with_seed(1);
        (0..8).any(|_| product.check_random_signs(&mut random).is_err())
    }

    #[test]
    fn a_correct_product_passes_both_checks() {
        for seed in 0..4 {
            let (a, b, c) = matrices(seed);
            let product = Product::new(&a, &b, &c, SIZE).expect("square");
            for row in 0..SIZE {
                assert!(product.check_row(row).expect("correct") < 1e-6);
            }
            assert!(!signs_find_an_error(&a, &b, &c));
        }
    }

    #[test]
    fn full_rows_find_an_error_just_above_the_tolerance() {
        let (a, b, mut c) = matrices(7);
        let magnitude: f64 = (0..SIZE)
            .map(|k| f64::from((a[5 * SIZE + k] * b[k * SIZE + 9]).abs()))
            .sum();
        c[5 * SIZE + 9] += (1.1 * TOLERANCE * magnitude) as f32;
        let product = Product::new(&a, &b, &c, SIZE).expect("square");
        assert!(matches!(
            product.check_row(5),
            Err(Wrong::Entry {
                row: 5,
                column: 9,
                ..
            })
        ));
        assert!(product.check_row(4).is_ok());
    }

    #[test]
    fn random_signs_find_a_wrong_entry_a_missing_term_and_exchanged_columns() {
        let (a, b, good) = matrices(8);
        let mut c = good.clone();
        c[17 * SIZE + 3] += 1.0;
        assert!(signs_find_an_error(&a, &b, &c));

        let mut c = good.clone();
        for (j, entry) in c[4 * SIZE..5 * SIZE].iter_mut().enumerate() {
            *entry -= a[4 * SIZE + 11] * b[11 * SIZE + j];
        }
        assert!(signs_find_an_error(&a, &b, &c));

        let mut c = good.clone();
        for row in c.chunks_exact_mut(SIZE) {
            row.swap(0, 1);
        }
        assert!(signs_find_an_error(&a, &b, &c));

        let mut c = good;
        c[0] = f32::NAN;
        assert!(signs_find_an_error(&a, &b, &c));
    }

    #[test]
    fn a_two_by_two_product_by_hand() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let product = |c: &[f32]| {
            let product = Product::new(&a, &b, c, 2).expect("square");
            product.check_row(0).is_ok() && product.check_row(1).is_ok()
        };
        assert!(product(&[19.0, 22.0, 43.0, 50.0]));
        assert!(!product(&[19.0, 22.0, 43.0, 50.1]));
    }
}
