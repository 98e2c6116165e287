// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cost and benefit: from which probability on a candidate is mapped; more is asked
//! while predictions hurt.

use augur_memory::Nanos;

use crate::ghost::Price;
use crate::table::Table;

/// What things cost, in nanoseconds; measured by the card or from its profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A demand fault with its fill.
    pub fault: f32,
    /// The first touch of a page mapped ahead.
    pub first_touch: f32,
    /// The time that a move takes the link from others: its bytes, or its latency over
    /// the moves in flight, whichever is more.
    pub transfer: f32,
}

impl Default for Costs {
    /// The default card profile.
    fn default() -> Self {
        Self {
            fault: 22_342.0,
            first_touch: 1_000.0,
            transfer: 585.0,
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
/// No more than this is asked of a candidate.
const LARGEST: f32 = 0.97;
/// A page that comes back within this share of a turnover, and before so many other
/// pages were mapped, was in use.
const AT_ONCE: u32 = 8;
const AT_ONCE_AT_MOST: u32 = 64;
/// The share of victims in use counts as no more than this.
const LARGEST_HOT: f32 = 0.8;
/// Faults that a page mapped in vain costs for each victim in use that follows
/// another; more than one, because it holds its frame for a whole turnover.
const CASCADE: f32 = 2.0;
/// The link's load is averaged over this time, in nanoseconds, or over as long as so
/// many faults take, where moves are so large that a single one would be all of it.
const LOAD_TIME: f32 = 200_000.0;
const LOAD_FAULTS: f32 = 8.0;
/// The load above which it is not believed: waiting would be endless.
const LARGEST_LOAD: f32 = 0.995;
/// Moves of one stream that others wait for, at most: a program that waits for a page asks
/// for no other one, so these are its fill and its victim's way home.
const MOVES_OF_A_STREAM: f32 = 2.0;
/// How fast the value of victims is followed.
const RATE: f32 = 1.0 / 256.0;
/// Pages mapped ahead between two looks at whether they paid.
const EPOCH: u32 = 256;

/// The threshold.
#[derive(Debug)]
pub struct Decision {
    costs: Costs,
    /// Nanoseconds over which the link's load is averaged.
    load_time: f32,
    /// Probability that an evicted page is touched again before an aperture of
    /// other pages was mapped.
    regret: f32,
    /// Probability that it is touched again at once.
    hot: f32,
    /// Pages evicted, with the pages mapped until then.
    ghosts: Table<u32>,
    /// Outcomes of the epoch: mapped ahead and used, and unused.
    used: u32,
    unused: u32,
    /// Added to the floor while predictions hurt.
    caution: f32,
    /// Share of what was mapped ahead that was used, of late.
    accuracy: f32,
    /// Time that the link was at work of late, decaying.
    busy: f32,
    /// When it was looked at last, and the moves that it had then or got since.
    at: Nanos,
    queue: usize,
    /// Streams that share it.
    streams: f32,
}

impl Decision {
    /// A threshold for these costs.
    pub fn new(costs: Costs) -> Self {
        Self {
            costs,
            load_time: LOAD_TIME.max(LOAD_FAULTS * costs.fault),
            regret: 0.1,
            hot: 0.0,
            ghosts: Table::new(16),
            used: 0,
            unused: 0,
            caution: 0.0,
            accuracy: 0.5,
            busy: 0.0,
            at: Nanos(0),
            queue: 0,
            streams: 1.0,
        }
    }

    /// So many moves were on the link or waited for it at `now`, and so many streams
    /// share it. Since the last look it was at work as long as what it had then takes.
    pub fn look(&mut self, moves: usize, streams: f32, now: Nanos) {
        let passed = now.0.saturating_sub(self.at.0) as f32;
        let worked = passed.min(self.queue as f32 * self.costs.transfer);
        self.busy = self.busy * (-passed / self.load_time).exp() + worked;
        self.at = self.at.max(now);
        self.queue = moves;
        self.streams = streams;
    }

    /// So many moves were put on the link since the last look.
    pub fn moved(&mut self, moves: usize) {
        self.queue += moves;
    }

    /// What a transfer costs: its share of the link, and what those behind it
    /// wait for it.
    pub fn transfer(&self) -> f32 {
        self.costs.transfer * (1.0 + self.waiting())
    }

    /// How many wait for a transfer, as in a queue with one server and a customer for
    /// each stream.
    fn waiting(&self) -> f32 {
        let load = (self.busy / self.load_time).min(LARGEST_LOAD);
        (load / (1.0 - load)).min(MOVES_OF_A_STREAM * self.streams)
    }

    /// What programs wait for things at present, where what follows a touch is mapped
    /// so long after it.
    pub fn price(&self, late: Nanos) -> Price {
        Price {
            late: late.0 as f32,
            fault: self.costs.fault,
            first_touch: self.costs.first_touch,
            moved: self.costs.transfer * self.waiting(),
        }
    }

    /// What a page mapped in vain costs besides its transfer, in faults, where it
    /// pushes out pages in use, because their use is not seen or the aperture is
    /// small: they come back at once, and each pushes out the next, h + h² + … in all.
    fn damage(&self) -> f32 {
        CASCADE * self.hot / (1.0 - self.hot.min(LARGEST_HOT))
    }

    /// The probability above which a candidate is mapped: both
    /// p · (fault − first touch) > transfer + share · regret · fault and
    /// p · (fault − first touch) > transfer + (1 − p) · damage · fault.
    pub fn threshold(&self) -> f32 {
        let saved = self.costs.fault - self.costs.first_touch;
        let transfer = self.transfer();
        let victim = VICTIM_SHARE * self.regret * self.costs.fault;
        let damage = self.damage() * self.costs.fault;
        let least = ((transfer + victim) / saved).max((transfer + damage) / (saved + damage));
        let accurate = (self.accuracy - ACCURATE.0) / (ACCURATE.1 - ACCURATE.0);
        let floor = FLOOR.0 + (FLOOR.1 - FLOOR.0) * accurate.clamp(0.0, 1.0);
        least.max(floor + self.caution).min(LARGEST)
    }

    /// A page was evicted when `mapped` pages had been mapped. `ahead` says
    /// that it had been mapped ahead, `used` that it was touched.
    pub fn evicted(&mut self, page: u64, mapped: u32, used: bool) {
        if used {
            *self.ghosts.entry(page) = mapped;
            self.regret -= self.regret * RATE;
            self.hot -= self.hot * RATE;
        } else {
            self.unused += 1;
            self.accuracy -= self.accuracy * RATE;
            self.close_epoch();
        }
    }

    /// A page that was not visible, or was mapped ahead, was touched.
    pub fn returned(&mut self, page: u64, mapped: u32, turnover: u32) {
        let Some(evicted) = self.ghosts.remove(page) else {
            return;
        };
        let after = mapped.wrapping_sub(evicted);
        if after <= turnover {
            self.regret = (self.regret + RATE).min(0.9);
        }
        if after <= (turnover / AT_ONCE).min(AT_ONCE_AT_MOST) {
            self.hot = (self.hot + RATE).min(0.9);
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
        let harm = total as f32 * VICTIM_SHARE * self.regret;
        let harm = harm.max(self.unused as f32 * self.damage());
        let gain = self.used as f32 * (self.costs.fault - self.costs.first_touch)
            - total as f32 * self.transfer()
            - harm * self.costs.fault;
        self.caution = if gain < 0.0 {
            (self.caution + 0.1).min(0.6)
        } else {
            (self.caution - 0.05).max(0.0)
        };
        self.used = 0;
        self.unused = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision() -> Decision {
        Decision::new(Costs::default())
    }

    /// Looks at the link every `every` nanoseconds, with one new move each time.
    fn watch(decision: &mut Decision, from: u64, looks: u64, every: u64, streams: f32) {
        for step in 0..looks {
            decision.look(1, streams, Nanos(from + step * every));
        }
    }

    #[test]
    fn a_busy_link_asks_for_more_certainty_the_more_streams_wait_for_it() {
        let busy = |streams| {
            let mut decision = decision();
            let idle = decision.threshold();
            watch(&mut decision, 0, 2000, 590, streams);
            let busy = decision.threshold();
            decision.look(0, streams, Nanos(100_000_000));
            assert_eq!(decision.threshold(), idle);
            (idle, busy)
        };
        let ((idle, few), (_, many)) = (busy(2.0), busy(12.0));
        assert!(many > idle + 0.2, "{idle} {many}");
        assert!(few < many - 0.2, "{few} {many}");
    }

    #[test]
    fn a_link_works_no_longer_than_what_is_put_on_it_takes() {
        let mut decision = decision();
        let idle = decision.threshold();
        for step in 0..2000 {
            decision.look(0, 12.0, Nanos(step * 5900));
            decision.moved(1);
        }
        assert!(decision.threshold() < idle + 0.05);
    }

    #[test]
    fn moves_that_take_as_long_as_the_load_is_averaged_are_no_full_link() {
        let mut decision = Decision::new(Costs {
            fault: 270_000.0,
            first_touch: 2_000.0,
            transfer: 105_000.0,
        });
        watch(&mut decision, 0, 200, 1_000_000, 4.0);
        let a_tenth = decision.threshold();
        assert!(a_tenth < 0.6, "{a_tenth}");
        watch(&mut decision, 200_000_000, 2000, 106_000, 4.0);
        assert!(decision.threshold() > 0.9);
    }

    #[test]
    fn victims_that_come_back_at_once_ask_for_more_certainty() {
        let mut decision = decision();
        let before = decision.threshold();
        for page in 0..2000 {
            decision.evicted(page, page as u32, true);
            if page % 2 == 0 {
                decision.returned(page, page as u32 + 3, 1000);
            }
        }
        assert!(decision.threshold() > before + 0.2);
    }

    #[test]
    fn predictions_that_hurt_are_cut_down_and_come_back_when_they_pay() {
        let mut decision = decision();
        let before = decision.threshold();
        for page in 0..4000 {
            decision.evicted(page, page as u32, false);
        }
        let hurt = decision.threshold();
        assert!(hurt > 0.8, "{hurt}");
        for _ in 0..20_000 {
            decision.paid();
        }
        assert!(decision.threshold() <= before);
    }
}
