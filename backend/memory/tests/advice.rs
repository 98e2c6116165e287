// SPDX-License-Identifier: MIT OR Apache-2.0
//! Advice changes which windows are there, within bounds, and is forgotten with
//! the object it is about.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use augur_memory::{
    Action, Advice, Config, ContextId, DeviceAddress, Frames, Lru, Manager, MemoryError, Nanos,
    PageNumber, WindowReport,
};

const PAGE: u64 = 4096;
/// Visible frames; an eighth may be pinned by a context.
const APERTURE: u32 = 257;

fn manager() -> Manager<Lru> {
    let config = Config {
        memory: Frames(4096),
        aperture: Frames(APERTURE),
        header: Frames(1),
        demand_window: Frames(4),
        reserve: Frames(0),
        refill: Frames(0),
        speculative: Frames(128),
        probation: Frames(0),
        max_contexts: 4,
        max_objects: 8,
        lease: Nanos(0),
        revoke_timeout: Nanos(1_000_000),
    };
    Manager::new(config, Lru::new(APERTURE as usize)).unwrap()
}

/// Carries out all moves, acknowledges every revoke as dirty, and answers the
/// windows that were published.
fn run(manager: &mut Manager<Lru>) -> Vec<WindowReport> {
    run_with(manager, true)
}

/// The same for a guest that has written all windows, or none.
fn run_with(manager: &mut Manager<Lru>, dirty: bool) -> Vec<WindowReport> {
    let mut published = Vec::new();
    while let Some(action) = manager.next_action() {
        match action {
            Action::Fill { window, .. } => manager.filled(window, Nanos(0)),
            Action::WriteHome { window, .. } => manager.written_home(window, Nanos(0)),
            Action::Scrub(run) => manager.scrubbed(run),
            Action::Publish(report) => published.push(report),
            Action::Revoke(report) => {
                manager.acknowledged(report.window, dirty, Nanos(0));
            }
            _ => {}
        }
    }
    published
}

struct Fixture {
    manager: Manager<Lru>,
    context: ContextId,
    address: DeviceAddress,
}

impl Fixture {
    /// A context with an object of `pages` pages.
    fn new(pages: u64) -> Self {
        let mut manager = manager();
        let context = manager.create_context().unwrap();
        let (_, address, _) = manager.create_object(context, pages * PAGE).unwrap();
        Fixture {
            manager,
            context,
            address,
        }
    }

    fn at(&self, page: u64) -> DeviceAddress {
        DeviceAddress(self.address.0 + page * PAGE)
    }

    fn advise(&mut self, page: u64, pages: u64, advice: Advice) -> Result<(), MemoryError> {
        let at = self.at(page);
        self.manager
            .advise(self.context, at, pages * PAGE, advice, Nanos(0))
    }

    fn touch(&mut self, page: u64) -> Vec<WindowReport> {
        let at = self.at(page);
        self.manager.fault(self.context, at, Nanos(0)).unwrap();
        run(&mut self.manager)
    }

    fn is_mapped(&self, page: u64) -> bool {
        let page = PageNumber(self.address.0 / PAGE + page);
        self.manager.lookup(self.context, page).is_some()
    }

    fn mapped(&self, pages: std::ops::Range<u64>) -> usize {
        pages.filter(|&page| self.is_mapped(page)).count()
    }
}

#[test]
fn what_will_be_needed_is_mapped_ahead_even_when_room_has_to_be_made() {
    let mut fixture = Fixture::new(1024);
    fixture.advise(0, 64, Advice::WillNeed).unwrap();
    run(&mut fixture.manager);
    assert_eq!(fixture.mapped(0..64), 64);
    assert_eq!(fixture.manager.counters().faults, 0);

    for page in (64..1024).step_by(4) {
        fixture.touch(page);
    }
    assert_eq!(fixture.manager.free_visible(), Frames(0));
    assert!(!fixture.is_mapped(200));
    fixture.advise(200, 32, Advice::WillNeed).unwrap();
    run(&mut fixture.manager);
    assert_eq!(fixture.mapped(200..232), 32);
}

#[test]
fn what_was_mapped_ahead_and_not_written_leaves_without_a_copy() {
    let mut fixture = Fixture::new(1024);
    for dirty in [true, false] {
        let before = fixture.manager.counters();
        let (copied_before, dropped_before) = (before.written_home_bytes, before.clean_drops);
        fixture.advise(0, 64, Advice::WillNeed).unwrap();
        run_with(&mut fixture.manager, dirty);
        assert_eq!(fixture.mapped(0..64), 64);
        for page in (64..1024).step_by(4) {
            let at = fixture.at(page);
            let context = fixture.context;
            fixture.manager.fault(context, at, Nanos(0)).unwrap();
            run_with(&mut fixture.manager, dirty);
        }
        assert_eq!(fixture.mapped(0..64), 0);
        let after = fixture.manager.counters();
        assert_eq!(after.written_home_bytes > copied_before, dirty);
        assert_eq!(after.clean_drops > dropped_before, !dirty);
    }
}

#[test]
fn a_fault_in_a_sequential_range_maps_what_follows_and_nothing_behind_the_object() {
    let mut fixture = Fixture::new(64);
    fixture.touch(0);
    assert_eq!(fixture.mapped(0..64), 4);
    fixture.advise(4, 60, Advice::Sequential).unwrap();
    fixture.touch(4);
    assert_eq!(fixture.mapped(4..64), 36);
    fixture.touch(60);
    assert_eq!(fixture.mapped(60..64), 4);
    fixture.advise(0, 64, Advice::Normal).unwrap();
    fixture.touch(40);
    assert_eq!(fixture.mapped(40..60), 4);
}

#[test]
fn a_fault_in_a_random_range_maps_a_page_and_nothing_is_predicted_there() {
    let mut fixture = Fixture::new(64);
    fixture.advise(8, 16, Advice::Random).unwrap();
    let windows = fixture.touch(9);
    assert_eq!(windows.iter().map(|window| window.bytes).sum::<u64>(), PAGE);
    let first = PageNumber(fixture.address.0 / PAGE);
    let context = fixture.context;
    fixture
        .manager
        .map_span_ahead(context, first, 64, 9, Nanos(0))
        .unwrap();
    run(&mut fixture.manager);
    assert_eq!(fixture.mapped(8..24), 1);
    assert_eq!(fixture.mapped(0..8), 8);
    assert_eq!(fixture.mapped(24..64), 40);
}

#[test]
fn pinned_windows_stay_until_they_are_unpinned() {
    let mut fixture = Fixture::new(2048);
    fixture.advise(0, 32, Advice::Pin).unwrap();
    run(&mut fixture.manager);
    assert_eq!(fixture.mapped(0..32), 32);
    for page in (32..2048).step_by(4) {
        fixture.touch(page);
    }
    assert_eq!(fixture.mapped(0..32), 32);
    fixture.advise(0, 32, Advice::Unpin).unwrap();
    for page in (32..2048).step_by(4) {
        fixture.touch(page);
    }
    assert_eq!(fixture.mapped(0..32), 0);
}

#[test]
fn a_window_that_reaches_out_of_what_is_pinned_is_made_smaller() {
    let mut fixture = Fixture::new(64);
    fixture.advise(0, 64, Advice::WillNeed).unwrap();
    run(&mut fixture.manager);
    fixture.advise(5, 1, Advice::Pin).unwrap();
    run(&mut fixture.manager);
    fixture.touch(5);
    let page = PageNumber(fixture.address.0 / PAGE + 5);
    let (window, _) = fixture.manager.lookup(fixture.context, page).unwrap();
    let report = fixture.manager.report(window.slot).unwrap();
    assert_eq!(report.bytes, 4 * PAGE);
}

#[test]
fn pins_are_bounded_per_context_and_in_all_and_end_with_their_object() {
    let mut manager = manager();
    let limit = u64::from(APERTURE) / 8;
    let mut contexts = Vec::new();
    for _ in 0..3 {
        let context = manager.create_context().unwrap();
        let (object, address, _) = manager.create_object(context, 256 * PAGE).unwrap();
        contexts.push((context, object, address));
    }
    let pin = |manager: &mut Manager<Lru>, index: usize, pages: u64| {
        let (context, _, address): (ContextId, _, DeviceAddress) = contexts[index];
        manager.advise(context, address, pages * PAGE, Advice::Pin, Nanos(0))
    };
    assert_eq!(pin(&mut manager, 0, limit + 4), Err(MemoryError::NoMemory));
    pin(&mut manager, 0, limit).unwrap();
    pin(&mut manager, 0, limit).unwrap();
    pin(&mut manager, 1, limit).unwrap();
    assert_eq!(pin(&mut manager, 2, 4), Err(MemoryError::NoMemory));
    let (context, object, _) = contexts[0];
    manager.destroy_object(context, object, Nanos(0)).unwrap();
    pin(&mut manager, 2, limit).unwrap();
    manager.destroy_context(contexts[1].0, Nanos(0)).unwrap();
    run(&mut manager);
}

#[test]
fn advice_that_names_no_object_or_is_too_fragmented_is_refused() {
    let mut fixture = Fixture::new(1024);
    let other = fixture.manager.create_context().unwrap();
    let at = fixture.at(0);
    let pin = |manager: &mut Manager<Lru>, context, bytes| {
        manager.advise(context, at, bytes, Advice::Random, Nanos(0))
    };
    assert_eq!(
        pin(&mut fixture.manager, other, PAGE),
        Err(MemoryError::NoObject)
    );
    let context = fixture.context;
    for bytes in [0, 1025 * PAGE, u64::MAX] {
        let answer = pin(&mut fixture.manager, context, bytes);
        assert_eq!(answer, Err(MemoryError::NoObject), "{bytes}");
    }
    let refused = (0..512).find_map(|index| fixture.advise(2 * index, 1, Advice::Random).err());
    assert_eq!(refused, Some(MemoryError::NoMemory));
}
