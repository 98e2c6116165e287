// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that get another home: when that takes effect, and when it does not.
//! `interleavings` has the bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use augur_memory::{
    Access, Action, Config, ContextId, DeviceAddress, Frame, Frames, HomeRun, Lru, Manager, Nanos,
    NotMoved, ObjectId, RelocationId,
};

const PAGE: u64 = 4096;
const NOW: Nanos = Nanos(1);

struct Fixture {
    manager: Manager<Lru>,
    context: ContextId,
    object: ObjectId,
    address: DeviceAddress,
}

impl Fixture {
    /// One object of 8 pages, the first 4 of which hold data at home.
    fn new() -> Self {
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
            revoke_timeout: Nanos(1000),
        };
        let mut manager = Manager::new(config, Lru::new(33)).unwrap();
        let context = manager.create_context().unwrap();
        let (object, address, _) = manager.create_object(context, 8 * PAGE).unwrap();
        let mut fixture = Fixture {
            manager,
            context,
            object,
            address,
        };
        let pin = fixture.access(4, true);
        fixture.manager.unpin(pin, NOW);
        fixture
    }

    fn access(&mut self, pages: u64, write: bool) -> augur_memory::Pin {
        let access = Access {
            address: self.address,
            bytes: pages * PAGE,
            write,
        };
        self.manager.pin(self.context, &[access], NOW).unwrap()
    }

    fn start(&mut self, page: u64, to: u32, count: u32) -> Result<RelocationId, NotMoved> {
        let first = DeviceAddress(self.address.0 + page * PAGE).page();
        let to = HomeRun {
            first: Frame(to),
            count: Frames(count),
        };
        self.manager.relocate(self.context, self.object, first, to)
    }

    /// First frame and number of frames of each part.
    fn home(&self) -> Vec<(u32, u32)> {
        let parts = self.manager.home_parts();
        parts.map(|it| (it.run.first.0, it.run.count.0)).collect()
    }

    /// All but relocations.
    fn carry_out(&mut self) {
        while let Some(action) = self.manager.next_action() {
            match action {
                Action::Fill { window, .. } => self.manager.filled(window, NOW),
                Action::WriteHome { window, .. } => self.manager.written_home(window, NOW),
                Action::Scrub(run) => self.manager.scrubbed(run),
                _ => {}
            }
        }
    }

    fn is_free(&self, frame: u32) -> bool {
        let mut runs = self.manager.free_home_runs();
        runs.any(|run| (run.first.0..run.first.0 + run.count.0).contains(&frame))
    }
}

#[test]
fn only_what_holds_data_is_copied_and_scrubbed() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.home(), [(33, 8)]);
    let moving = fixture.start(2, 100, 4).unwrap();
    let Some(Action::Relocate { relocation, copies }) = fixture.manager.next_action() else {
        panic!("nothing to copy");
    };
    assert_eq!((relocation, copies.len()), (moving, 1));
    assert_eq!(copies[0].from, Frame(35).offset());
    assert_eq!(copies[0].to, Frame(100).offset());
    assert_eq!(copies[0].bytes, 2 * PAGE);
    assert_eq!(
        (fixture.manager.scrubbing_frames(), fixture.home().len()),
        (4, 1)
    );
    fixture.manager.relocated(moving);
    assert_eq!(fixture.home(), [(33, 2), (100, 4), (39, 2)]);
    assert_eq!(fixture.manager.scattered_objects(), 1);
    // Those without data are free at once.
    assert!(fixture.is_free(37) && !fixture.is_free(35));
    let Some(Action::Scrub(run)) = fixture.manager.next_action() else {
        panic!("nothing to scrub");
    };
    assert_eq!((run.first, run.count), (Frame(35), Frames(2)));
    fixture.manager.scrubbed(run);
    let back = fixture.start(2, 35, 4).unwrap();
    fixture.manager.relocated(back);
    assert_eq!(
        (fixture.home(), fixture.manager.scattered_objects()),
        (vec![(33, 8)], 0)
    );
}

#[test]
fn it_waits_for_readers_and_gives_way_to_whatever_changes_the_pages() {
    let mut fixture = Fixture::new();
    let reader = fixture.access(2, false);
    let moving = fixture.start(0, 100, 8).unwrap();
    fixture.manager.relocated(moving);
    assert_eq!(fixture.home(), [(33, 8)], "what is read stays");
    fixture.manager.unpin(reader, NOW);
    assert_eq!(fixture.home(), [(100, 8)]);
    assert!(!fixture.manager.is_relocating(moving));

    let disturbances: [fn(&mut Fixture); 3] = [
        |fixture| {
            let writer = fixture.access(1, true);
            fixture.manager.unpin(writer, NOW);
        },
        |fixture| {
            let at = fixture.address;
            fixture.manager.fault(fixture.context, at, NOW).unwrap();
        },
        |fixture| {
            let all: Vec<_> = fixture
                .manager
                .published_windows(augur_memory::Slot(0))
                .collect();
            assert!(fixture.manager.unmap(all[0].window, NOW));
            fixture.manager.acknowledged(all[0].window, true, NOW);
        },
    ];
    fixture.carry_out();
    for (number, disturb) in disturbances.iter().enumerate() {
        let moving = fixture.start(0, 33, 8).unwrap();
        disturb(&mut fixture);
        fixture.manager.relocated(moving);
        assert_eq!(fixture.home(), [(100, 8)], "{number}");
        fixture.carry_out();
        assert!(fixture.is_free(33) && fixture.is_free(40), "{number}");
    }
    assert_eq!(fixture.manager.counters().relocations_spoiled, 3);
}

#[test]
fn an_object_that_goes_or_a_place_that_is_taken_ends_it() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.start(0, 34, 8), Err(NotMoved::NotFree));
    assert_eq!(fixture.start(0, 199, 2), Err(NotMoved::NotFree));
    assert_eq!(fixture.start(1, 100, 8), Err(NotMoved::NoObject));
    let moving = fixture.start(0, 100, 8).unwrap();
    assert_eq!(fixture.start(7, 120, 1), Err(NotMoved::Moving));
    fixture.manager.abandon_relocation(moving);
    let (context, object) = (fixture.context, fixture.object);
    fixture
        .manager
        .destroy_object(context, object, NOW)
        .unwrap();
    fixture.manager.relocated(moving);
    fixture.carry_out();
    assert_eq!(fixture.manager.free_home(), 200 - 33);
    assert_eq!(fixture.manager.scrubbing_frames(), 0);
}
