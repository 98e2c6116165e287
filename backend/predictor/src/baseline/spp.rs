// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signature path prefetching (Kim et al., "Path Confidence based Lookahead
//! Prefetching", MICRO '16), with 4 KiB pages in the place of cache lines and
//! 2 MiB zones in the place of pages.
//!
//! A zone's recent deltas are folded into a 12-bit signature
//! `(signature << 3) ^ delta`. The pattern table maps a signature to four
//! deltas with 4-bit counters; lookahead follows the best one while the
//! product of confidences stays above the threshold. Device addresses go on
//! beyond a zone, so paths may cross it, and a zone entered from its
//! neighbour inherits that one's signature.

use augur_memory::PageNumber;

use super::{distance, offset_by};
use crate::table::{Table, mix};
use crate::{Observation, Prefetcher, Residency, Stream};

/// log2 of the pages of a zone: 2 MiB.
const ZONE_SHIFT: u32 = 9;
const PATTERNS: usize = 512;
const WAYS: usize = 4;
const COUNTER_MAX: u8 = 15;
/// A path is followed while its confidence is at least this.
const THRESHOLD: f32 = 0.25;
/// Steps of a path, also where everything on it is visible.
const MAX_STEPS: usize = 64;
/// Usefulness counters (C_total and C_useful) are 10 bits wide.
const USEFUL_MAX: u32 = 1023;

fn extend(signature: u16, delta: i64) -> u16 {
    // Seven bits of magnitude and sign, as in the paper.
    let folded = (delta.unsigned_abs() & 0x3f) as u16 | (u16::from(delta < 0) << 6);
    ((signature << 3) ^ folded) & 0xfff
}

#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    last: Option<PageNumber>,
    signature: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pattern {
    deltas: [(i64, u8); WAYS],
    total: u8,
}

impl Pattern {
    fn record(&mut self, delta: i64) {
        if self.total == COUNTER_MAX {
            self.total /= 2;
            for (_, count) in &mut self.deltas {
                *count /= 2;
            }
        }
        self.total += 1;
        let known = self.deltas.iter().position(|&(d, n)| n > 0 && d == delta);
        let place =
            known.unwrap_or_else(|| (0..WAYS).min_by_key(|&way| self.deltas[way].1).unwrap_or(0));
        let way = &mut self.deltas[place];
        *way = (delta, if known.is_some() { way.1 + 1 } else { 1 });
    }
}

/// SPP.
#[derive(Debug)]
pub struct SignaturePath {
    degree: usize,
    zones: Table<Zone>,
    patterns: Vec<Pattern>,
    /// Pages asked for and not touched yet, by a hash of the page.
    asked: Vec<u64>,
    total: u32,
    useful: u32,
}

impl SignaturePath {
    /// SPP that asks for at most `degree` pages at an access.
    pub fn new(degree: u32) -> Self {
        Self {
            degree: degree as usize,
            zones: Table::new(16),
            patterns: vec![Pattern::default(); PATTERNS],
            asked: vec![u64::MAX; 1024],
            total: 0,
            useful: 0,
        }
    }

    fn asked_place(&self, page: PageNumber) -> usize {
        mix(page.0) as usize % self.asked.len()
    }

    /// α: the share of pages asked for that were useful; 1 before any is known.
    fn global_confidence(&self) -> f32 {
        if self.total < 64 {
            1.0
        } else {
            self.useful as f32 / self.total as f32
        }
    }

    fn zone_key(stream: Stream, zone: u64) -> u64 {
        mix(stream.key()) ^ zone
    }

    /// Updates the tables with an access and returns its signature.
    fn learn(&mut self, stream: Stream, page: PageNumber) -> Option<u16> {
        let zone = page.0 >> ZONE_SHIFT;
        let mut state = self
            .zones
            .get(Self::zone_key(stream, zone))
            .copied()
            .unwrap_or_default();
        if state.last.is_none() {
            // The nearest of the neighbours, if its last access is close.
            let neighbour = [zone.wrapping_sub(1), zone.wrapping_add(1)]
                .into_iter()
                .filter_map(|near| self.zones.get(Self::zone_key(stream, near)).copied())
                .filter(|near| {
                    near.last
                        .is_some_and(|last| distance(last, page).abs() < 64)
                })
                .min_by_key(|near| near.last.map(|last| distance(last, page).abs()));
            state = neighbour.unwrap_or_default();
        }
        let signature = match state.last {
            Some(last) if last == page => return None,
            Some(last) => {
                let delta = distance(last, page);
                self.patterns[state.signature as usize % PATTERNS].record(delta);
                extend(state.signature, delta)
            }
            None => 0,
        };
        *self.zones.entry(Self::zone_key(stream, zone)) = Zone {
            last: Some(page),
            signature,
        };
        Some(signature)
    }
}

impl Prefetcher for SignaturePath {
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let mut page = observation.page;
        let place = self.asked_place(page);
        if self.asked[place] == page.0 {
            self.asked[place] = u64::MAX;
            self.useful = (self.useful + 1).min(self.total);
        }
        let Some(mut signature) = self.learn(observation.stream, page) else {
            return;
        };
        let start = wanted.len();
        let mut path = 1.0;
        for _ in 0..MAX_STEPS {
            let pattern = self.patterns[signature as usize % PATTERNS];
            if pattern.total == 0 {
                return;
            }
            let share = |count: u8| f32::from(count) / f32::from(pattern.total);
            for &(delta, count) in &pattern.deltas {
                if count == 0 || path * share(count) < THRESHOLD {
                    continue;
                }
                let Some(target) = offset_by(page, delta) else {
                    continue;
                };
                if wanted.len() - start < self.degree
                    && !residency.is_visible(observation.stream.context, target)
                {
                    wanted.push(target);
                    let place = self.asked_place(target);
                    self.asked[place] = target.0;
                    self.total += 1;
                    if self.total > USEFUL_MAX {
                        self.total /= 2;
                        self.useful /= 2;
                    }
                }
            }
            let Some(&(delta, count)) = pattern.deltas.iter().max_by_key(|(_, count)| *count)
            else {
                return;
            };
            path *= self.global_confidence() * share(count);
            if path < THRESHOLD || wanted.len() - start >= self.degree {
                return;
            }
            match offset_by(page, delta) {
                Some(next) => page = next,
                None => return,
            }
            signature = extend(signature, delta);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::asked;

    #[test]
    fn a_repeating_delta_pattern_is_followed_ahead() {
        let mut spp = SignaturePath::new(4);
        let mut pages = vec![0_u64];
        for step in [1, 2, 4].iter().cycle().take(150) {
            pages.push(pages[pages.len() - 1] + step);
        }
        asked(&mut spp, &pages);
        let last = pages[pages.len() - 1];
        let next = asked(&mut spp, &[last + 1]);
        assert_eq!(next.first(), Some(&(last + 3)));
        assert_eq!(next.get(1), Some(&(last + 7)));
    }

    #[test]
    fn on_a_random_stream_confidence_stops_the_path_early() {
        let mut spp = SignaturePath::new(32);
        let pages: Vec<u64> = (0..4000).map(|i| mix(i) >> 50).collect();
        let wanted = asked(&mut spp, &pages);
        assert!(wanted.len() < 2 * pages.len(), "{} pages", wanted.len());
    }
}
