// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cost and benefit: from which probability on a candidate is mapped, and the
//! arm that falls back to doing little.

use augur_memory::Nanos;

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

/// Candidates below this probability are not mapped, whatever they would save,
/// while most of what is mapped goes unused; and while most of it is used.
const FLOOR: (f32, f32) = (0.25, 0.08);
/// The shares of mapped pages that are used between which the floor falls.
const ACCURATE: (f32, f32) = (0.6, 0.8);
/// The share of a victim's value that counts against the candidate: the next
/// demand fault would have evicted the same page a little later.
const VICTIM_SHARE: f32 = 0.3;
/// The link's load is averaged over this time, in nanoseconds.
const LOAD_TIME: f32 = 200_000.0;
/// The load above which it is not believed: waiting would be endless.
const LARGEST_LOAD: f32 = 0.95;
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
    /// Share of what was mapped ahead that was used, of late.
    accuracy: f32,
    /// Time that the link needs for what was mapped of late, decaying.
    busy: f32,
    /// When `busy` was brought up to date.
    at: Nanos,
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
            accuracy: 0.5,
            busy: 0.0,
            at: Nanos(0),
        }
    }

    /// `pages` were put on the link at `now`.
    pub fn moved(&mut self, pages: usize, now: Nanos) {
        let passed = now.0.saturating_sub(self.at.0) as f32;
        self.busy = self.busy * (-passed / LOAD_TIME).exp() + pages as f32 * self.costs.transfer;
        self.at = self.at.max(now);
    }

    /// What a transfer costs: its share of the link, and what those behind it
    /// wait for it, as in a queue with one server.
    fn transfer(&self) -> f32 {
        let load = (self.busy / LOAD_TIME).min(LARGEST_LOAD);
        self.costs.transfer * (1.0 + load / (1.0 - load))
    }

    /// The probability above which a candidate is mapped:
    /// p · (fault − first touch) > transfer + share · regret · fault.
    pub fn threshold(&self) -> f32 {
        let saved = self.costs.fault - self.costs.first_touch;
        let spent = self.transfer() + VICTIM_SHARE * self.regret * self.costs.fault;
        let accurate = (self.accuracy - ACCURATE.0) / (ACCURATE.1 - ACCURATE.0);
        let floor = FLOOR.0 + (FLOOR.1 - FLOOR.0) * accurate.clamp(0.0, 1.0);
        (spent / saved).max(floor + self.caution).min(0.9)
    }

    /// A page was evicted when `mapped` pages had been mapped. `ahead` says
    /// that it had been mapped ahead, `used` that it was touched.
    pub fn evicted(&mut self, page: u64, mapped: u32, used: bool) {
        if used {
            *self.ghosts.entry(page) = mapped;
            self.regret -= self.regret * RATE;
        } else {
            self.unused += 1;
            self.accuracy -= self.accuracy * RATE;
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
        self.accuracy += (1.0 - self.accuracy) * RATE;
        self.close_epoch();
    }

    fn close_epoch(&mut self) {
        let total = self.used + self.unused;
        if total < EPOCH {
            return;
        }
        let gain = self.used as f32 * (self.costs.fault - self.costs.first_touch)
            - total as f32 * (self.transfer() + VICTIM_SHARE * self.regret * self.costs.fault);
        self.caution = if gain < 0.0 {
            (self.caution + 0.1).min(0.6)
        } else {
            (self.caution - 0.05).max(0.0)
        };
        self.used = 0;
        self.unused = 0;
    }
}
