// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translations: what a stream did in one place, done again in another, as in the
//! layers of a model whose buffers are laid out alike. The pages are new, the way
//! through them is not.

use super::log::Log;
use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::{Table, mix};

/// Accesses remembered, of all streams together.
const LOG: usize = 1 << 14;
/// Steps proposed.
const STEPS: usize = 8;
/// Steps in a row that agree with the past before the whole way is proposed.
const TRUSTED: u32 = 2;

/// Where a stream is.
#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    newest: Option<u32>,
    /// The access that the present is like, and the pages from there to here; nothing
    /// is followed while they are none.
    at: u32,
    shift: i64,
    /// The last shift that was right, 0 while there was none.
    known: i64,
    /// Accesses in a row that agreed.
    agreed: u32,
}

/// Proposes the way that was taken elsewhere.
#[derive(Debug)]
pub struct Translations {
    log: Log,
    followers: Table<Follower>,
    /// Where each page was seen, by stream.
    last_seen: Table<u32>,
    /// Where each stream jumped last after the same deltas.
    jumps: Table<u32>,
}

impl Translations {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            log: Log::new(LOG),
            followers: Table::new(10),
            last_seen: Table::new(15),
            jumps: Table::new(13),
        }
    }

    /// Where the stream was at the page that lies `shift` before `page`.
    fn seen(&self, page: u64, shift: i64, stream: u64) -> Option<u32> {
        let there = page.wrapping_sub(shift.cast_unsigned());
        let place = *self.last_seen.get(mix(stream) ^ there)?;
        (self.log.page(place, stream)? == there).then_some(place)
    }

    /// Looks for the present in the past: away by the shift that was right last, or
    /// else where the stream jumped as it did now.
    fn find(&self, page: u64, stream: u64, known: i64, jump: Option<u64>) -> Option<(u32, i64)> {
        if known != 0
            && let Some(place) = self.seen(page, known, stream)
        {
            return Some((place, known));
        }
        let place = *self.jumps.get(jump?)?;
        let there = self.log.page(place, stream)?;
        Some((place, page.wrapping_sub(there).cast_signed()))
    }
}

impl Expert for Translations {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let (page, stream) = (moment.page, moment.stream.key());
        let jump = (moment.recent.delta(0).unsigned_abs() > 1).then(|| {
            [2, 1, 0].iter().fold(mix(stream), |hash, &back| {
                mix(hash ^ moment.recent.delta(back).cast_unsigned())
            })
        });
        let mut follower = self.followers.get(stream).copied().unwrap_or_default();
        let moved = |there: u64| there.wrapping_add_signed(follower.shift);
        match self.log.after(follower.at, stream) {
            Some((next, there)) if follower.shift != 0 && moved(there) == page => {
                follower.at = next;
                follower.known = follower.shift;
                follower.agreed += 1;
            }
            _ => {
                let found = self.find(page, stream, follower.known, jump);
                (follower.at, follower.shift) = found.unwrap_or_default();
                follower.agreed = 0;
            }
        }
        let place = self.log.end();
        self.log.append(stream, page, follower.newest);
        follower.newest = Some(place);
        *self.last_seen.entry(mix(stream) ^ page) = place;
        if let Some(jump) = jump {
            *self.jumps.entry(jump) = place;
        }
        *self.followers.entry(stream) = follower;
        if follower.shift == 0 {
            return;
        }
        let trusted = follower.agreed >= TRUSTED;
        let mut at = follower.at;
        for step in 0..if trusted { STEPS } else { 2 } {
            let Some((next, there)) = self.log.after(at, stream).filter(|&(at, _)| at != place)
            else {
                return;
            };
            let rank = if trusted { step } else { STEPS + step };
            to.add(there.wrapping_add_signed(follower.shift), me, rank);
            at = next;
        }
    }
}
