// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the predictor asks for and keeps, and how its labels age.

use augur_memory::ContextId;

use super::*;
use crate::{Costs, Origin};

const CONTEXT: ContextId = ContextId(1);

fn predictor(frames: u32) -> Predictor {
    Predictor::new(Config {
        mode: Mode::Full,
        frames,
        least_steps: 3,
        costs: Costs::default(),
        seed: 1,
    })
}

/// A use of a page, a microsecond after the one before.
fn touch(page: u64, number: u64) -> Observation {
    Observation {
        stream: Stream {
            context: CONTEXT,
            queue: 0,
        },
        page: PageNumber(page),
        origin: Origin::Touch,
        write: false,
        time: Nanos(number * 1000),
    }
}

/// All pages are visible and may leave.
struct Full;

impl Residency for Full {
    fn is_visible(&self, _: ContextId, _: PageNumber) -> bool {
        true
    }

    fn presence(&self, _: ContextId, _: PageNumber) -> Presence {
        Presence::Leaving
    }
}

#[test]
fn pages_that_are_there_and_come_next_are_to_stay_and_are_not_asked_for() {
    let mut predictor = predictor(1024);
    let mut kept = Vec::new();
    for page in 0..200 {
        predictor.learn(&touch(page, page), &Full);
        assert!(predictor.regions().is_empty());
        kept = predictor.kept().to_vec();
    }
    assert!(kept.contains(&PageNumber(200)), "{kept:?}");
    assert!(!kept.contains(&PageNumber(0)));
}

#[test]
fn what_is_asked_for_and_not_mapped_does_not_age_labels() {
    let mut predictor = predictor(64);
    let nothing = |_: ContextId, _: PageNumber| false;
    let mut asked = 0;
    for number in 0..40 {
        predictor.learn(&touch(number * 100, number), &nothing);
        asked += predictor.predicted.len();
    }
    assert!(asked > 64, "{asked}");
    // The last of the first access's candidates still waits to be used.
    assert!(predictor.labels.waits(key(CONTEXT, PageNumber(1))));
    predictor.mapped_ahead(65);
    predictor.settle(key(CONTEXT, PageNumber(5000)), Nanos(40_000));
    assert!(!predictor.labels.waits(key(CONTEXT, PageNumber(1))));
}
