// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replay of a recorded program: a log of the pages of each stream, and where
//! in it a page was last seen. When the present matches a place in the log,
//! what followed there is proposed.

use super::log::Log;
use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::{Table, mix};

/// Accesses in the log, of all streams together.
const LOG: usize = 1 << 17;
/// Steps proposed.
const STEPS: usize = 8;
/// Steps of an access that agree with the log before the whole way is proposed.
const TRUSTED: u32 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    /// The stream's newest entry.
    newest: Option<u32>,
    /// The place in the log that the present is compared with.
    at: u32,
    /// Accesses in a row that agreed.
    agreed: u32,
}

/// Proposes what followed last time.
#[derive(Debug)]
pub struct Replay {
    log: Log,
    followers: Table<Follower>,
    last_seen: Table<u32>,
}

impl Replay {
    /// An empty log.
    pub fn new() -> Self {
        Self {
            log: Log::new(LOG),
            followers: Table::new(10),
            last_seen: Table::new(17),
        }
    }
}

impl Expert for Replay {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let stream = moment.stream.key();
        let place = self.log.end();
        let mut follower = self.followers.get(stream).copied().unwrap_or_default();
        let expected = self.log.after(follower.at, stream);
        let seen_key = mix(stream) ^ moment.page;
        let seen = self.last_seen.get(seen_key).copied();
        match expected {
            Some((next, page)) if follower.newest.is_some() && page == moment.page => {
                follower.at = next;
                follower.agreed += 1;
            }
            _ => {
                follower.agreed = 0;
                follower.at = seen
                    .filter(|&at| self.log.page(at, stream) == Some(moment.page))
                    .unwrap_or(place);
            }
        }
        self.log.append(stream, moment.page, follower.newest);
        *self.last_seen.entry(seen_key) = place;
        follower.newest = Some(place);
        let mut at = follower.at;
        let trusted = follower.agreed >= TRUSTED;
        *self.followers.entry(stream) = follower;
        for step in 0..if trusted { STEPS } else { 2 } {
            let Some((next, page)) = self.log.after(at, stream).filter(|&(at, _)| at != place)
            else {
                return;
            };
            let rank = if trusted { step } else { STEPS + step };
            to.add(page, me, rank);
            at = next;
        }
    }
}
