// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether large instructions are divided, so that several engines compute one of
//! them: a feedback loop over how busy the engines were.
//!
//! A list that has next to nothing beside one large instruction is divided at once,
//! when nothing else is queued.  Others are when engines were idle while lists like
//! them ran, and no longer when they were not busier for it; then the next try has
//! to wait longer, so it does not oscillate.
//!
//! Where an instruction is cut follows the regions that others use of its operands,
//! where most begin or end first, so that what needs a part can start with it; what is
//! then left too large for an engine's share is cut evenly.  What an instruction
//! computes is not known here.

use std::fmt;

use crate::clock::Nanos;

/// An instruction is not cut into parts that take less: a part costs the analysis
/// and the taking of an instruction, about 1 us.
pub const LEAST_PART: Nanos = Nanos(20_000);

/// Engines are idle when they compute for less than this share of the time.
const IDLE: f64 = 0.7;
/// Dividing pays when engines are busy for longer by this factor.
const GAIN: f64 = 1.1;
/// Lists in a row that have to say the same.
const FIRST_PATIENCE: u32 = 2;
const LONGEST_PATIENCE: u32 = 256;

/// Parts for each engine, at most.
const PER_ENGINE: u64 = 4;
/// Even cuts lie at multiples of so many rows, so that whole blocks are computed.
const ROWS: u32 = 16;

/// A row of an instruction at which regions that others use begin or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The row.
    pub row: u32,
    /// How many do.
    pub regions: u32,
}

/// Where an instruction is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// The first row of each part but the first, in order.
    pub rows: Vec<u32>,
    /// Those of them at which regions begin or end.
    pub bounds: Vec<Bound>,
}

impl fmt::Display for Cuts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, bounds) = (self.rows.len() + 1, self.bounds.len());
        let regions: u32 = self.bounds.iter().map(|it| it.regions).sum();
        let evenly = self.rows.len().saturating_sub(bounds);
        write!(
            formatter,
            "{parts} parts: {bounds} cuts where {regions} regions in use begin or end, {evenly} for the engines' shares"
        )
    }
}

/// What a list offers to divide, as estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The largest instruction that can be divided.
    pub largest: Nanos,
    /// All instructions.
    pub total: Nanos,
}

impl Offer {
    /// Whether anything of it is large enough.
    #[must_use]
    pub fn is_worth_it(self) -> bool {
        self.largest.0 >= 2 * LEAST_PART.0
    }
}

/// A change of mind, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Whether large instructions are divided from now on.
    pub divide: bool,
    /// Share of the time for which engines were busy.
    pub busy: f64,
    /// The same before the last change.
    pub before: f64,
    /// Lists that said so.
    pub lists: u32,
}

impl fmt::Display for Decision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            busy,
            before,
            lists,
            ..
        } = self;
        let (busy, before) = (busy * 100.0, before * 100.0);
        if self.divide {
            write!(
                formatter,
                "divide large commands: engines were busy for {busy:.0} % of {lists} lists"
            )
        } else {
            write!(
                formatter,
                "leave large commands whole: engines are busy for {busy:.0} % of the time, before for {before:.0} %"
            )
        }
    }
}

/// The state of one context. See the module's description.
#[derive(Debug)]
pub struct Division {
    engines: u32,
    divides: bool,
    /// Whether dividing has been found to pay.
    proven: bool,
    patience: u32,
    /// Lists in a row that spoke for a change or are on trial, and their busy shares.
    lists: u32,
    busy: f64,
    before: f64,
}

impl Division {
    /// For a context whose instructions run on so many engines.
    #[must_use]
    pub fn new(engines: u32) -> Self {
        Self {
            engines,
            divides: false,
            proven: false,
            patience: FIRST_PATIENCE,
            lists: 0,
            busy: 0.0,
            before: 0.0,
        }
    }

    /// Whether the large instructions of a list are divided that comes while
    /// `queued` instructions have not ended.
    #[must_use]
    pub fn divides(&self, offer: Offer, queued: usize) -> bool {
        let alone = queued == 0 && offer.largest.0 > offer.total.0 / 2;
        self.engines > 1 && offer.is_worth_it() && (alone || self.divides)
    }

    /// Where an instruction of so many rows is cut.
    #[must_use]
    pub fn cuts(&self, rows: u32, cost: Nanos, bounds: &[Bound]) -> Cuts {
        let affordable = cost.0 / LEAST_PART.0;
        let most = affordable.min(u64::from(self.engines) * PER_ENGINE);
        let share = affordable.min(self.engines.into()) as u32;
        let mut cuts = Cuts::default();
        if most < 2 || share < 2 {
            return cuts;
        }
        let least = (u64::from(rows) * LEAST_PART.0).div_ceil(cost.0).max(1);
        let mut bounds = bounds.to_vec();
        bounds.sort_unstable_by_key(|it| (std::cmp::Reverse(it.regions), it.row));
        for bound in bounds {
            let row = bound.row;
            let far = |end: u32| u64::from(end.abs_diff(row)) >= least;
            let apart = far(0) && far(rows) && cuts.rows.iter().all(|&cut| far(cut));
            if row < rows && apart && cuts.rows.len() as u64 + 1 < most {
                cuts.rows.push(row);
                cuts.bounds.push(bound);
            }
        }
        cuts.rows.sort_unstable();
        let share = rows.div_ceil(share).next_multiple_of(ROWS.min(rows));
        let mut from = 0;
        for end in std::mem::take(&mut cuts.rows).into_iter().chain([rows]) {
            while from + share < end && cuts.rows.len() as u64 + 1 < most {
                from += share;
                cuts.rows.push(from);
            }
            from = end;
            if end < rows {
                cuts.rows.push(end);
            }
        }
        cuts
    }

    /// A list has ended that had something to divide; engines were busy for that
    /// share of the time.
    pub fn observe(&mut self, busy: f64) -> Option<Decision> {
        if self.engines < 2 {
            return None;
        }
        let speaks = if self.divides {
            !self.proven
        } else {
            busy < IDLE
        };
        if !speaks {
            (self.lists, self.busy) = (0, 0.0);
            return None;
        }
        self.lists += 1;
        self.busy += busy;
        let due = if self.divides {
            FIRST_PATIENCE
        } else {
            self.patience
        };
        if self.lists < due {
            return None;
        }
        let (mean, lists) = (self.busy / f64::from(self.lists), self.lists);
        (self.lists, self.busy) = (0, 0.0);
        let decision = Decision {
            divide: !self.divides,
            busy: mean,
            before: self.before,
            lists,
        };
        if !self.divides {
            (self.divides, self.before) = (true, mean);
            return Some(decision);
        }
        if mean > self.before * GAIN {
            self.proven = true;
            return None;
        }
        self.divides = false;
        self.patience = (self.patience * 4).min(LONGEST_PATIENCE);
        Some(decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: Offer = Offer {
        largest: Nanos(400_000),
        total: Nanos(4_000_000),
    };

    #[test]
    fn one_large_instruction_alone_is_divided_at_once_and_a_small_one_never() {
        let division = Division::new(4);
        let offer = |largest, total| Offer {
            largest: Nanos(largest),
            total: Nanos(total),
        };
        assert!(division.divides(offer(400_000, 500_000), 0));
        assert!(!division.divides(offer(400_000, 500_000), 9));
        assert!(!division.divides(offer(39_999, 39_999), 0));
        assert!(!Division::new(1).divides(offer(400_000, 400_000), 0));
        let even = |cost| division.cuts(1000, Nanos(cost), &[]).rows;
        assert_eq!(even(400_000), [256, 512, 768]);
        assert_eq!(even(60_000), [336, 672]);
        assert_eq!(even(39_000), []);
    }

    #[test]
    fn cuts_lie_where_regions_begin_and_end_and_leave_nobody_too_much() {
        let division = Division::new(2);
        let cuts = |cost, bounds: &[(u32, u32)]| {
            let bound = |&(row, regions)| Bound { row, regions };
            let bounds: Vec<Bound> = bounds.iter().map(bound).collect();
            division.cuts(1000, Nanos(cost), &bounds)
        };
        let found = cuts(400_000, &[(250, 2), (500, 2), (750, 2), (0, 9), (1000, 9)]);
        assert_eq!((found.rows, found.bounds.len()), (vec![250, 500, 750], 3));
        // At most four for each engine, and none of less than 50 rows.
        let found = cuts(400_000, &[(100, 1), (120, 5), (960, 7), (500, 1)]);
        assert_eq!(found.rows, [120, 500]);
        assert_eq!(found.bounds.iter().map(|it| it.regions).sum::<u32>(), 6);
        let many: Vec<_> = (1..20).map(|at| (at * 50, 1)).collect();
        assert_eq!(cuts(400_000, &many).rows.len(), 7);
        // One small region leaves most of it to be shared.
        let found = cuts(400_000, &[(60, 3)]);
        assert_eq!((found.rows.clone(), found.bounds.len()), (vec![60, 572], 1));
        assert_eq!(
            found.to_string(),
            "3 parts: 1 cuts where 3 regions in use begin or end, 1 for the engines' shares"
        );
        assert_eq!(cuts(39_000, &[(500, 9)]), Cuts::default());
    }

    #[test]
    fn idle_engines_divide_and_what_pays_stays() {
        let mut division = Division::new(2);
        assert!(division.observe(0.5).is_none() && !division.divides(CHAIN, 0));
        // One that was busy: counting begins anew.
        assert!(division.observe(0.9).is_none() && division.observe(0.5).is_none());
        let decision = division.observe(0.5).unwrap();
        assert!(decision.divide && division.divides(CHAIN, 5));
        for busy in [0.9, 0.95, 0.3, 0.2, 0.9] {
            assert_eq!(division.observe(busy), None);
        }
        assert!(division.divides(CHAIN, 0));
    }

    #[test]
    fn what_does_not_pay_is_tried_ever_more_rarely() {
        let mut division = Division::new(2);
        let changes = (0..1000)
            .filter(|_| division.observe(0.5).is_some())
            .count();
        assert!((8..=16).contains(&changes), "{changes}");
        assert_eq!(Division::new(1).observe(0.1), None);
    }
}
