// SPDX-License-Identifier: MIT OR Apache-2.0
//! Candidates: pages that experts propose, with who proposed them and how far
//! ahead.

use crate::expert::EXPERTS;

/// Candidates of one access, at most.
const MAX_PROPOSALS: usize = 64;
/// Spreads page numbers: 2^64 divided by the golden ratio, odd (Fibonacci hashing).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
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
        let ranks = proposers(self.experts).map(|expert| self.ranks[expert]);
        ranks.min().unwrap_or(NO_RANK)
    }
}

/// The numbers of the experts whose bits are set. Most candidates have one or two.
pub fn proposers(mut experts: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let next = experts.trailing_zeros() as usize;
        experts &= experts.wrapping_sub(1);
        (next < EXPERTS).then_some(next)
    })
}

/// log2 of the places in which candidates are looked for: four times as many as there
/// are candidates at most, so that most are found where they are looked for first.
const PLACE_BITS: u32 = MAX_PROPOSALS.ilog2() + 2;
/// A place without a candidate.
const EMPTY: u8 = u8::MAX;

/// The union of the candidates of all experts at one access.
#[derive(Debug)]
pub struct Proposals {
    list: Vec<Proposal>,
    /// The number of a candidate in the list, at the place of its page or behind it.
    places: [u8; 1 << PLACE_BITS],
}

impl Proposals {
    /// No candidates.
    pub fn new() -> Self {
        Self {
            list: Vec::with_capacity(MAX_PROPOSALS),
            places: [EMPTY; 1 << PLACE_BITS],
        }
    }

    /// Forgets all candidates.
    pub fn clear(&mut self) {
        self.list.clear();
        self.places.fill(EMPTY);
    }

    /// Expert number `expert` expects `page` in `rank + 1` steps.
    pub fn add(&mut self, page: u64, expert: usize, rank: usize) {
        let rank = rank.min(254) as u8;
        let mut place = (page.wrapping_mul(MULTIPLIER) >> (64 - PLACE_BITS)) as usize;
        while let Some(known) = self.list.get_mut(usize::from(self.places[place])) {
            if known.page == page {
                known.experts |= 1 << expert;
                known.ranks[expert] = known.ranks[expert].min(rank);
                return;
            }
            place = (place + 1) % self.places.len();
        }
        if self.list.len() < MAX_PROPOSALS {
            self.places[place] = self.list.len() as u8;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_candidate_whoever_proposes_it_and_the_first_ones_stay() {
        let mut proposals = Proposals::new();
        for round in 0..3 {
            proposals.clear();
            // Neighbours, and pages far apart, more than there is room for.
            let page = |number: u64| (number << (number % 2 * 32)) + round;
            for number in 0..2 * MAX_PROPOSALS as u64 {
                proposals.add(page(number), 3, 7);
                proposals.add(page(number), 5, 2);
                proposals.add(page(number), 5, 9);
            }
            let pages: Vec<u64> = proposals.iter().map(|proposal| proposal.page).collect();
            let first: Vec<u64> = (0..MAX_PROPOSALS as u64).map(page).collect();
            assert_eq!(pages, first);
            for proposal in proposals.iter() {
                assert_eq!(proposal.experts, 1 << 3 | 1 << 5);
                assert_eq!((proposal.ranks[3], proposal.ranks[5]), (7, 2));
                assert_eq!(proposal.rank(), 2);
            }
        }
    }
}
