// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cost and benefit: from which probability on a candidate is mapped, and the
//! arm that falls back to doing little.

use crate::table::Table;

/// What things cost, in nanoseconds; measured by the card or from its profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A demand fault with its fill.
    pub fault: f32,
    /// The first touch of a page mapped ahead.
    pub first_touch: f32,
    /// A move's share of the link.
    pub transfer: f32,
}

impl Default for Costs {
    /// The default card profile.
    fn default() -> Self {
        Self {
            fault: 22_342.0,
            first_touch: 1_000.0,
            transfer: 842.0,
        }
    }
}

/// Candidates below this probability are not mapped, whatever they would save:
/// most of what is mapped must be used.
const FLOOR: f32 = 0.25;
/// The share of a victim's value that counts against the candidate: the next
/// demand fault would have evicted the same page a little later.
const VICTIM_SHARE: f32 = 0.3;
/// How fast the value of victims is followed.
const RATE: f32 = 1.0 / 256.0;
/// Pages mapped ahead in an epoch of the arm.
const EPOCH: u32 = 256;

/// The threshold.
#[derive(Debug)]
pub struct Decision {
    costs: Costs,
    /// Probability that an evicted page is touched again before an aperture of
    /// other pages was mapped.
    regret: f32,
    /// Pages evicted, with the pages mapped until then.
    ghosts: Table<u32>,
    /// Outcomes of the epoch: mapped ahead and used, and unused.
    used: u32,
    unused: u32,
    /// Added to the floor while predictions hurt.
    caution: f32,
}

impl Decision {
    /// A threshold for these costs.
    pub fn new(costs: Costs) -> Self {
        Self {
            costs,
            regret: 0.1,
            ghosts: Table::new(16),
            used: 0,
            unused: 0,
            caution: 0.0,
        }
    }

    /// The probability above which a candidate is mapped:
    /// p · (fault − first touch) > transfer + share · regret · fault.
    pub fn threshold(&self) -> f32 {
        let saved = self.costs.fault - self.costs.first_touch;
        let spent = self.costs.transfer + VICTIM_SHARE * self.regret * self.costs.fault;
        (spent / saved).max(FLOOR + self.caution).min(0.9)
    }

    /// A page was evicted when `mapped` pages had been mapped. `ahead` says
    /// that it had been mapped ahead, `used` that it was touched.
    pub fn evicted(&mut self, page: u64, mapped: u32, used: bool) {
        if used {
            *self.ghosts.entry(page) = mapped;
            self.regret -= self.regret * RATE;
        } else {
            self.unused += 1;
            self.close_epoch();
        }
    }

    /// A page that was not visible, or was mapped ahead, was touched.
    pub fn returned(&mut self, page: u64, mapped: u32, turnover: u32) {
        if let Some(evicted) = self.ghosts.remove(page)
            && mapped.wrapping_sub(evicted) <= turnover
        {
            self.regret = (self.regret + RATE).min(0.9);
        }
    }

    /// A page mapped ahead was used.
    pub fn paid(&mut self) {
        self.used += 1;
        self.close_epoch();
    }

    fn close_epoch(&mut self) {
        let total = self.used + self.unused;
        if total < EPOCH {
            return;
        }
        let gain = self.used as f32 * (self.costs.fault - self.costs.first_touch)
            - total as f32 * (self.costs.transfer + VICTIM_SHARE * self.regret * self.costs.fault);
        self.caution = if gain < 0.0 {
            (self.caution + 0.1).min(0.6)
        } else {
            (self.caution - 0.05).max(0.0)
        };
        self.used = 0;
        self.unused = 0;
    }
}
