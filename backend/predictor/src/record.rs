// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each expert's own record: how often what it proposed at a rank was used.
//!
//! This is all that `classic` judges by: a candidate is believed as much as
//! the best of its proposers has earned.

use crate::evidence::prior;
use crate::expert::EXPERTS;
use crate::proposal::{NO_RANK, Proposal, proposers};

/// Ranks told apart.
const RANKS: usize = 32;
/// A record's slowest rate is 1 / this.
const SLOWEST: f32 = 120.0;

/// A candidate as the records see it.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    experts: u16,
    ranks: [u8; EXPERTS],
    fault: bool,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    probability: f32,
    seen: f32,
}

/// The records of all experts.
#[derive(Debug)]
pub struct Records {
    records: Vec<Record>,
}

fn place(expert: usize, rank: u8, fault: bool) -> usize {
    (expert * RANKS + usize::from(rank).min(RANKS - 1)) * 2 + usize::from(fault)
}

impl Records {
    /// Records that start from the experts' priors.
    pub fn new() -> Self {
        let records = (0..EXPERTS * RANKS * 2)
            .map(|place| {
                let mut ranks = [NO_RANK; EXPERTS];
                ranks[place / (2 * RANKS)] = (place / 2 % RANKS) as u8;
                Record {
                    probability: prior(&ranks),
                    seen: 1.0,
                }
            })
            .collect();
        Self { records }
    }

    /// The claim of a proposal, and the probability that it is used.
    pub fn judge(&self, proposal: &Proposal, fault: bool) -> (Claim, f32) {
        let claim = Claim {
            experts: proposal.experts,
            ranks: proposal.ranks,
            fault,
        };
        let probability = self
            .places(claim)
            .map(|place| self.records[place].probability)
            .fold(0.0, f32::max);
        (claim, probability)
    }

    fn places(&self, claim: Claim) -> impl Iterator<Item = usize> + use<> {
        proposers(claim.experts).map(move |expert| place(expert, claim.ranks[expert], claim.fault))
    }

    /// The candidate was used, or was not.
    pub fn learn(&mut self, claim: Claim, used: bool) {
        for place in self.places(claim) {
            let record = &mut self.records[place];
            record.seen += 1.0;
            let rate = 1.0 / record.seen.min(SLOWEST);
            record.probability += (f32::from(u8::from(used)) - record.probability) * rate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(ranks: &[(usize, u8)]) -> Proposal {
        let mut proposal = Proposal {
            page: 9,
            experts: 0,
            ranks: [NO_RANK; EXPERTS],
        };
        for &(expert, rank) in ranks {
            proposal.experts |= 1 << expert;
            proposal.ranks[expert] = rank;
        }
        proposal
    }

    #[test]
    fn a_candidate_is_believed_as_much_as_its_best_proposer() {
        let mut records = Records::new();
        let (bad, _) = records.judge(&proposal(&[(3, 0)]), true);
        let (good, _) = records.judge(&proposal(&[(4, 0)]), true);
        for _ in 0..50 {
            records.learn(bad, false);
            records.learn(good, true);
        }
        let judged = |ranks: &[(usize, u8)]| records.judge(&proposal(ranks), true).1;
        assert!(judged(&[(3, 0)]) < 0.1);
        assert!(judged(&[(4, 0)]) > 0.9);
        assert_eq!(judged(&[(3, 0), (4, 0)]), judged(&[(4, 0)]));
        let other_rank = judged(&[(3, 1)]);
        assert!(other_rank > 0.2, "ranks have records of their own");
    }
}
