// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leap (Al Maruf and Chowdhury, "Effectively Prefetching Remote Memory with
//! Leap", ATC '20): the majority delta of the recent past.
//!
//! Boyer-Moore votes on the last H/4 deltas, then on twice as many up to H. A
//! majority needs more than half of the window. With a trend Δ the pages
//! p + iΔ are wanted; without one, the aligned cluster around p.

use augur_memory::PageNumber;

use super::{distance, offset_by};
use crate::table::Table;
use crate::{Observation, Prefetcher, Residency};

/// Deltas remembered for a stream (H).
const HISTORY: usize = 32;
/// The first window that is searched for a majority: H / 4.
const FIRST_WINDOW: usize = HISTORY / 4;

/// The recent deltas of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    deltas: [i64; HISTORY],
    /// Deltas ever recorded; the newest is at `(count - 1) % HISTORY`.
    count: usize,
    last: Option<PageNumber>,
}

impl History {
    fn record(&mut self, page: PageNumber) {
        if let Some(last) = self.last {
            self.deltas[self.count % HISTORY] = distance(last, page);
            self.count += 1;
        }
        self.last = Some(page);
    }

    /// The newest `window` deltas.
    fn newest(&self, window: usize) -> impl Iterator<Item = i64> + '_ {
        (1..=window).map(|back| self.deltas[(self.count - back) % HISTORY])
    }

    /// The delta that makes up more than half of a window, the smallest
    /// window first.
    fn trend(&self) -> Option<i64> {
        let known = self.count.min(HISTORY);
        let mut window = FIRST_WINDOW;
        while window <= HISTORY {
            let window_known = window.min(known);
            let mut candidate = 0;
            let mut votes = 0_i64;
            for delta in self.newest(window_known) {
                if votes == 0 {
                    candidate = delta;
                }
                votes += if delta == candidate { 1 } else { -1 };
            }
            let support = self
                .newest(window_known)
                .filter(|&d| d == candidate)
                .count();
            if support > window_known / 2 && candidate != 0 {
                return Some(candidate);
            }
            if window >= known {
                return None;
            }
            window *= 2;
        }
        None
    }
}

/// Leap.
#[derive(Debug)]
pub struct Leap {
    degree: u32,
    streams: Table<History>,
}

impl Leap {
    /// Leap with a prefetch window of `degree` pages.
    pub fn new(degree: u32) -> Self {
        Self {
            degree: degree.max(1),
            streams: Table::new(10),
        }
    }
}

impl Prefetcher for Leap {
    fn observe(
        &mut self,
        observation: &Observation,
        _residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let page = observation.page;
        let history = self.streams.entry(observation.stream.key());
        history.record(page);
        match history.trend() {
            Some(delta) => wanted.extend(
                (1..=i64::from(self.degree))
                    .map_while(|i| delta.checked_mul(i).and_then(|by| offset_by(page, by))),
            ),
            None => {
                let size = u64::from(self.degree);
                let first = page.0 / size * size;
                wanted.extend(
                    (first..first.saturating_add(size))
                        .filter(|&p| p != page.0)
                        .map(PageNumber),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::asked;

    #[test]
    fn a_majority_of_deltas_is_followed_through_noise() {
        let mut leap = Leap::new(3);
        // Deltas: 7 7 7 7 991 -984 7 7 – six of eight are 7.
        let pages = [0, 7, 14, 21, 28, 1019, 35, 42, 49];
        assert_eq!(
            asked(&mut leap, &pages)[..].last_chunk::<3>(),
            Some(&[56, 63, 70])
        );
    }

    #[test]
    fn half_of_the_window_is_no_majority() {
        let mut history = History::default();
        for page in [0, 5, 105, 110, 310, 315, 615, 620, 1620] {
            history.record(PageNumber(page));
        }
        assert_eq!(history.trend(), None);
    }

    #[test]
    fn without_a_trend_the_aligned_cluster_is_wanted() {
        assert_eq!(asked(&mut Leap::new(8), &[13]), [8, 9, 10, 11, 12, 14, 15]);
    }
}
