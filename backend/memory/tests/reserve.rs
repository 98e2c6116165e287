// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reserve of visible frames: faults find free frames, and what makes room for
//! the next ones is revoked several windows at a time.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use augur_memory::{
    Action, Config, ContextId, DeviceAddress, Frames, Lru, Manager, Nanos, WindowRef,
};

const WINDOW: u64 = 2;
const RESERVE: u32 = 4;
const REFILL: u32 = 8;

fn manager() -> Manager<Lru> {
    let config = Config {
        memory: Frames(600),
        aperture: Frames(65),
        header: Frames(1),
        demand_window: Frames(WINDOW as u32),
        reserve: Frames(RESERVE),
        refill: Frames(REFILL),
        speculative: Frames(0),
        probation: Frames(0),
        max_contexts: 1,
        max_objects: 4,
        lease: Nanos(0),
        revoke_timeout: Nanos(u64::MAX),
    };
    Manager::new(config, Lru::new(65)).unwrap()
}

/// Faults on a window and carries everything out but revokes, which are answered:
/// whether the window was there before any was acknowledged.
fn fault(manager: &mut Manager<Lru>, context: ContextId, address: u64) -> (bool, Vec<WindowRef>) {
    let now = Nanos(1);
    manager.fault(context, DeviceAddress(address), now).unwrap();
    let (mut published, mut revoked) = (false, Vec::new());
    while let Some(action) = manager.next_action() {
        match action {
            Action::Fill { window, .. } => manager.filled(window, now),
            Action::WriteHome { window, .. } => manager.written_home(window, now),
            Action::Publish(_) => published = true,
            Action::Revoke(report) => revoked.push(report.window),
            _ => {}
        }
    }
    (published, revoked)
}

#[test]
fn the_reserve_is_refilled_several_windows_at_a_time() {
    let mut manager = manager();
    let context = manager.create_context().unwrap();
    let (_, start, _) = manager.create_object(context, 400 * 4096).unwrap();
    let (mut revokes, mut messages, mut most) = (0, 0, 0);
    let windows = 200;
    for window in 0..windows {
        let address = start.0 + window * WINDOW * 4096;
        let (published, revoked) = fault(&mut manager, context, address);
        assert!(published, "a frame was free for fault {window}");
        revokes += revoked.len();
        messages += usize::from(!revoked.is_empty());
        most = most.max(revoked.len());
        for window in revoked {
            assert!(manager.acknowledged(window, true, Nanos(1)));
            while let Some(action) = manager.next_action() {
                if let Action::WriteHome { window, .. } = action {
                    manager.written_home(window, Nanos(1));
                }
            }
        }
    }
    // 64 frames are visible to windows: so many go as came beyond them.
    let gone = windows as usize * WINDOW as usize - 64 + RESERVE as usize;
    let gone = gone / WINDOW as usize;
    assert!(
        (gone..=gone + most).contains(&revokes),
        "{revokes} for {gone}"
    );
    let together = (REFILL as usize + WINDOW as usize) / WINDOW as usize;
    assert_eq!(most, together);
    assert_eq!(messages, revokes.div_ceil(together));
}
