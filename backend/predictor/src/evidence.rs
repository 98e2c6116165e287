// SPDX-License-Identifier: MIT OR Apache-2.0
//! Evidence: adaptive estimates of "a candidate like this one was used", one
//! for each of several ways to call two candidates alike.
//!
//! The scheme is that of context mixing in data compression (Mahoney's PAQ):
//! each context has a counter that moves towards the outcomes seen in it, fast
//! while it is young; the scorer mixes the counters' log-odds.

use crate::expert::{EXPERTS, Moment};
use crate::features::{FEATURES, Features};
use crate::history::History;
use crate::proposal::{NO_RANK, Proposal};
use crate::table::mix;

/// Ways in which candidates are compared.
pub const CONTEXTS: usize = 14;
/// log2 of the counters for each of them.
const COUNTER_BITS: u32 = 15;
/// A counter's slowest rate is 1 / this.
const SLOWEST: f32 = 80.0;
/// The log-odds of a counter stay within this.
const STRETCH_MAX: f32 = 7.0;

/// ln(p / (1 − p)), bounded.
pub fn stretch(p: f32) -> f32 {
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    (p / (1.0 - p)).ln().clamp(-STRETCH_MAX, STRETCH_MAX)
}

/// 1 / (1 + e^−x).
pub fn squash(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The last expert: what was done elsewhere.
const TRANSLATION: usize = EXPERTS - 1;
/// The place of the prior among the features; the counters are before it.
pub const PRIOR: usize = CONTEXTS;
/// The place of the first expert's rank; what else is known comes after the
/// ranks.
const RANKS: usize = PRIOR + 1;
const REST: usize = RANKS + EXPERTS;

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    probability: f32,
    seen: u16,
    check: u16,
}

/// What speaks for or against one candidate.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Where its counters are, and what they must be labelled with.
    places: [(u16, u16); CONTEXTS],
    /// What the mixer and the network see.
    pub features: Features,
    /// Kind of the candidate: selects the mixing weights.
    pub class: u8,
    /// How likely a candidate of its first proposer's rank is used, before
    /// anything is learned.
    pub prior: f32,
}

/// Kinds of candidates with mixing weights of their own.
pub const CLASSES: usize = 16;

/// All counters.
#[derive(Debug)]
pub struct Counters {
    tables: Vec<Vec<Counter>>,
}

fn clipped(delta: i64, limit: i64) -> u64 {
    (delta.clamp(-limit, limit) + limit).cast_unsigned()
}

fn bucket(value: u32) -> u64 {
    u64::from(32 - value.leading_zeros())
}

/// The prior of a proposal: near neighbours and confirmed patterns are given
/// credit before they have earned it, because traces can be short.
pub fn prior(ranks: &[u8; EXPERTS]) -> f32 {
    let ahead = |expert: usize| ranks[expert];
    let mut best: f32 = 0.05;
    let mut credit = |rank: u8, first: f32, decay: f32| {
        if rank != NO_RANK {
            best = best.max(first * decay.powi(i32::from(rank)));
        }
    };
    if ahead(0) < 16 {
        credit(ahead(0), 0.65, 0.9);
    }
    credit(ahead(1), 0.7, 0.95);
    credit(ahead(2), 0.3, 0.8);
    credit(ahead(3), 0.45, 0.8);
    credit(ahead(4), 0.7, 0.9);
    credit(ahead(7), 0.5, 0.97);
    credit(ahead(10), 0.97, 1.0);
    credit(ahead(TRANSLATION), 0.6, 0.95);
    best
}

/// The features that only the network sees.
fn describe(
    proposal: &Proposal,
    moment: &Moment<'_>,
    history: &History,
    features: &mut [f32; FEATURES],
) {
    for (feature, &rank) in features[RANKS..REST].iter_mut().zip(&proposal.ranks) {
        if rank != NO_RANK {
            *feature = 2.0 / (1.0 + 0.25 * f32::from(rank));
        }
    }
    let delta = proposal.page.wrapping_sub(moment.page).cast_signed();
    let far = |delta: i64| (delta.unsigned_abs() as f32).ln_1p().min(14.0) / 7.0;
    let signed = |delta: i64| far(delta).copysign(delta as f32);
    let record = history.page(proposal.page);
    let since = |last: u32| (history.events.wrapping_sub(last) as f32).ln_1p() / 6.0;
    let zone = history.zone(proposal.page);
    let dense = zone.map_or(0, |zone| zone.touched.count_ones());
    let rest = [
        f32::from(u8::from(moment.fault)),
        signed(delta),
        far(delta),
        signed(moment.recent.delta(0)),
        signed(moment.recent.delta(1)),
        f32::from(u8::from(delta == moment.recent.delta(0))),
        (moment.recent.run.min(64) as f32).ln_1p() / 2.0,
        record.map_or(0.0, |record| 3.0 - since(record.last)),
        record.map_or(0.0, |r| f32::from(r.touches).ln_1p() / 2.0),
        f32::from(u8::from(record.is_none())),
        dense as f32 / 32.0,
        zone.map_or(0.0, |zone| 3.0 - since(zone.last)),
        f32::from(proposal.experts.count_ones() as u8) / 3.0,
        (proposal.page & 15) as f32 / 8.0,
    ];
    for (feature, value) in features[REST..].iter_mut().zip(rest) {
        *feature = value;
    }
}

impl Counters {
    /// Counters that have seen nothing.
    pub fn new() -> Self {
        Self {
            tables: vec![vec![Counter::default(); 1 << COUNTER_BITS]; CONTEXTS],
        }
    }

    /// The keys of the contexts of a candidate, and its class.
    fn keys(proposal: &Proposal, moment: &Moment<'_>, history: &History) -> ([u64; CONTEXTS], u8) {
        let delta = proposal.page.wrapping_sub(moment.page).cast_signed();
        let near = clipped(delta, 40);
        let last = moment.recent.delta(0);
        let before = moment.recent.delta(1);
        let mask = u64::from(proposal.experts);
        let rank = |expert: usize| u64::from(proposal.ranks[expert]);
        let first = proposal.experts.trailing_zeros() as usize;
        let record = history.page(proposal.page);
        let age = record.map_or(0, |r| bucket(history.events.wrapping_sub(r.last)) + 1);
        let touches = record.map_or(0, |r| bucket(r.touches.into()) + 1);
        let zone = history.zone(proposal.page);
        let index = proposal.page & 63;
        let around = zone.map_or(0, |zone| {
            let behind = zone.touched.rotate_right((index as u32).wrapping_sub(3)) & 0x7f;
            behind | (bucket(zone.touched.count_ones()) << 8)
        });
        let fault = u64::from(moment.fault);
        let run = bucket(moment.recent.run).min(5);
        let join = |parts: &[u64]| parts.iter().fold(0, |hash, &part| mix(hash ^ part));
        let stream = moment.stream.key();
        let keys = [
            // A translation is right or wrong as a whole, whatever the rank.
            join(&[first as u64, rank(first.min(TRANSLATION - 1)), fault]),
            join(&[mask, fault]),
            join(&[near, clipped(last, 40)]),
            join(&[near, clipped(last, 12), clipped(before, 12)]),
            join(&[near, fault, run]),
            join(&[moment.page, delta.cast_unsigned()]),
            join(&[proposal.page]),
            join(&[proposal.page >> 6, clipped(delta, 4)]),
            join(&[rank(3), rank(4), rank(2), near.min(60), rank(TRANSLATION)]),
            join(&[age, touches, mask & 0x9e]),
            join(&[around, clipped(delta, 8)]),
            join(&[stream, near, mask & 0x1e]),
            join(&[moment.page >> 8, near, run]),
            join(&[age, around & 0x7f, rank(3), rank(0)]),
        ];
        let class = match delta {
            1 => 0,
            2 => 1,
            3..=4 => 2,
            5..=8 => 3,
            9..=16 => 4,
            -1 => 5,
            -4..=-2 => 6,
            _ if rank(4) < 8 => 7,
            _ if rank(3) < 4 => 8,
            _ if rank(3) < 8 => 9,
            _ if rank(1) < 8 => 10,
            _ if rank(5) < 8 => 11,
            _ if rank(2) < 8 => 12,
            _ if rank(10) < 254 => 13,
            _ if rank(9) < 254 => 14,
            _ => 15,
        };
        (keys, class)
    }

    /// What is known of candidates like this one.
    pub fn evidence(
        &self,
        proposal: &Proposal,
        moment: &Moment<'_>,
        history: &History,
    ) -> Evidence {
        let (keys, class) = Self::keys(proposal, moment, history);
        let prior = prior(&proposal.ranks);
        let mut places = [(0, 0); CONTEXTS];
        let mut inputs = [0.0; FEATURES];
        let mut known = 0.0;
        for (index, key) in keys.into_iter().enumerate() {
            let hash = mix(key ^ index as u64);
            let place = (hash as u16) & ((1 << COUNTER_BITS) - 1);
            let check = (hash >> 48) as u16 | 1;
            places[index] = (place, check);
            let counter = self.tables[index][usize::from(place)];
            if counter.check == check {
                let trust = f32::from(counter.seen) / (f32::from(counter.seen) + 1.0);
                inputs[index] = stretch(counter.probability) * trust;
                known += trust;
            }
        }
        // The prior counts for what the counters do not cover.
        inputs[PRIOR] = stretch(prior) * (1.0 - known / CONTEXTS as f32);
        describe(proposal, moment, history, &mut inputs);
        Evidence {
            places,
            features: Features::from_fn(|index| inputs[index]),
            class,
            prior,
        }
    }

    /// The candidate was used, or was not.
    pub fn learn(&mut self, evidence: &Evidence, used: bool) {
        let target = if used { 1.0 } else { 0.0 };
        for (table, &(place, check)) in self.tables.iter_mut().zip(&evidence.places) {
            let counter = &mut table[usize::from(place)];
            if counter.check != check {
                *counter = Counter {
                    probability: evidence.prior,
                    seen: 0,
                    check,
                };
            }
            let rate = 1.0 / (f32::from(counter.seen) + 1.6).min(SLOWEST);
            counter.probability += (target - counter.probability) * rate;
            counter.seen = counter.seen.saturating_add(1);
        }
    }
}
