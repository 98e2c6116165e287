// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the scorer sees of a candidate, as numbers of about unit size.
//!
//! They are kept in eighths of a bit each, because tens of thousands of
//! candidates wait for their labels; the mixer and the network see the rounded
//! numbers both when they score and when they learn.

/// How many there are.
pub const FEATURES: usize = 41;
/// Units of the stored numbers: ±8 in steps of 1/16.
const UNIT: f32 = 16.0;

/// The features of one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features([i8; FEATURES]);

impl Features {
    /// Rounds `value(index)` to what is kept.
    pub fn from_fn(mut value: impl FnMut(usize) -> f32) -> Self {
        Self(std::array::from_fn(|index| {
            (value(index) * UNIT).round() as i8
        }))
    }

    /// The number at `index`.
    pub fn get(&self, index: usize) -> f32 {
        f32::from(self.0[index]) / UNIT
    }

    /// All numbers.
    #[inline(always)]
    pub fn values(&self) -> [f32; FEATURES] {
        self.0.map(|kept| f32::from(kept) / UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_to_a_thirty_second_and_within_eight() {
        let features = Features::from_fn(|index| index as f32 * 0.37 - 7.0);
        assert!((features.get(3) - (3.0 * 0.37 - 7.0)).abs() <= 1.0 / 32.0);
        assert_eq!(Features::from_fn(|_| 1e9).get(0), 127.0 / 16.0);
        assert_eq!(Features::from_fn(|_| f32::NAN).get(0), 0.0);
    }
}
