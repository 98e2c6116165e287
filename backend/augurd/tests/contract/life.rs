// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a good driver does, with every byte checked.

use augur_abi::command::FillParams;
use augur_abi::config::CONFIG_MAGIC;
use augur_abi::control::*;
use augur_abi::header::MAP_HEADER_MAGIC;
use augur_abi::{CardState, Config, EventKind, MapHeader, Opcode, Status};
use augur_card::CardConfig;
use vhost::VhostBackend as _;
use vhost::vhost_user::{VhostUserFrontend as _, VhostUserProtocolFeatures};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::fixture::*;

#[test]
fn the_features_are_those_that_qemu_can_use() {
    let mut machine = Machine::connected(small());
    let features = machine.front_end.get_features().unwrap();
    let expected = [28, 29, 30, 32].iter().map(|bit| 1u64 << bit).sum::<u64>();
    assert_eq!(
        features, expected,
        "INDIRECT, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1"
    );
    let protocol = machine.front_end.get_protocol_features().unwrap();
    let expected = VhostUserProtocolFeatures::CONFIG
        | VhostUserProtocolFeatures::BACKEND_REQ
        | VhostUserProtocolFeatures::BACKEND_SEND_FD
        | VhostUserProtocolFeatures::MQ
        | VhostUserProtocolFeatures::REPLY_ACK
        | VhostUserProtocolFeatures::SHMEM;
    assert_eq!(protocol, expected);
}

#[test]
fn the_config_space_tells_the_cards_sizes() {
    let mut machine = Machine::connected(small());
    let space = machine.config_space(0, 256);
    let (config, rest) = Config::read_from_prefix(&space).unwrap();
    assert_eq!(config.magic, CONFIG_MAGIC);
    assert_eq!(
        (config.memory_bytes, config.aperture_bytes),
        (64 << 20, 1 << 20)
    );
    assert_eq!((config.usable_bytes, config.submit_queues), (63 << 20, 2));
    assert!(rest.iter().all(|&byte| byte == 0));
    let shared = machine.front_end.get_shmem_config().unwrap();
    assert_eq!((shared.nregions, shared.memory_sizes[0]), (1, 1 << 20));
}

#[test]
fn hello_maps_the_aperture_once_and_shows_the_header() {
    let machine = Machine::started(small());
    assert!(
        machine.window.log.lock().unwrap().is_empty(),
        "nothing is mapped before HELLO"
    );
    let mut driver = Driver::ready(machine);
    assert_eq!(*driver.window.log.lock().unwrap(), ["map", "barrier"]);
    let header = MapHeader::read_from_bytes(&driver.window.read(0, MapHeader::BYTES)).unwrap();
    assert_eq!(
        (header.magic, header.life),
        (MAP_HEADER_MAGIC, driver.nonce)
    );
    assert_eq!(header.state, CardState::Running.code());
    // Another HELLO of the same driver: the front end holds a mapping already.
    driver.nonce += 1;
    driver.hello();
    assert_eq!(
        *driver.window.log.lock().unwrap(),
        ["map", "barrier", "unmap", "map", "barrier"]
    );
    driver.context = driver.new_context();
    driver.works();
    // After a reset the front end has dropped it without a word.
    driver.window.log.lock().unwrap().clear();
    let mut driver = driver.rebooted();
    assert_eq!(*driver.window.log.lock().unwrap(), ["map", "barrier"]);
    driver.works();
}

#[test]
fn the_heartbeat_moves() {
    let driver = Driver::ready(Machine::started(small()));
    let beat = || {
        MapHeader::read_from_bytes(&driver.window.read(0, MapHeader::BYTES))
            .unwrap()
            .heartbeat
    };
    let before = beat();
    wait_for("the heartbeat", || (beat() > before + 2).then_some(()));
}

#[test]
fn a_request_of_many_pieces_is_answered_into_many_pieces() {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(4096);
    let header = RequestHeader {
        opcode: Request::Counters.code(),
        ..RequestHeader::default()
    };
    // The request a byte at a time, the answer in pieces of odd sizes, through
    // an indirect table.
    let (request, answer, table) = (DATA, DATA + 4096, DATA + 8192);
    driver.guest.write(request, header.as_bytes());
    let control = &mut driver.queues[0];
    let count: u16 = 8 + 56;
    let mut at = answer;
    for index in 0..count {
        let next = if index + 1 < count { NEXT } else { 0 };
        if index < 8 {
            control.describe_in(table, index, request + u64::from(index), 1, next, index + 1);
        } else {
            let bytes = u32::from(index) % 7 + 6;
            control.describe_in(table, index, at, bytes, next | WRITE, index + 1);
            at += u64::from(bytes);
        }
    }
    let head = control.take_free(1)[0];
    control.describe(head, table, 16 * u32::from(count), INDIRECT, 0);
    control.offer(head);
    control.notify();
    let (used, bytes) = control.wait_used();
    assert_eq!(used, u32::from(head));
    let answer = driver.guest.read(answer, bytes as usize);
    let (header, body) = ResponseHeader::read_from_prefix(&answer).unwrap();
    assert_eq!(header.status, Status::Ok.code());
    let counters = CountersResponse::read_from_bytes(body).unwrap();
    assert_eq!((counters.objects, counters.object_bytes), (1, object.bytes));
}

#[test]
fn requests_that_are_made_available_together_are_answered_in_order() {
    let mut driver = Driver::ready(Machine::started(small()));
    let control = 0;
    let mut heads = Vec::new();
    for number in 0..20u64 {
        let create = ObjectCreateRequest {
            bytes: 4096 * (number + 1),
            flags: 0,
        };
        let header = RequestHeader {
            opcode: Request::ObjectCreate.code(),
            context: driver.context,
            ..RequestHeader::default()
        };
        let at = DATA + 4096 * number;
        driver
            .guest
            .write(at, &[header.as_bytes(), create.as_bytes()].concat());
        let queue = &mut driver.queues[control];
        let indices = queue.take_free(2);
        queue.describe(indices[0], at, 24, NEXT, indices[1]);
        queue.describe(indices[1], at + 2048, 1024, WRITE, 0);
        queue.offer(indices[0]);
        heads.push(indices[0]);
    }
    driver.queues[control].notify();
    let mut last_address = 0;
    for (number, head) in heads.into_iter().enumerate() {
        let (used, bytes) = driver.queues[control].wait_used();
        assert_eq!(used, u32::from(head));
        let answer = driver
            .guest
            .read(DATA + 4096 * number as u64 + 2048, bytes as usize);
        let (_, body) = ResponseHeader::read_from_prefix(&answer).unwrap();
        let made = ObjectCreateResponse::read_from_bytes(body).unwrap();
        assert_eq!(made.bytes, 4096 * (number as u64 + 1));
        assert_ne!(made.device_address, last_address);
        last_address = made.device_address;
    }
}

#[test]
fn a_working_set_larger_than_the_aperture_keeps_every_byte() {
    let mut driver = Driver::ready(Machine::started(small()));
    let pages = 1024u64;
    let object = driver.object(pages * 4096);
    let mut versions = vec![0u64; pages as usize];
    let mut state = 1u64;
    for step in 1..3000u64 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let page = (state >> 33) % pages;
        let address = object.device_address + page * 4096;
        let found = u64::from_le_bytes(driver.load(address, 8).try_into().unwrap());
        assert_eq!(found, versions[page as usize], "page {page}");
        if state & 1 << 40 != 0 {
            versions[page as usize] = step;
            driver.store(address, &step.to_le_bytes());
        }
    }
    let bytes = (pages * 4096) as u32;
    let out = [transfer_out(object.device_address, bytes)];
    assert_eq!(driver.run(&out, &[(DATA, bytes)]), Status::Ok);
    for (page, version) in versions.iter().enumerate() {
        let found = driver.guest.read(DATA + page as u64 * 4096, 8);
        assert_eq!(
            u64::from_le_bytes(found.try_into().unwrap()),
            *version,
            "page {page}"
        );
    }
    let counters = driver.counters();
    assert!(counters.revokes > 100 && counters.clean_drops > 0 && counters.written_home_bytes > 0);
}

#[test]
fn transfers_of_any_offset_and_segments_arrive() {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(4 << 20);
    let cases = [
        (0u64, 1u32),
        (1, 4095),
        (4095, 2),
        (777, 1_000_003),
        (3, 3_000_000),
    ];
    for (round, (start, bytes)) in cases.into_iter().enumerate() {
        let data = pattern(round as u64, bytes as usize);
        let (mut segments, mut at, mut done, mut piece) = (Vec::new(), DATA + 5, 0u32, 1u32);
        while done < bytes {
            let length = piece.min(bytes - done);
            driver
                .guest
                .write(at, &data[done as usize..(done + length) as usize]);
            segments.push((at, length));
            at += u64::from(length) + 3;
            done += length;
            piece = piece * 3 % 9001 + 1;
        }
        // Windows that are live while the transfer runs.
        for page in [0, 40, 200] {
            driver.store(object.device_address + page * 4096 + 4000, b"window");
        }
        let address = object.device_address + start;
        assert_eq!(
            driver.run(&[transfer_in(address, bytes)], &segments),
            Status::Ok
        );
        let back = DATA + (12 << 20);
        assert_eq!(
            driver.run(&[transfer_out(address, bytes)], &[(back, bytes)]),
            Status::Ok
        );
        assert!(
            driver.guest.read(back, bytes as usize) == data,
            "round {round}"
        );
        let last = driver.load(address + u64::from(bytes) - 1, 1);
        assert_eq!(last[0], data[bytes as usize - 1]);
    }
}

#[test]
fn both_submit_queues_complete() {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(1 << 20);
    for round in 0..20u64 {
        let fill = |at: u64| {
            let value = FillParams { value: round + 1 };
            command(
                Opcode::Fill,
                value.as_bytes(),
                &[dense(object.device_address + at, 1000)],
            )
        };
        let first = driver.submit_to(0, &[fill(0)], &[]);
        let second = driver.submit_to(1, &[fill(5000)], &[]);
        assert_eq!(driver.finish(second).status, Status::Ok.code());
        let status = driver.finish(first);
        assert_eq!(
            (status.status, status.failed_command),
            (Status::Ok.code(), 1)
        );
        assert!(status.finished_ns >= status.started_ns && status.started_ns > 0);
        assert_eq!(
            driver.load(object.device_address + 5999, 1),
            [round as u8 + 1]
        );
    }
}

#[test]
fn a_driver_that_posts_no_buffers_is_told_to_resync() {
    let config = CardConfig {
        max_events: 4,
        demand_window_bytes: 4096,
        ..small()
    };
    let mut driver = Driver::with_event_buffers(Machine::started(config), 2).greeted();
    // The driver does not look at what comes, so that the buffers run out.
    let object = driver.object(1 << 20);
    let resync = |driver: &Driver| {
        MapHeader::read_from_bytes(&driver.window.read(0, MapHeader::BYTES))
            .unwrap()
            .resync
    };
    let mut page = 0;
    wait_for("the overflow", || {
        match driver.fault(object.device_address + page % 256 * 4096, false) {
            Ok(_) | Err(Status::Busy) => page += 1,
            Err(status) => panic!("a fault is refused with {status:?}"),
        }
        (resync(&driver) > 0).then_some(())
    });
    wait_for("RESYNC", || {
        driver.handle_events();
        driver.others.contains(&EventKind::Resync).then_some(())
    });
    driver.works();
}

#[test]
fn list_windows_agrees_with_the_events() {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(1 << 20);
    for window in 0..10 {
        driver.touch(object.device_address + window * (16 << 10), false);
    }
    driver.handle_events();
    let mut listed: Vec<_> = driver
        .list_windows()
        .iter()
        .map(|entry| {
            (
                entry.slot,
                entry.generation,
                entry.device_address,
                entry.aperture_offset,
            )
        })
        .collect();
    let mut known: Vec<_> = driver
        .windows
        .iter()
        .map(|(w, _)| (w.slot, w.generation, w.device_address, w.aperture_offset))
        .collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn a_disconnect_ends_the_daemon_well() {
    let mut driver = Driver::ready(Machine::started(small()));
    driver.works();
    let object = driver.object(8 << 20);
    driver.submit(
        &[transfer_out(object.device_address, 8 << 20)],
        &[(DATA, 8 << 20)],
    );
    driver.into_machine().disconnect().unwrap();
}
