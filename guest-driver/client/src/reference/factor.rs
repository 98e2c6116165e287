// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking a Cholesky factor of an f32 matrix without computing one.
//!
//! The factor is right when it is lower triangular and each entry of `L Lᵀ`
//! differs from the matrix by at most [`TOLERANCE`]` * (|L| |L|ᵀ)ij`, which is
//! checked as a product is ([`super::product`]): some rows in full, all rows with
//! a vector of random signs, `A r` against `L (Lᵀ r)`, within `6 |e|` where
//! `|e| <= TOLERANCE * |l_i| * |L|`.

pub use super::product::TOLERANCE;
use super::product::{DEVIATIONS, Wrong, norm};

/// Square matrices by rows: `l` is to be the factor of the symmetric matrix whose
/// lower triangle `a` holds.
#[derive(Clone, Copy, Debug)]
pub struct Factor<'matrices> {
    a: &'matrices [f32],
    l: &'matrices [f32],
    size: usize,
}

impl<'matrices> Factor<'matrices> {
    /// Takes matrices of `size` by `size`, or `None` when one has another length.
    pub fn new(a: &'matrices [f32], l: &'matrices [f32], size: usize) -> Option<Self> {
        let entries = size.checked_mul(size)?;
        (size != 0 && a.len() == entries && l.len() == entries).then_some(Self { a, l, size })
    }

    /// Computes a row up to its diagonal in f64 and compares every entry. Returns
    /// the largest error relative to `(|L| |L|ᵀ)ij`.
    ///
    /// # Errors
    /// The first wrong entry.
    pub fn check_row(&self, row: usize) -> Result<f64, Wrong> {
        let (a, l) = (self.row(self.a, row), self.row(self.l, row));
        let mut largest = 0.0_f64;
        for (column, &found) in l.iter().enumerate() {
            let wrong = |expected, allowed| Wrong::Entry {
                row,
                column,
                found,
                expected,
                allowed,
            };
            if column > row {
                if found != 0.0 {
                    return Err(wrong(0.0, 0.0));
                }
                continue;
            }
            let other = &self.row(self.l, column)[..=column];
            let terms = l.iter().zip(other);
            let (mut sum, mut magnitude) = (0.0_f64, 0.0_f64);
            for (&one, &other) in terms {
                let term = f64::from(one) * f64::from(other);
                sum += term;
                magnitude += term.abs();
            }
            let expected = f64::from(a[column]);
            let (difference, allowed) = ((sum - expected).abs(), TOLERANCE * magnitude);
            if difference > allowed || difference.is_nan() {
                return Err(wrong(expected, allowed));
            }
            if magnitude > 0.0 {
                largest = largest.max(difference / magnitude);
            }
        }
        Ok(largest)
    }

    /// Checks every row with one vector of random signs.
    ///
    /// # Errors
    /// The first wrong row.
    pub fn check_random_signs(&self, random: &mut fastrand::Rng) -> Result<(), Wrong> {
        let signs: Vec<f64> = (0..self.size)
            .map(|_| if random.bool() { 1.0 } else { -1.0 })
            .collect();
        let mut of_matrix = vec![0.0_f64; self.size];
        let mut combined = vec![0.0_f64; self.size];
        for row in 0..self.size {
            // The matrix is symmetric: an entry counts for its row and its column.
            let (before, sign) = (&self.row(self.a, row)[..row], signs[row]);
            let mut sum = f64::from(self.row(self.a, row)[row]) * sign;
            for (column, &entry) in before.iter().enumerate() {
                sum += f64::from(entry) * signs[column];
                of_matrix[column] += f64::from(entry) * sign;
            }
            of_matrix[row] += sum;
            for (sum, &entry) in combined.iter_mut().zip(self.row(self.l, row)) {
                *sum += f64::from(entry) * sign;
            }
        }
        let whole = norm(self.l);
        for (row, expected) in of_matrix.iter().enumerate() {
            let l = self.row(self.l, row);
            let product: f64 = l
                .iter()
                .zip(&combined)
                .map(|(&entry, factor)| f64::from(entry) * factor)
                .sum();
            let difference = product - expected;
            let allowed = DEVIATIONS * TOLERANCE * norm(l) * whole;
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

    fn row(&self, matrix: &'matrices [f32], row: usize) -> &'matrices [f32] {
        &matrix[row * self.size..][..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    /// A matrix and its factor, the textbook's way.
    fn factored(seed: u64) -> (Vec<f32>, Vec<f32>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut a = vec![0.0_f32; SIZE * SIZE];
        for row in 0..SIZE {
            for column in 0..=row {
                a[row * SIZE + column] = random.f32().mul_add(2.0, -1.0);
            }
            a[row * SIZE + row] += 16.0;
        }
        let mut l = vec![0.0_f32; SIZE * SIZE];
        for row in 0..SIZE {
            for column in 0..=row {
                let known: f64 = (0..column)
                    .map(|k| f64::from(l[row * SIZE + k]) * f64::from(l[column * SIZE + k]))
                    .sum();
                let rest = f64::from(a[row * SIZE + column]) - known;
                l[row * SIZE + column] = if row == column {
                    rest.sqrt() as f32
                } else {
                    (rest / f64::from(l[column * SIZE + column])) as f32
                };
            }
        }
        (a, l)
    }

    fn passes(a: &[f32], l: &[f32]) -> (bool, bool) {
        let factor = Factor::new(a, l, SIZE).expect("square");
        let mut random = fastrand::Rng::with_seed(3);
        (
            (0..SIZE).all(|row| factor.check_row(row).is_ok()),
            (0..8).all(|_| factor.check_random_signs(&mut random).is_ok()),
        )
    }

    #[test]
    fn a_factor_passes_and_the_upper_triangle_of_the_matrix_does_not_matter() {
        let (mut a, l) = factored(1);
        assert_eq!(passes(&a, &l), (true, true));
        a[SIZE - 1] = f32::NAN;
        assert_eq!(passes(&a, &l), (true, true));
    }

    #[test]
    fn a_missed_update_and_an_entry_above_the_diagonal_are_found() {
        let (a, good) = factored(2);
        let mut l = good.clone();
        l[40 * SIZE + 20] += 0.05;
        assert_eq!(passes(&a, &l), (false, false));
        let mut l = good.clone();
        l[3 * SIZE + 50] = 0.5;
        assert_eq!(passes(&a, &l), (false, false));
        let mut l = good;
        l[0] = f32::NAN;
        assert_eq!(passes(&a, &l), (false, false));
    }
}
