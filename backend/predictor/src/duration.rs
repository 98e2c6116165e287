// SPDX-License-Identifier: MIT OR Apache-2.0
//! A histogram of durations with bounded size: buckets of one eighth of an
//! octave. It never reads a clock.

/// Buckets: 8 for each power of two up to 2^40 ns.
const BUCKETS: usize = 8 * 40;

/// Durations, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Durations {
    counts: Vec<u64>,
    total: u64,
}

impl Durations {
    /// None recorded.
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    /// Records one.
    pub(crate) fn record(&mut self, nanos: u64) {
        let bucket = ((nanos.max(1) as f64).log2() * 8.0) as usize;
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The duration that a share `quantile` of those recorded does not exceed,
    /// to 9 %; `None` if nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let wanted = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut sum = 0;
        let bucket = self.counts.iter().position(|&count| {
            sum += count;
            sum >= wanted
        })?;
        Some(((bucket + 1) as f64 / 8.0).exp2() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_tenth() {
        let mut durations = Durations::new();
        assert_eq!(durations.quantile(0.5), None);
        (1..=1000).for_each(|nanos| durations.record(nanos * 100));
        for (quantile, expected) in [(0.5, 50_000.0), (0.99, 99_000.0)] {
            let found = durations.quantile(quantile).unwrap() as f64;
            assert!((found / expected - 1.0).abs() < 0.1, "{found} {expected}");
        }
    }
}
