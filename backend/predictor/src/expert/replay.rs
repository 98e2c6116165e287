// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replay of a recorded program: a log of the pages of each stream, and where
//! in it a page was last seen. When the present matches a place in the log,
//! what followed there is proposed.

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
struct Entry {
    page: u64,
    stream: u64,
    /// The same stream's next entry; itself while there is none.
    next: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    /// The stream's newest entry.
    newest: u32,
    /// The place in the log that the present is compared with.
    at: u32,
    /// Accesses in a row that agreed.
    agreed: u32,
    started: bool,
}

/// Proposes what followed last time.
#[derive(Debug)]
pub struct Replay {
    log: Vec<Entry>,
    /// Entries ever written.
    written: usize,
    followers: Table<Follower>,
    last_seen: Table<u32>,
}

impl Replay {
    /// An empty log.
    pub fn new() -> Self {
        Self {
            log: vec![Entry::default(); LOG],
            written: 0,
            followers: Table::new(10),
            last_seen: Table::new(17),
        }
    }

    fn after(&self, place: u32, stream: u64) -> Option<u32> {
        let entry = self.log.get(place as usize)?;
        let next = self.log.get(entry.next as usize)?;
        (entry.next != place && entry.stream == stream && next.stream == stream)
            .then_some(entry.next)
    }
}

impl Expert for Replay {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let stream = moment.stream.key();
        let place = (self.written % LOG) as u32;
        let mut follower = self.followers.get(stream).copied().unwrap_or_default();
        let expected = self.after(follower.at, stream);
        let seen_key = mix(stream) ^ moment.page;
        let seen = self.last_seen.get(seen_key).copied();
        match expected {
            Some(next) if follower.started && self.log[next as usize].page == moment.page => {
                follower.at = next;
                follower.agreed += 1;
            }
            _ => {
                follower.agreed = 0;
                follower.at = seen
                    .filter(|&at| self.log[at as usize].page == moment.page)
                    .unwrap_or(place);
            }
        }
        if follower.started
            && let Some(newest) = self.log.get_mut(follower.newest as usize)
            && newest.stream == stream
        {
            newest.next = place;
        }
        self.log[place as usize] = Entry {
            page: moment.page,
            stream,
            next: place,
        };
        self.written += 1;
        *self.last_seen.entry(seen_key) = place;
        follower.newest = place;
        follower.started = true;
        let mut at = follower.at;
        let trusted = follower.agreed >= TRUSTED;
        *self.followers.entry(stream) = follower;
        for step in 0..if trusted { STEPS } else { 2 } {
            let Some(next) = self.after(at, stream).filter(|&next| next != place) else {
                return;
            };
            let rank = if trusted { step } else { STEPS + step };
            to.add(self.log[next as usize].page, me, rank);
            at = next;
        }
    }
}
