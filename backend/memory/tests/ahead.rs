// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is mapped before anybody asks for it: with a fault, and instead of what else was.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use augur_memory::{
    Action, Config, ContextId, DeviceAddress, Frames, Lru, Manager, Nanos, PageNumber, Refused,
};

const PAGE: u64 = 4096;
const DEMAND: u32 = 16;
const PROBATION: u32 = 128;
const HOURS: Nanos = Nanos(10_000_000_000_000);

/// 256 frames for windows.
fn config() -> Config {
    Config {
        memory: Frames(4000),
        aperture: Frames(257),
        header: Frames(1),
        demand_window: Frames(DEMAND),
        reserve: Frames(DEMAND),
        refill: Frames(0),
        speculative: Frames(200),
        probation: Frames(PROBATION),
        max_contexts: 1,
        max_objects: 4,
        lease: Nanos(0),
        revoke_timeout: Nanos(u64::MAX),
    }
}

fn manager() -> (Manager<Lru>, ContextId) {
    manager_of(config())
}

fn manager_of(config: Config) -> (Manager<Lru>, ContextId) {
    let mut manager = Manager::new(config, Lru::new(257)).unwrap();
    let context = manager.create_context().unwrap();
    (manager, context)
}

/// Carries out what the manager wants; the driver gives back at once what it is asked for.
fn settle(manager: &mut Manager<Lru>, now: Nanos) {
    while let Some(action) = manager.next_action() {
        match action {
            Action::Fill { window, .. } => manager.filled(window, now),
            Action::Revoke(report) => {
                manager.acknowledged(report.window, false, now);
            }
            _ => {}
        }
    }
}

#[test]
fn a_fault_at_the_end_of_an_object_brings_all_of_the_end() {
    let (mut manager, context) = manager();
    // 13 pages are behind the last full window: 8, 4 and 1.
    let (_, start, _) = manager.create_object(context, 61 * PAGE).unwrap();
    let first = start.page().0;
    let end = PageNumber(first + 48);
    manager.fault(context, end.address(), Nanos(1)).unwrap();
    settle(&mut manager, Nanos(1));
    assert!(manager.is_visible(context, end, 8));
    assert!(
        !manager.is_visible(context, end, 13),
        "only what was asked for"
    );
    let inside = DeviceAddress(start.0 + 57 * PAGE);
    manager.fault_whole(context, inside, Nanos(1)).unwrap();
    settle(&mut manager, Nanos(1));
    assert!(manager.is_visible(context, end, 13));
    assert!(
        !manager.is_visible(context, PageNumber(first), 48),
        "and no more"
    );
    assert_eq!(manager.counters().faults, 2);
}

#[test]
fn what_was_mapped_ahead_has_a_turnover_to_be_used_and_no_time_limit() {
    let (mut manager, context) = manager();
    let (_, ahead, _) = manager.create_object(context, 64 * PAGE).unwrap();
    let (_, other, _) = manager.create_object(context, 512 * PAGE).unwrap();
    let mapped = manager.map_span_ahead(context, ahead.page(), 64, 4, Nanos(1));
    assert_eq!(mapped.unwrap().frames, 64);
    settle(&mut manager, Nanos(1));
    assert!(
        !manager.give_up_unused(context, 16, HOURS),
        "programs may compute for long"
    );
    for window in 0..u64::from(PROBATION / DEMAND) {
        assert!(!manager.give_up_unused(context, 16, HOURS));
        let address = DeviceAddress(other.0 + window * u64::from(DEMAND) * PAGE);
        manager.fault(context, address, HOURS).unwrap();
        settle(&mut manager, HOURS);
    }
    assert!(manager.give_up_unused(context, 16, HOURS));
}

#[test]
fn contexts_share_what_may_be_mapped_ahead_equally() {
    // Two contexts with eight full windows each would leave nothing to share.
    let (mut manager, first) = manager_of(Config {
        demand_window: Frames(4),
        reserve: Frames(4),
        max_contexts: 2,
        ..config()
    });
    let second = manager.create_context().unwrap();
    let mut now = Nanos(0);
    let mut ahead = |manager: &mut Manager<Lru>, context, start: DeviceAddress, pages| {
        now.0 += 1;
        let mapped = manager.map_span_ahead(context, start.page(), pages, 4, now);
        settle(manager, now);
        mapped.unwrap()
    };
    let (_, one, _) = manager.create_object(first, 256 * PAGE).unwrap();
    let (_, two, _) = manager.create_object(second, 256 * PAGE).unwrap();
    assert_eq!(ahead(&mut manager, first, one, 64).frames, 64);
    // A context with a window counts, and each has a half of 200 frames.
    manager.fault(second, two, HOURS).unwrap();
    settle(&mut manager, HOURS);
    let behind = DeviceAddress(one.0 + 64 * PAGE);
    let mapped = ahead(&mut manager, first, behind, 64);
    assert_eq!(mapped.frames, 32, "a hundred together, in whole windows");
    assert_eq!(mapped.left.map(|(_, why)| why), Some(Refused::Quota));
    let behind = DeviceAddress(two.0 + 4 * PAGE);
    let mapped = ahead(&mut manager, second, behind, 64);
    assert_eq!((mapped.frames, mapped.left), (64, None));
}

#[test]
fn predictions_leave_a_fault_a_whole_window_where_free_frames_lie_apart() {
    let (mut manager, context) = manager();
    let (_, pages, _) = manager.create_object(context, 200 * PAGE).unwrap();
    let (_, other, _) = manager.create_object(context, 64 * PAGE).unwrap();
    let first = pages.page().0;
    let now = Nanos(1);
    // Single pages, of which every other one leaves again.
    for page in first..first + 200 {
        manager
            .map_ahead(context, PageNumber(page), 0, now)
            .unwrap();
    }
    settle(&mut manager, now);
    for page in (first..first + 200).step_by(2) {
        let (window, _) = manager.lookup(context, PageNumber(page)).unwrap();
        manager.touch(window, now);
        assert!(manager.unmap(window, now));
    }
    settle(&mut manager, now);
    // What was free before goes to the last windows of full size.
    let mut windows = 0;
    let why = loop {
        let at = PageNumber(other.page().0 + windows * u64::from(DEMAND));
        let mapped = manager
            .map_span_ahead(context, at, DEMAND.into(), 9, now)
            .unwrap();
        settle(&mut manager, now);
        match mapped.left {
            Some((_, why)) => break why,
            None => windows += 1,
        }
    };
    assert_eq!(why, Refused::NoFrames);
    assert!(
        manager.free_visible() > Frames(2 * DEMAND),
        "a hundred are free"
    );
    let at = DeviceAddress(other.0 + windows * u64::from(DEMAND) * PAGE);
    manager.fault(context, at, now).unwrap();
    settle(&mut manager, now);
    assert!(
        manager.is_visible(context, at.page(), DEMAND.into()),
        "the fault found a whole window"
    );
}
