// SPDX-License-Identifier: MIT OR Apache-2.0
//! eˣ for x ≤ 0 in a form that compilers vectorise.

/// Below this the result is less than the smallest normal number, and zero.
const SMALLEST: f32 = -87.336_54;

/// eˣ for x ≤ 0, with a relative error of at most 4·2⁻²⁴; zero where that is
/// below the normal numbers. A NaN stays one; the result for x > 0 is
/// unspecified.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2 (ln 2 in two parts, Cody and Waite), eʳ
/// by its Taylor series up to r⁷ (the rest is below 2⁻²⁷), times 2ⁿ.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.max(SMALLEST) * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut series = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        series = series * r + coefficient;
    }
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    let power = f32::from_bits(exponent << 23);
    if x < SMALLEST { 0.0 } else { series * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_is_within_the_error() {
        let mut worst = 0.0f64;
        // Every 37th float from -0 to beyond the end.
        for bits in ((-0.0f32).to_bits()..(-90.0f32).to_bits()).step_by(37) {
            let x = f32::from_bits(bits);
            let (value, exact) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            if exact < f64::from(f32::MIN_POSITIVE) {
                assert!(value <= 1.000_001 * f64::from(f32::MIN_POSITIVE), "{x}");
            } else {
                worst = worst.max(((value - exact) / exact).abs());
            }
        }
        assert!(worst <= 4.0 * 2f64.powi(-24), "{worst}");
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), 0.0);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }
}
