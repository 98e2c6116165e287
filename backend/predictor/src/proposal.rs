// SPDX-License-Identifier: MIT OR Apache-2.0
//! Candidates: pages that experts propose, with who proposed them and how far
//! ahead.

use crate::expert::EXPERTS;

/// Candidates of one access, at most.
const MAX_PROPOSALS: usize = 64;
/// A rank that says "not proposed".
pub const NO_RANK: u8 = u8::MAX;

/// A candidate page.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    /// The page, with the context in the upper bits.
    pub page: u64,
    /// One bit for each expert that proposes it.
    pub experts: u16,
    /// For each expert how many steps ahead it expects the page, from zero.
    pub ranks: [u8; EXPERTS],
}

impl Proposal {
    /// How many steps ahead it is expected by the expert that expects it soonest.
    pub fn rank(&self) -> u8 {
        self.ranks.iter().copied().min().unwrap_or(NO_RANK)
    }
}

/// The union of the candidates of all experts at one access.
#[derive(Debug, Default)]
pub struct Proposals {
    list: Vec<Proposal>,
}

impl Proposals {
    /// Forgets all candidates.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Expert number `expert` expects `page` in `rank + 1` steps.
    pub fn add(&mut self, page: u64, expert: usize, rank: usize) {
        let rank = rank.min(254) as u8;
        if let Some(known) = self.list.iter_mut().find(|known| known.page == page) {
            known.experts |= 1 << expert;
            known.ranks[expert] = known.ranks[expert].min(rank);
        } else if self.list.len() < MAX_PROPOSALS {
            let mut ranks = [NO_RANK; EXPERTS];
            ranks[expert] = rank;
            self.list.push(Proposal {
                page,
                experts: 1 << expert,
                ranks,
            });
        }
    }

    /// The candidates.
    pub fn iter(&self) -> impl Iterator<Item = &Proposal> {
        self.list.iter()
    }
}
