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

#[test]
fn a_region_says_how_often_and_how_soon_it_is_expected_to_be_used() {
    const STEP: u64 = 500_000;
    let mut predictor = predictor(1024);
    let nothing = |_: ContextId, _: PageNumber| false;
    // Each page is used three times, in half a millisecond, before it leaves.
    for page in 0..3000 {
        for use_of_it in 0..3 {
            let origin = if use_of_it == 0 {
                Origin::Fault
            } else {
                Origin::Touch
            };
            let time = Nanos(page * STEP + use_of_it);
            predictor.learn(
                &Observation {
                    origin,
                    time,
                    ..touch(page, 0)
                },
                &nothing,
            );
            if use_of_it == 0 && page == 2999 {
                break;
            }
        }
        predictor.unmapped(CONTEXT, PageNumber(page), true);
    }
    let regions = predictor.regions();
    let next = regions.first().unwrap();
    assert_eq!((next.context, next.start), (CONTEXT, PageNumber(3000)));
    assert!(next.pages >= 2 && next.probability > 0.5, "{next:?}");
    let touches = next.expected_touches / (next.probability * next.pages as f32);
    assert!((2.9..3.1).contains(&touches), "{touches} touches of a page");
    // The page that comes first.
    let steps = next.time_to_use.0 as f64 / STEP as f64;
    assert!((0.8..2.0).contains(&steps), "in {steps} steps");
}

#[test]
fn what_is_overtaken_is_learned_from_and_followed_by_nothing() {
    let none = |_, _| false;
    let expected = |is_told: bool| {
        let mut predictor = predictor(1024);
        for number in 0..400 {
            predictor.learn(&touch(number, number), &none);
        }
        assert!(!predictor.regions().is_empty());
        // The program goes another way, by a thousand pages.
        for number in 400..440 {
            if is_told {
                predictor.follow(&touch(1000 * number, number), &none);
                assert!(predictor.regions().is_empty());
            }
        }
        predictor.learn(&touch(1000 * 440, 440), &none);
        let next = PageNumber(1000 * 441);
        let regions = predictor.regions();
        regions.iter().any(|region| region.start == next)
    };
    assert!(expected(true));
    assert!(!expected(false), "it has nothing to know that from");
}
