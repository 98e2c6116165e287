// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that misuses the card. Each test ends with a good driver being
//! served.

use augur_abi::command::FillParams;
use augur_abi::control::*;
use augur_abi::submit::{SubmitHeader, SubmitStatus};
use augur_abi::{EventKind, Opcode, Status};
use augur_card::CardConfig;
use vhost::{VhostBackend as _, VhostUserMemoryRegionInfo};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::fixture::*;

const MIB: u32 = 1 << 20;

fn driver() -> Driver {
    Driver::ready(Machine::started(small()))
}

fn fill(address: u64, bytes: u32, value: u64) -> Vec<u8> {
    command(
        Opcode::Fill,
        FillParams { value }.as_bytes(),
        &[dense(address, bytes)],
    )
}

fn ends_well(mut driver: Driver) {
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

/// Once the aperture is mapped, the front end lists it among the guest's memory.
#[test]
fn dma_target_is_own_aperture() {
    let mut driver = driver();
    let object = driver.object(1 << 20).device_address;
    let at = driver.touch(object, true);
    let aperture = 256 << 20;
    let region = driver.window.as_memory_region(aperture);
    let table: Vec<VhostUserMemoryRegionInfo> =
        driver.guest.table().into_iter().chain([region]).collect();
    driver.front_end.set_mem_table(&table).unwrap();
    driver.window.write(at, &[0x77; 64]);
    for list in [transfer_out(object, 4096), transfer_in(object, 4096)] {
        let status = driver.run(&[list], &[(aperture + at, 4096)]);
        assert_eq!(status, Status::BadAddress);
    }
    assert_eq!(driver.window.read(at, 64), [0x77; 64]);
    // Nor can a request be there.
    driver.queues[0].describe(5, aperture, 8, NEXT, 6);
    driver.queues[0].describe(6, DATA, 64, WRITE, 0);
    driver.queues[0].offer(5);
    driver.queues[0].notify();
    assert_eq!(driver.queues[0].wait_used(), (5, 0));
    ends_well(driver);
}

#[test]
fn dma_overlapping() {
    let mut driver = driver();
    let object = driver.object(MIB.into()).device_address;
    driver.guest.write(DATA, &pattern(3, MIB as usize));
    // The same guest bytes again and again, in both directions at once.
    let segments: Vec<_> = (0..256).map(|index| (DATA + index % 7, 4096)).collect();
    let first = driver.submit_to(0, &[transfer_in(object, MIB)], &segments);
    let second = driver.submit_to(1, &[transfer_out(object, MIB)], &segments);
    for submission in [first, second] {
        assert_eq!(driver.finish(submission).status, Status::Ok.code());
    }
    ends_well(driver);
}

#[test]
fn dma_len_zero() {
    let mut driver = driver();
    let object = driver.object(MIB.into()).device_address;
    for segments in [
        &[(DATA, 0)][..],
        &[(DATA, 4096), (DATA, 0)],
        &[(DATA, 0), (DATA, 4096)],
    ] {
        assert_ne!(
            driver.run(&[transfer_in(object, 4096)], segments),
            Status::Ok
        );
    }
    assert_ne!(
        driver.run(&[transfer_in(object, 0)], &[(DATA, 4096)]),
        Status::Ok
    );
    // A transfer command without a transfer.
    assert_ne!(driver.run(&[transfer_in(object, 4096)], &[]), Status::Ok);
    ends_well(driver);
}

#[test]
fn dma_overflow_device_memory() {
    let mut driver = driver();
    let object = driver.object(MIB.into()).device_address;
    let end = object + u64::from(MIB);
    let ranges = [
        (end, 1),
        (end - 1, 2),
        (object, MIB + 1),
        (object.wrapping_sub(1), 2),
        (u64::MAX, 2),
        (u64::MAX - 4095, 4096),
        (object, u32::MAX),
        (1 << 47, 4096),
    ];
    for (address, bytes) in ranges {
        let segment = [(DATA, bytes.min(16 * MIB))];
        for list in [transfer_in(address, bytes), transfer_out(address, bytes)] {
            assert_ne!(
                driver.run(&[list], &segment),
                Status::Ok,
                "{address:#x} {bytes:#x}"
            );
        }
        assert_ne!(driver.run(&[fill(address, bytes, 1)], &[]), Status::Ok);
    }
    ends_well(driver);
}

/// Windows come and go under transfers that use the same memory.
#[test]
fn map_unmap_race() {
    let mut driver = driver();
    let bytes = 4 * MIB;
    let object = driver.object(bytes.into()).device_address;
    driver.guest.write(DATA, &pattern(5, bytes as usize));
    for round in 0..40u64 {
        let load = driver.submit(&[transfer_in(object, bytes)], &[(DATA, bytes)]);
        for step in 0..30 {
            let page = (round * 31 + step * 67) % 1024;
            match driver.fault(object + page * 4096, step % 2 == 0) {
                Ok(_) | Err(Status::Busy) => {}
                Err(status) => panic!("a fault is refused with {status:?}"),
            }
            driver.handle_events();
        }
        assert_eq!(driver.finish(load).status, Status::Ok.code());
    }
    let back = DATA + (8 << 20);
    assert_eq!(
        driver.run(&[transfer_out(object, bytes)], &[(back, bytes)]),
        Status::Ok
    );
    let found = driver.guest.read(back, bytes as usize);
    assert!(found == driver.guest.read(DATA, bytes as usize));
    ends_well(driver);
}

/// Faults for pages of a window that is there, or is coming, make no second one.
#[test]
fn map_overlapping() {
    let mut driver = driver();
    let object = driver.object(MIB.into()).device_address;
    for _ in 0..100 {
        for page in 0..4 {
            driver.fault(object + page * 4096, false).unwrap();
        }
    }
    wait_for("the window", || {
        driver.handle_events();
        (!driver.windows.is_empty()).then_some(())
    });
    let listed = driver.list_windows();
    assert_eq!(listed.len(), 1, "{listed:?}");
    ends_well(driver);
}

#[test]
fn offset_unaligned() {
    let mut driver = driver();
    let object = driver.object(MIB.into()).device_address;
    // Faults may come at any byte; elements only where they are aligned.
    driver.fault(object + 1, false).unwrap();
    driver.fault(object + 4095, true).unwrap();
    let mut operand = dense(object + 2, 16);
    operand.data_type = augur_abi::DataType::F32.code();
    operand.stride[0] = 4;
    let list = command(Opcode::Fill, FillParams { value: 1 }.as_bytes(), &[operand]);
    assert_ne!(driver.run(&[list], &[]), Status::Ok);
    // A segment table that is not on a page.
    let header = SubmitHeader {
        context: driver.context,
        list_bytes: transfer_in(object, 4096).len() as u32,
        command_count: 1,
        transfer_count: 1,
        ..SubmitHeader::default()
    };
    let mut list = [header.as_bytes(), &transfer_in(object, 4096)].concat();
    for value in [DATA + 8, 4096u64] {
        list.extend_from_slice(&value.to_le_bytes());
    }
    let (at, status) = (DATA + (1 << 20), DATA + (2 << 20));
    driver.guest.write(at, &list);
    let queue = &mut driver.queues[2];
    queue.describe(5, at, list.len() as u32, NEXT, 6);
    queue.describe(6, status, SubmitStatus::BYTES as u32, WRITE, 0);
    queue.offer(5);
    queue.notify();
    queue.wait_used();
    let status = driver.guest.read(status, SubmitStatus::BYTES);
    let status = SubmitStatus::read_from_bytes(&status).unwrap();
    assert_ne!(status.status, Status::Ok.code());
    ends_well(driver);
}

#[test]
fn command_for_freed_region() {
    let mut driver = driver();
    let object = driver.object(4 << 20);
    let running = driver.submit(&[fill(object.device_address, 4 * MIB, 1)], &[]);
    let destroy = ObjectDestroyRequest {
        object: object.object,
    };
    driver
        .ask_bytes(Request::ObjectDestroy, driver.context, destroy.as_bytes())
        .unwrap();
    let ended = driver.finish(running).status;
    let may = [Status::Ok, Status::NoObject, Status::Cancelled].map(Status::code);
    assert!(may.contains(&ended), "{ended}");
    let status = driver.run(&[fill(object.device_address, MIB, 2)], &[]);
    assert!(
        matches!(status, Status::NoObject | Status::BadOperand),
        "{status:?}"
    );
    assert!(driver.fault(object.device_address, true).is_err());
    ends_well(driver);
}

#[test]
fn handle_reuse_after_free() {
    let mut driver = driver();
    let mut seen = Vec::new();
    for _ in 0..50 {
        let object = driver.object(4096).object;
        assert!(!seen.contains(&object), "an object id is used again");
        let destroy = ObjectDestroyRequest { object };
        let context = driver.context;
        driver
            .ask_bytes(Request::ObjectDestroy, context, destroy.as_bytes())
            .unwrap();
        let again = driver.ask_bytes(Request::ObjectDestroy, context, destroy.as_bytes());
        assert_eq!(again, Err(Status::NoObject));
        seen.push(object);
    }
    let old = driver.context;
    driver.ask_bytes(Request::ContextDestroy, old, &[]).unwrap();
    assert_eq!(
        driver.ask_bytes(Request::ContextDestroy, old, &[]),
        Err(Status::NoContext)
    );
    driver.context = driver.new_context();
    assert_ne!(driver.context, old);
    ends_well(driver);
}

#[test]
fn cross_context_handle() {
    let mut driver = driver();
    let object = driver.object(MIB.into());
    let first = driver.context;
    driver.context = driver.new_context();
    let destroy = ObjectDestroyRequest {
        object: object.object,
    };
    let context = driver.context;
    let refused = driver.ask_bytes(Request::ObjectDestroy, context, destroy.as_bytes());
    assert_eq!(refused, Err(Status::NoObject));
    assert!(driver.fault(object.device_address, true).is_err());
    assert_ne!(
        driver.run(&[fill(object.device_address, 4096, 1)], &[]),
        Status::Ok
    );
    for context in [0, u32::MAX, driver.context + 1] {
        let create = ObjectCreateRequest {
            bytes: 4096,
            flags: 0,
        };
        let refused = driver.ask_bytes(Request::ObjectCreate, context, create.as_bytes());
        assert_eq!(refused, Err(Status::NoContext));
    }
    // The first context has lost nothing.
    driver.context = first;
    assert_eq!(driver.load(object.device_address, 4096), [0; 4096]);
    ends_well(driver);
}

#[test]
fn starve_other_context() {
    const TURNS: usize = 8;
    let mut driver = driver();
    let busy = driver.object(16 << 20).device_address;
    let hungry = driver.context;
    let other = driver.new_context();
    driver.context = other;
    let small = driver.object(4096).device_address;
    // Queue 0 never runs dry of long lists of one context.
    let long: Vec<_> = (0..8).map(|value| fill(busy, 16 * MIB, value)).collect();
    // Whoever is starved is so each time; the long lists may also have ended while this
    // thread stood still, but not again and again.
    wait_for("a small list that need not wait for long ones", || {
        driver.context = hungry;
        for _ in 0..TURNS {
            driver.submit_to(0, &long, &[]);
        }
        driver.context = other;
        let urgent = driver.submit_to(1, &[fill(small, 4096, 7)], &[]);
        let urgent = driver.finish(urgent);
        assert_eq!(urgent.status, Status::Ok.code());
        let mut turns = Vec::new();
        wait_for("the long lists", || {
            turns.extend(driver.ended(2));
            (turns.len() == TURNS).then_some(())
        });
        let last = turns.iter().map(|(_, turn)| turn.finished_ns).max();
        (Some(urgent.finished_ns) < last).then_some(())
    });
    driver.context = hungry;
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn alloc_exhaustion_bounded() {
    let config = CardConfig {
        max_objects: 100,
        max_contexts: 4,
        ..small()
    };
    let mut driver = Driver::ready(Machine::started(config));
    let mut ask = |bytes: u64| {
        let create = ObjectCreateRequest { bytes, flags: 0 };
        let context = driver.context;
        driver
            .ask_bytes(Request::ObjectCreate, context, create.as_bytes())
            .map(|_| ())
    };
    for bytes in [0, u64::MAX, u64::MAX - 4095, 1 << 62] {
        assert!(ask(bytes).is_err());
    }
    assert_eq!(ask(64 << 20), Err(Status::NoMemory));
    let made = (0..1000).take_while(|_| ask(4096) == Ok(())).count();
    assert!((1..=100).contains(&made), "{made} objects");
    let mut contexts = 0;
    let create = ContextCreateRequest {
        priority: 1,
        ..ContextCreateRequest::default()
    };
    while driver
        .ask_bytes(Request::ContextCreate, 0, create.as_bytes())
        .is_ok()
    {
        contexts += 1;
        assert!(contexts < 4);
    }
    driver.serves_a_good_driver_afterwards();
}

/// As many submissions as the queues take, each as large as may be.
#[test]
fn unbounded_inflight() {
    let config = CardConfig {
        max_inflight_bytes: 4 << 20,
        ..small()
    };
    let mut driver = Driver::ready(Machine::started(config));
    let object = driver.object(8 << 20).device_address;
    let commands: Vec<_> = (0..5000)
        .map(|value| fill(object, 8 * MIB, value % 256))
        .collect();
    let list = commands.concat();
    let header = SubmitHeader {
        context: driver.context,
        list_bytes: list.len() as u32,
        command_count: commands.len() as u32,
        ..SubmitHeader::default()
    };
    let list = [header.as_bytes(), &list].concat();
    driver.guest.write(DATA, &list);
    let status = DATA + (4 << 20);
    for number in [2, 3] {
        let queue = &mut driver.queues[number];
        for _ in 0..QUEUE_SIZE / 2 {
            queue.add(
                &[(DATA, list.len() as u32)],
                &[(status, SubmitStatus::BYTES as u32)],
            );
        }
    }
    // Most are refused with BUSY; the memory in flight stays below the limit.
    let mut used = 0;
    wait_for("refusals", || {
        used += driver.queues[2].all_used().len() + driver.queues[3].all_used().len();
        (used >= usize::from(QUEUE_SIZE) - 16).then_some(())
    });
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn dependency_cycle() {
    let mut driver = driver();
    let a = driver.object(4096).device_address;
    let b = driver.object(4096).device_address;
    let copy = |to, from| command(Opcode::Copy, &[], &[dense(to, 4096), dense(from, 4096)]);
    // Each list reads what the other writes, on two queues at once.
    for _ in 0..200 {
        let first = driver.submit_to(0, &[copy(a, b), copy(b, a), copy(a, b)], &[]);
        let second = driver.submit_to(1, &[copy(b, a), copy(a, b), copy(b, a)], &[]);
        assert_eq!(driver.finish(first).status, Status::Ok.code());
        assert_eq!(driver.finish(second).status, Status::Ok.code());
    }
    ends_well(driver);
}

#[test]
fn leak_between_contexts() {
    let mut driver = driver();
    let object = driver.object(32 << 20).device_address;
    assert_eq!(driver.run(&[fill(object, 32 * MIB, 0xa5)], &[]), Status::Ok);
    driver.store(object, &[0xa5; 4096]);
    let old = driver.context;
    driver.ask_bytes(Request::ContextDestroy, old, &[]).unwrap();
    driver.windows.clear();
    driver.context = driver.new_context();
    let object = driver.object(63 << 20).device_address;
    for part in 0..4 {
        let bytes = 15 * MIB;
        let address = object + u64::from(part * bytes);
        assert_eq!(
            driver.run(&[transfer_out(address, bytes)], &[(DATA, bytes)]),
            Status::Ok
        );
        let found = driver.guest.read(DATA, bytes as usize);
        assert!(
            found.iter().all(|&byte| byte == 0),
            "another context's bytes are visible"
        );
    }
    for page in (0..1024).step_by(7) {
        let found = driver.load(object + page * 4096, 4096);
        assert!(
            found.iter().all(|&byte| byte == 0),
            "a window shows another context's bytes"
        );
    }
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn memory_zeroed_between_contexts() {
    let mut driver = driver();
    let object = driver.object(8 << 20).device_address;
    for page in 0..512 {
        driver.store(object + page * 4096, &[0x3c; 4096]);
    }
    let mut driver = driver.rebooted();
    let object = driver.object(32 << 20).device_address;
    for page in 0..1024 {
        let found = driver.load(object + page * 4096, 4096);
        assert!(found.iter().all(|&byte| byte == 0), "page {page}");
    }
    ends_well(driver);
}

/// A revoke that is never acknowledged costs its context, not the card.
#[test]
fn revokes_that_are_not_acknowledged() {
    let config = CardConfig {
        revoke_timeout_ms: 50,
        ..small()
    };
    let mut driver = Driver::ready(Machine::started(config));
    let object = driver.object(4 << 20).device_address;
    driver.withheld = Some(Vec::new());
    let mut page = 0;
    wait_for("the context to fail", || {
        driver.handle_events();
        if driver.fault(object + page % 1024 * 4096, true).is_ok() {
            page += 4;
        }
        driver
            .others
            .contains(&EventKind::ContextFailed)
            .then_some(())
    });
    assert!(driver.counters().quarantined_bytes > 0);
    assert_eq!(
        driver.fault(object, false).map(|_| ()),
        Err(Status::ContextFailed)
    );
    // Late acknowledgements give the frames back.
    driver.acknowledge_withheld();
    let old = driver.context;
    driver.ask_bytes(Request::ContextDestroy, old, &[]).unwrap();
    driver.windows.clear();
    driver.context = driver.new_context();
    ends_well(driver);
}

/// Requests of random bytes, and right ones with random fields.
#[test]
fn requests_of_any_bytes() {
    let mut driver = driver();
    for seed in 0..3000u64 {
        let bytes = pattern(seed + 1, 8 + (seed % 64) as usize);
        let mut request = bytes.clone();
        if seed % 2 == 0 {
            request[0] = 2 + (seed % 9) as u8;
            request[1..4].fill(0);
            let context = driver.context;
            request[4..8].copy_from_slice(&context.to_le_bytes());
        }
        driver.send_bytes(&request);
        // Whatever the answer is.
        let _ = driver.answer();
    }
    for seed in 0..1000 {
        let mut list = pattern(seed + 1, 24 + (seed % 256) as usize);
        list[0..4].copy_from_slice(&driver.context.to_le_bytes());
        list[4..8].fill(0);
        driver.guest.write(DATA, &list);
        let queue = &mut driver.queues[2];
        let status = (DATA + 4096, SubmitStatus::BYTES as u32);
        let indices = queue.add(&[(DATA, list.len() as u32)], &[status]);
        queue.wait_used();
        queue.give_free(&indices);
    }
    driver.serves_a_good_driver_afterwards();
}
