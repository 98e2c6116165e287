// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver that does not acknowledge: its frames are not used again, its
//! context fails, others go on; an acknowledgement or a reset brings them back.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use augur_memory::{
    Action, Config, ContextId, DeviceAddress, FaultAnswer, Frames, Lru, Manager, MemoryError,
    Nanos, WindowRef,
};

const TIMEOUT: Nanos = Nanos(1_000);

fn manager() -> Manager<Lru> {
    let config = Config {
        memory: Frames(200),
        aperture: Frames(33),
        header: Frames(1),
        demand_window: Frames(1),
        reserve: Frames(0),
        refill: Frames(0),
        speculative: Frames(0),
        probation: Frames(0),
        max_contexts: 4,
        max_objects: 4,
        lease: Nanos(0),
        revoke_timeout: TIMEOUT,
    };
    Manager::new(config, Lru::new(33)).unwrap()
}

/// Carries out all moves; answers what the driver is told.
fn run(manager: &mut Manager<Lru>, now: Nanos) -> Vec<Action> {
    let mut told = Vec::new();
    while let Some(action) = manager.next_action() {
        match action {
            Action::Fill { window, .. } => manager.filled(window, now),
            Action::WriteHome { window, .. } => manager.written_home(window, now),
            Action::Scrub(run) => manager.scrubbed(run),
            told_action => told.push(told_action),
        }
    }
    told
}

fn fill_aperture(manager: &mut Manager<Lru>) -> (ContextId, DeviceAddress) {
    let context = manager.create_context().unwrap();
    let (_, address, _) = manager.create_object(context, 64 * 4096).unwrap();
    for page in 0..32 {
        manager
            .fault(context, DeviceAddress(address.0 + page * 4096), Nanos(0))
            .unwrap();
        run(manager, Nanos(0));
    }
    assert_eq!(manager.free_visible(), Frames(0));
    (context, address)
}

fn revoked(told: &[Action]) -> WindowRef {
    told.iter()
        .find_map(|action| match action {
            Action::Revoke(report) => Some(report.window),
            _ => None,
        })
        .unwrap()
}

#[test]
fn an_acknowledgement_that_never_comes_fails_the_context_and_no_other() {
    let mut manager = manager();
    let (context, address) = fill_aperture(&mut manager);
    let other = manager.create_context().unwrap();
    let (_, other_address, _) = manager.create_object(other, 4096).unwrap();

    let answer = manager
        .fault(context, DeviceAddress(address.0 + 40 * 4096), Nanos(10))
        .unwrap();
    assert_eq!(answer, FaultAnswer::Coming);
    let window = revoked(&run(&mut manager, Nanos(10)));
    manager.tick(Nanos(10) + TIMEOUT);
    let told = run(&mut manager, Nanos(10) + TIMEOUT);
    assert!(told.contains(&Action::ContextFailed(context)));
    assert_eq!(manager.counters().quarantined_frames, 1);
    let failed = manager.fault(context, address, Nanos(2_000));
    assert_eq!(failed, Err(MemoryError::ContextFailed));

    // The other context takes a frame from the failed one, not the lost one.
    manager.fault(other, other_address, Nanos(2_000)).unwrap();
    let next = revoked(&run(&mut manager, Nanos(2_000)));
    assert_ne!(next.slot, window.slot);
    assert!(manager.acknowledged(next, true, Nanos(2_001)));
    run(&mut manager, Nanos(2_001));
    assert!(matches!(
        manager.fault(other, other_address, Nanos(2_002)),
        Ok(FaultAnswer::Live(_))
    ));

    // Late, but it comes.
    assert!(manager.acknowledged(window, true, Nanos(9_000)));
    run(&mut manager, Nanos(9_000));
    assert_eq!(manager.counters().quarantined_frames, 0);
    assert_eq!(manager.free_visible(), Frames(1));
}

#[test]
fn quarantine_outlives_the_context_and_ends_with_the_driver_life() {
    let mut manager = manager();
    let (context, address) = fill_aperture(&mut manager);
    manager
        .fault(context, DeviceAddress(address.0 + 40 * 4096), Nanos(10))
        .unwrap();
    run(&mut manager, Nanos(10));
    manager.tick(Nanos(10) + TIMEOUT);
    manager.destroy_context(context, Nanos(2_000)).unwrap();
    run(&mut manager, Nanos(2_000));
    assert_eq!(manager.free_visible(), Frames(31));
    manager.reset(Nanos(3_000));
    run(&mut manager, Nanos(3_000));
    assert_eq!(manager.free_visible(), Frames(32));
    assert_eq!(manager.counters().quarantined_frames, 0);
}

#[test]
fn idle_contexts_keep_their_guaranteed_windows() {
    let mut manager = manager();
    let idle = manager.create_context().unwrap();
    let (_, idle_address, _) = manager.create_object(idle, 8 * 4096).unwrap();
    for page in 0..8 {
        manager
            .fault(idle, DeviceAddress(idle_address.0 + page * 4096), Nanos(0))
            .unwrap();
        run(&mut manager, Nanos(0));
    }
    let greedy = manager.create_context().unwrap();
    let (_, address, _) = manager.create_object(greedy, 64 * 4096).unwrap();
    for page in 0..64 {
        manager
            .fault(greedy, DeviceAddress(address.0 + page * 4096), Nanos(1))
            .unwrap();
        for action in run(&mut manager, Nanos(1)) {
            if let Action::Revoke(report) = action {
                assert_eq!(report.context, greedy);
                manager.acknowledged(report.window, false, Nanos(1));
            }
        }
        run(&mut manager, Nanos(1));
    }
    assert_eq!(manager.context(idle).unwrap().windows, 8);
    assert_eq!(manager.context(greedy).unwrap().windows, 24);
}
