// SPDX-License-Identifier: MIT OR Apache-2.0
//! Candidates of an access, what they are judged by, and what learns from how they
//! turned out.

use augur_memory::{Nanos, PageNumber};

use crate::evidence::{CLASSES, Counters, Evidence};
use crate::key::context_of;
use crate::record::{Claim, Records};
use crate::scorer::Scorers;

/// Kinds of candidates whose time to use is followed: the scorer's classes,
/// and one for `classic`.
pub const KINDS: usize = CLASSES + 1;

/// What a candidate was judged by.
#[derive(Clone, Copy, Debug)]
pub enum Judged {
    Classic(Claim),
    Full(Evidence),
}

/// A candidate that waits for its label.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub judged: Judged,
    pub time: Nanos,
}

/// A candidate of the access at hand.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub key: u64,
    pub page: PageNumber,
    /// Whether it is visible already.
    pub visible: bool,
    /// Steps until it is needed, from zero, says the expert that expects it soonest.
    pub rank: u8,
    pub odds: f32,
    pub judged: Judged,
}

impl Judged {
    /// Its kind, below [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Classic(_) => CLASSES,
            Self::Full(evidence) => usize::from(evidence.class) % CLASSES,
        }
    }
}

/// What learns from labels.
#[derive(Debug)]
pub struct Learners {
    pub records: Records,
    pub counters: Counters,
    pub scorers: Scorers,
}

impl Learners {
    /// The candidate for `page` was used, or was not.
    pub fn learn(&mut self, page: u64, judged: &Judged, used: bool) {
        match judged {
            Judged::Classic(claim) => self.records.learn(*claim, used),
            Judged::Full(evidence) => {
                self.counters.learn(evidence, used);
                self.scorers.of(context_of(page)).learn(evidence, used);
            }
        }
    }
}
