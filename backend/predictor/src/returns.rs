// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it costs to give up a page: how likely pages like it are to come back soon, and
//! to stall a program when they do.
//!
//! Pages are told apart by how they were first needed in this stay (foreseen or by a
//! fault), by the time since their stay before, and by whether they were needed again.
//! A sequential stream's page is foreseen and not needed again: it goes early. What is
//! measured is what follows evictions as they are made, so a class that is given up too
//! early gets dearer until it is not.

use augur_memory::{Class, ContextId, PageNumber, Weights};

use crate::Origin;
use crate::key::key;
use crate::table::Table;

/// A return within this share of a turnover counts: one that a somewhat longer stay
/// would have saved. Later ones would argue for stays that no choice can give.
const SOON: f32 = 0.5;
/// How fast a class is followed.
const RATE: f32 = 1.0 / 512.0;
/// The cost of a return, in faults, while nothing is known.
const PRIOR: f32 = 0.3;
/// Added to every cost, so that no class is held to be free.
const LEAST: f32 = 0.2;
/// Kinds of times between two stays: short, about a turnover, long, unknown.
const INTERVALS: usize = 4;

/// What is remembered of a page.
#[derive(Clone, Copy, Debug, Default)]
struct Page {
    /// Pages mapped when it was seen last, and when it left.
    seen: u32,
    left: u32,
    class: Class,
    state: State,
}

/// Where a page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Never seen.
    #[default]
    Unknown,
    /// Mapped and needed.
    Used,
    /// It has left; `true` if it was ever needed.
    Gone(bool),
}

/// The costs of giving up pages, by class.
#[derive(Debug)]
pub struct Returns {
    pages: Table<Page>,
    /// Frames of the aperture: the pages mapped in a turnover.
    frames: u32,
    weights: Weights,
    /// All classes are given up alike, whatever is known of them.
    alike: bool,
}

impl Returns {
    /// All classes alike.
    pub fn new(frames: u32) -> Self {
        Self {
            pages: Table::new(17),
            frames,
            weights: [PRIOR + LEAST; Class::COUNT],
            alike: false,
        }
    }

    /// The class of a page that is mapped.
    pub fn class(&self, context: ContextId, page: PageNumber) -> Class {
        let page = self.pages.get(key(context, page));
        page.map_or(Class::UNUSED, |page| page.class)
    }

    /// What the return of pages of each class costs, in faults.
    pub fn weights(&self) -> &Weights {
        if self.alike {
            &[PRIOR + LEAST; Class::COUNT]
        } else {
            &self.weights
        }
    }

    /// Whether the least recently used page leaves, whatever its class.
    pub fn hold_alike(&mut self, alike: bool) {
        self.alike = alike;
    }

    /// A page was needed when `mapped` pages had been mapped; `foreseen` is what it costs,
    /// in faults, when it had been mapped ahead.
    pub fn needed(&mut self, page: u64, origin: Origin, mapped: u32, foreseen: f32) {
        let frames = self.frames;
        let record = self.pages.entry(page);
        if origin == Origin::Touch && record.state == State::Used {
            record.class = again(record.class);
        } else {
            let soon = mapped.wrapping_sub(record.left) as f32 <= SOON * frames as f32;
            if matches!(record.state, State::Gone(_)) && soon && origin != Origin::Touch {
                let fault = origin == Origin::Fault;
                let cost = if fault { 1.0 } else { foreseen.min(1.0) };
                if let Some(weight) = self.weights.get_mut(record.class.number()) {
                    *weight += cost * RATE;
                }
            }
            let interval = match record.state {
                State::Unknown | State::Gone(false) => INTERVALS - 1,
                State::Used | State::Gone(true) => {
                    let since = mapped.wrapping_sub(record.seen);
                    usize::from(since > frames / 2) + usize::from(since > frames.saturating_mul(2))
                }
            };
            record.class = first(interval, origin == Origin::FirstTouch);
        }
        record.state = State::Used;
        record.seen = mapped;
    }

    /// A page left when `mapped` pages had been mapped.
    pub fn left(&mut self, page: u64, mapped: u32) {
        let record = self.pages.entry(page);
        record.left = mapped;
        record.state = match record.state {
            State::Used => State::Gone(true),
            before => {
                record.class = Class::UNUSED;
                State::Gone(before == State::Gone(true))
            }
        };
        if let Some(weight) = self.weights.get_mut(record.class.number()) {
            *weight -= (*weight - LEAST) * RATE;
        }
    }
}

/// The class of a page that is needed for the first time in its stay.
fn first(interval: usize, ahead: bool) -> Class {
    Class::new(1 + 2 * (interval + INTERVALS * usize::from(ahead))).unwrap_or_default()
}

/// The class of a page that is needed again.
fn again(class: Class) -> Class {
    match class.number() {
        number if number % 2 == 1 => Class::new(number + 1).unwrap_or_default(),
        _ => class,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u32 = 100;
    const NEEDED_ONCE: u64 = 1 << 32;

    fn weight(returns: &Returns, page: u64) -> f32 {
        let page = PageNumber(page);
        returns.weights()[returns.class(ContextId(0), page).number()]
    }

    #[test]
    fn pages_that_come_back_by_faults_are_dearer_than_those_that_pass_once() {
        let mut returns = Returns::new(FRAMES);
        for round in 0..4000_u32 {
            let (passing, looping) = (NEEDED_ONCE + u64::from(round), u64::from(round % 8));
            returns.needed(passing, Origin::FirstTouch, round, 0.03);
            returns.needed(looping, Origin::Fault, round, 0.03);
            returns.left(passing, round);
            returns.left(looping, round + 1);
        }
        returns.needed(0, Origin::Fault, 4000, 0.03);
        returns.needed(NEEDED_ONCE, Origin::FirstTouch, 4000, 0.03);
        let dear = weight(&returns, 0);
        assert!(dear > 1.1, "{dear}");
        returns.needed(1 << 33, Origin::FirstTouch, 4000, 0.03);
        let cheap = weight(&returns, 1 << 33);
        assert!(cheap < 0.21, "{cheap}");
    }

    #[test]
    fn what_comes_back_late_or_foreseen_argues_for_no_longer_stay() {
        let mut returns = Returns::new(FRAMES);
        for round in 0..4000_u32 {
            returns.needed(7, Origin::Fault, round * FRAMES, 0.03);
            returns.left(7, round * FRAMES);
        }
        assert!(weight(&returns, 7) < 0.21);
    }

    #[test]
    fn classes_tell_apart_how_a_page_came_and_whether_it_was_needed_again() {
        let mut returns = Returns::new(FRAMES);
        returns.needed(1, Origin::Fault, 0, 0.03);
        returns.needed(2, Origin::FirstTouch, 0, 0.03);
        returns.needed(3, Origin::Fault, 0, 0.03);
        returns.needed(3, Origin::Touch, 1, 0.03);
        let class = |page| returns.class(ContextId(0), PageNumber(page)).number();
        assert!(class(1) != class(2) && class(1) != class(3) && class(2) != class(3));
        assert_eq!(class(4), Class::UNUSED.number());
    }
}
