// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a bounded sum of multiples can fall into a window.
//!
//! Two strided regions share a byte exactly when a linear form with bounded
//! integer coefficients reaches a small window, so this is the arithmetic under
//! the overlap test.  It knows no regions and no addresses.
//!
//! One and two terms are solved in closed form (the two-term case by the
//! Euclid-like search for the first multiple in a residue window); more terms
//! branch over the longest stride, cut by the range the rest can reach and by
//! the greatest common divisor of the rest.  Layouts of real tensors are nested,
//! where each level leaves at most a few candidates.

/// One term: any multiple of `stride` from `least` to `most`, inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Length of one step; positive.
    pub stride: i128,
    /// Smallest coefficient.
    pub least: i128,
    /// Largest coefficient, at least `least`.
    pub most: i128,
}

/// The answer of [`reach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Some choice of coefficients falls into the window.
    Some,
    /// None does.
    Never,
    /// The search met its bound first.  Only adversarial strides get here:
    /// three or more, none nested in another.
    Unknown,
}

/// Branches one search may take.
const BUDGET: u32 = 1 << 14;

/// Most terms of one search: the dimensions of two regions.
pub const MAX_TERMS: usize = 12;

/// Whether some coefficients within their bounds give a sum inside
/// `low ..= high`.  Reorders and overwrites `terms`; at most [`MAX_TERMS`].
pub fn reach(terms: &mut [Term], low: i128, high: i128) -> Reach {
    let mut shift = 0;
    for term in terms.iter_mut() {
        shift += term.least * term.stride;
        term.most -= term.least;
        term.least = 0;
    }
    let (low, high) = (low - shift, high - shift);
    terms.sort_unstable_by_key(|term| std::cmp::Reverse(term.stride));
    // Equal strides are one term.
    let mut steps = [Step::default(); MAX_TERMS];
    let mut used = 0usize;
    for term in terms.iter().filter(|term| term.most > 0) {
        match used.checked_sub(1).and_then(|last| steps.get_mut(last)) {
            Some(last) if last.stride == term.stride => last.count += term.most,
            _ => {
                if let Some(slot) = steps.get_mut(used) {
                    *slot = Step {
                        stride: term.stride,
                        count: term.most,
                        span: 0,
                        divisor: 0,
                    };
                }
                used += 1;
            }
        }
    }
    let Some(steps) = steps.get_mut(..used) else {
        return Reach::Unknown;
    };
    let (mut span, mut divisor) = (0, 0);
    for step in steps.iter_mut().rev() {
        span += step.stride * step.count;
        divisor = gcd(step.stride, divisor);
        step.span = span;
        step.divisor = divisor;
    }
    let mut budget = BUDGET;
    search(steps, low, high, &mut budget)
}

/// A term whose coefficients start at zero, with what it and all shorter terms
/// together can reach.
#[derive(Clone, Copy, Default)]
struct Step {
    stride: i128,
    count: i128,
    span: i128,
    divisor: i128,
}

fn search(steps: &[Step], low: i128, high: i128, budget: &mut u32) -> Reach {
    if low <= 0 && high >= 0 {
        return Reach::Some;
    }
    let Some((first, rest)) = steps.split_first() else {
        return Reach::Never;
    };
    if high < 0 || low > first.span {
        return Reach::Never;
    }
    if high >= first.span {
        return Reach::Some;
    }
    if high - high.rem_euclid(first.divisor) < low {
        return Reach::Never;
    }
    let Some(second) = rest.first() else {
        // A multiple lies in the window, and the window inside the span.
        return Reach::Some;
    };
    let from = ceil_div(low - second.span, first.stride).max(0);
    let to = high.div_euclid(first.stride).min(first.count);
    if rest.len() == 1 {
        return two_terms(first, second, from, to, low, high);
    }
    let mut answer = Reach::Never;
    let mut coefficient = from;
    while coefficient <= to {
        if *budget == 0 {
            return Reach::Unknown;
        }
        *budget -= 1;
        let taken = coefficient * first.stride;
        match search(rest, low - taken, high - taken, budget) {
            Reach::Some => return Reach::Some,
            Reach::Unknown => answer = Reach::Unknown,
            Reach::Never => {}
        }
        coefficient += 1;
    }
    answer
}

/// Whether `x · first + y · second` is in the window for some
/// `from <= x <= to` and `0 <= y <= second.count`, where every such `x` leaves
/// a window that meets `0 ..= second.span`.
fn two_terms(first: &Step, second: &Step, from: i128, to: i128, low: i128, high: i128) -> Reach {
    if from > to {
        return Reach::Never;
    }
    let width = high - low;
    if width + 1 >= second.stride {
        return Reach::Some;
    }
    // Windows that hold an end of the second term's span are hits.  They can
    // only be the first or the last ones.
    for x in [from, to] {
        let (low, high) = (low - x * first.stride, high - x * first.stride);
        if low <= 0 || high >= second.span {
            return Reach::Some;
        }
    }
    // In between the span does not bind: some multiple of `second` is in the
    // window when `high - x · first`, modulo `second`, is at most `width`.
    let modulus = second.stride;
    let start = (high - from * first.stride).rem_euclid(modulus);
    if start <= width {
        return Reach::Some;
    }
    let step = (-first.stride).rem_euclid(modulus);
    let hit = first_in_window(step, modulus, modulus - start, modulus - start + width);
    match hit {
        Some(steps) if steps <= to - from => Reach::Some,
        _ => Reach::Never,
    }
}

/// The smallest `n >= 0` with `low <= n · step mod modulus <= high`, where
/// `0 < low <= high < modulus` and `0 <= step < modulus`.
fn first_in_window(step: i128, modulus: i128, low: i128, high: i128) -> Option<i128> {
    if step == 0 {
        return None;
    }
    let first = ceil_div(low, step);
    if first * step <= high {
        return Some(first);
    }
    // No multiple inside before the first wrap.  n·step - wraps·modulus in the
    // window means wraps·modulus, modulo step, is in the negated window.
    let wraps = first_in_window(
        modulus.rem_euclid(step),
        step,
        (-high).rem_euclid(step),
        (-low).rem_euclid(step),
    )?;
    Some(ceil_div(low + wraps * modulus, step))
}

fn ceil_div(dividend: i128, divisor: i128) -> i128 {
    -(-dividend).div_euclid(divisor)
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(terms: &[Term], low: i128, high: i128) -> bool {
        let Some((first, rest)) = terms.split_first() else {
            return low <= 0 && 0 <= high;
        };
        (first.least..=first.most).any(|coefficient| {
            let taken = coefficient * first.stride;
            brute(rest, low - taken, high - taken)
        })
    }

    fn term() -> impl Strategy<Value = Term> {
        (1i128..40, -6i128..7, 0i128..9).prop_map(|(stride, least, count)| Term {
            stride,
            least,
            most: least + count,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_enumeration(
            terms in prop::collection::vec(term(), 0..5),
            low in -300i128..300,
            width in 0i128..12,
        ) {
            let expected = brute(&terms, low, low + width);
            let mut terms = terms;
            let answer = reach(&mut terms, low, low + width);
            prop_assert_eq!(answer, if expected { Reach::Some } else { Reach::Never });
        }
    }

    #[test]
    fn large_coprime_strides_are_decided_without_enumeration() {
        let terms = [
            Term {
                stride: 1_000_003,
                least: 0,
                most: 1_000_000_000,
            },
            Term {
                stride: 1_000_033,
                least: -1_000_000_000,
                most: 0,
            },
        ];
        // 1 is reachable: the strides are coprime and the bounds are wide.
        assert_eq!(reach(&mut terms.clone(), 1, 1), Reach::Some);
        let even = [
            Term {
                stride: 2_000_006,
                least: 0,
                most: 1_000_000_000,
            },
            Term {
                stride: 2_000_066,
                least: -1_000_000_000,
                most: 0,
            },
        ];
        assert_eq!(reach(&mut even.clone(), 1, 1), Reach::Never);
    }

    #[test]
    fn an_adversarial_search_stops_at_its_bound() {
        let mut terms: Vec<Term> = [999_999_937i128, 999_999_893, 999_999_883, 999_999_797]
            .iter()
            .map(|&stride| Term {
                stride,
                least: -1_000_000,
                most: 1_000_000,
            })
            .collect();
        // Whatever the answer, it comes back.
        let _ = reach(&mut terms, 1, 1);
    }
}
