// SPDX-License-Identifier: MIT OR Apache-2.0
//! Durations and what is said of them.

use std::time::Instant;

use serde::Serialize;

/// Median and tail of durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of the samples took at most this long.
    pub median_ns: u64,
    /// 99 of 100 samples took at most this long.
    pub p99_ns: u64,
}

impl Quantiles {
    /// Quantiles of samples; zeros if there are none.
    pub fn of(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let at = |numerator: usize| {
            let index = (samples.len() * numerator).div_ceil(100).saturating_sub(1);
            samples.get(index).copied().unwrap_or(0)
        };
        Self {
            median_ns: at(50),
            p99_ns: at(99),
        }
    }
}

/// What `work` returns, and how long it took in nanoseconds.
///
/// # Errors
/// What `work` failed with.
pub fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, u64), E> {
    let began = Instant::now();
    let result = work()?;
    Ok((
        result,
        u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let hundred = Quantiles::of((1..=100).rev().collect());
        assert_eq!((hundred.median_ns, hundred.p99_ns), (50, 99));
        let one = Quantiles::of(vec![7]);
        assert_eq!((one.median_ns, one.p99_ns), (7, 7));
        let none = Quantiles::of(Vec::new());
        assert_eq!((none.median_ns, none.p99_ns), (0, 0));
    }
}
