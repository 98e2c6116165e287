// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver's life without a transport: requests, faults, revokes, transfers and
//! commands, straight through the card's interface, with every byte checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod cancel;
mod driver;
mod hints;
mod lists;
mod parts;
mod placement;
mod prediction;
mod shares;
mod victims;

use std::sync::mpsc::channel;

use augur_abi::command::{
    ElementwiseParams, FillParams, MatmulParams, ReduceKind, ReduceParams, SoftmaxParams,
};
use augur_abi::control::*;
use augur_abi::submit::{Segment, SegmentTablePage, SubmitHeader, Transfer};
use augur_abi::{DataType, Opcode, Status};
use zerocopy::IntoBytes;

use driver::*;

#[test]
fn a_working_set_larger_than_the_aperture_keeps_every_byte() {
    let mut driver = Driver::start(small());
    let pages = 1024u64;
    let object = driver.object(pages * 4096);
    let mut versions = vec![0u64; pages as usize];
    let mut state = 1u64;
    for step in 1..6000u64 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let page = (state >> 33) % pages;
        let address = object.device_address + page * 4096;
        let mut found = [0; 8];
        driver.read(address, &mut found);
        assert_eq!(
            u64::from_le_bytes(found),
            versions[page as usize],
            "page {page}"
        );
        if state & 1 << 40 != 0 {
            versions[page as usize] = step;
            driver.write(address, &step.to_le_bytes());
        }
    }
    // What the guest wrote through windows is what DMA reads.
    let length = (pages * 4096) as u32;
    let status = driver.run(
        &[transfer(
            Opcode::TransferOut,
            object.device_address,
            length,
            0,
        )],
        &[(0, length)],
    );
    assert_eq!(status.status, Status::Ok.code());
    for (page, version) in versions.iter().enumerate() {
        let mut found = [0; 8];
        driver.guest_read(page as u64 * 4096, &mut found);
        assert_eq!(u64::from_le_bytes(found), *version, "page {page}");
    }
    let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
    assert!(counters.revokes > 100 && counters.clean_drops > 0 && counters.written_home_bytes > 0);
}

#[test]
fn transfers_of_any_offset_and_segments_arrive() {
    let mut driver = Driver::start(small());
    let object = driver.object(4 << 20);
    for (round, &(start, bytes)) in [
        (0u64, 1u32),
        (1, 4095),
        (4095, 2),
        (777, 1_000_003),
        (3, 3_000_000),
    ]
    .iter()
    .enumerate()
    {
        let data = pattern(round as u64, bytes as usize);
        // Scattered over guest memory in pieces of odd sizes.
        let (mut segments, mut at, mut done, mut piece) = (Vec::new(), 5u64, 0u32, 1u32);
        while done < bytes {
            let length = piece.min(bytes - done);
            driver.guest_write(at, &data[done as usize..(done + length) as usize]);
            segments.push((at, length));
            at += u64::from(length) + 3;
            done += length;
            piece = piece * 3 % 9001 + 1;
        }
        // A few windows are live meanwhile.
        for page in [0, 40, 200] {
            driver.write(object.device_address + page * 4096 + 4000, b"window");
        }
        let address = object.device_address + start;
        assert_eq!(
            driver
                .run(
                    &[transfer(Opcode::TransferIn, address, bytes, 0)],
                    &segments
                )
                .status,
            0
        );
        assert_eq!(
            driver
                .run(
                    &[transfer(Opcode::TransferOut, address, bytes, 0)],
                    &[(16 << 20, bytes)]
                )
                .status,
            0
        );
        let mut back = vec![0; bytes as usize];
        driver.guest_read(16 << 20, &mut back);
        assert!(back == data, "round {round}");
        let mut last = [0];
        driver.read(address + u64::from(bytes) - 1, &mut last);
        assert_eq!(last[0], data[bytes as usize - 1]);
    }
}

#[test]
fn commands_see_windows_and_windows_see_commands() {
    let mut driver = Driver::start(small());
    let n = 96u32;
    let bytes = u64::from(n * n * 4);
    let (a, b, c) = (
        driver.object(bytes).device_address,
        driver.object(bytes).device_address,
        driver.object(bytes).device_address,
    );
    // A is written through windows, B by a command: the identity times two.
    for row in 0..n {
        let values: Vec<f32> = (0..n).map(|column| (row * 7 + column) as f32).collect();
        for (index, value) in values.iter().enumerate() {
            driver.write(
                a + u64::from(row * n * 4) + 4 * index as u64,
                &value.to_le_bytes(),
            );
        }
    }
    let mut diagonal = dense(b, DataType::F32, &[n]);
    diagonal.stride[0] = u64::from(n * 4 + 4);
    let square = |address| dense(address, DataType::F32, &[n, n]);
    let list = [
        command(
            Opcode::Fill,
            FillParams { value: 0 }.as_bytes(),
            &[square(b)],
        ),
        command(
            Opcode::Fill,
            FillParams {
                value: u64::from(2f32.to_bits()),
            }
            .as_bytes(),
            &[diagonal],
        ),
        command(
            Opcode::Matmul,
            MatmulParams::default().as_bytes(),
            &[square(c), square(a), square(b)],
        ),
        command(
            Opcode::Add,
            ElementwiseParams::default().as_bytes(),
            &[square(c), square(c), square(a)],
        ),
    ];
    let status = driver.run(&list, &[]);
    assert_eq!(
        (status.status, status.failed_command),
        (Status::Ok.code(), 4)
    );
    assert!(status.started_ns > 0 && status.finished_ns >= status.started_ns);
    for row in [0, 1, 50, n - 1] {
        for column in [0, 3, n - 1] {
            let mut found = [0; 4];
            driver.read(c + u64::from((row * n + column) * 4), &mut found);
            assert_eq!(f32::from_le_bytes(found), 3.0 * (row * 7 + column) as f32);
        }
    }
}

#[test]
fn an_operand_that_leaves_its_object_is_bad_and_one_outside_has_no_object() {
    let mut driver = Driver::start(small());
    let object = driver.object(8192);
    let fill = |address| {
        command(
            Opcode::Fill,
            FillParams { value: 0x55 }.as_bytes(),
            &[dense(address, DataType::U8, &[200])],
        )
    };
    let end = object.device_address + object.bytes;
    for (address, expected) in [
        (end - 200, Status::Ok),
        (end - 199, Status::BadOperand),
        (end - 1, Status::BadOperand),
        (end, Status::NoObject),
        (object.device_address - 1, Status::NoObject),
    ] {
        let status = driver.run(&[fill(address)], &[]).status;
        assert_eq!(status, expected.code(), "{:#x}", address);
    }
}

#[test]
fn an_index_outside_the_table_fails_its_command_and_what_reads_its_result() {
    let mut driver = Driver::start(small());
    let [table, indices, rows, sums] =
        [64 * 16 * 4, 4 * 4, 4 * 16 * 4, 4 * 4].map(|bytes| driver.object(bytes).device_address);
    let one = FillParams {
        value: u64::from(1f32.to_bits()),
    };
    let (table, listed) = (
        dense(table, DataType::F32, &[64, 16]),
        dense(rows, DataType::F32, &[4, 16]),
    );
    let gather = command(
        Opcode::Gather,
        &[],
        &[listed, table, dense(indices, DataType::I32, &[4])],
    );
    let sum = command(
        Opcode::Reduce,
        ReduceParams {
            axis: 1,
            kind: ReduceKind::Sum.code(),
        }
        .as_bytes(),
        &[dense(sums, DataType::F32, &[4, 1]), listed],
    );
    let fill = command(Opcode::Fill, one.as_bytes(), &[table]);
    for (index, expected) in [
        (63i32, (Status::Ok.code(), 3)),
        (64, (Status::BadOperand.code(), 1)),
        (-1, (Status::BadOperand.code(), 1)),
        (0, (Status::Ok.code(), 3)),
    ] {
        driver.write(indices + 8, &index.to_le_bytes());
        let status = driver.run(&[fill.clone(), gather.clone(), sum.clone()], &[]);
        assert_eq!(
            (status.status, status.failed_command),
            expected,
            "index {index}"
        );
    }
    let mut found = [0; 4];
    driver.read(sums + 8, &mut found);
    assert_eq!(f32::from_le_bytes(found), 16.0);
    let softmax = command(
        Opcode::Softmax,
        SoftmaxParams {
            axis: 1,
            reserved: 0,
        }
        .as_bytes(),
        &[table, table],
    );
    assert_eq!(driver.run(&[softmax], &[]).status, Status::Ok.code());
    driver.read(table.address, &mut found);
    assert!((f32::from_le_bytes(found) - 1.0 / 16.0).abs() < 1e-6);
}

#[test]
fn memory_is_zero_for_the_next_context_and_ids_do_not_cross() {
    let mut driver = Driver::start(small());
    let object = driver.object(1 << 20);
    driver.write(object.device_address, &[0xaa; 4096]);
    let fill = |address| {
        command(
            Opcode::Fill,
            FillParams { value: 0x55 }.as_bytes(),
            &[dense(address, DataType::U8, &[1 << 20])],
        )
    };
    assert_eq!(driver.run(&[fill(object.device_address)], &[]).status, 0);
    let first = driver.context;
    let create = ContextCreateRequest {
        priority: 1,
        ..ContextCreateRequest::default()
    };
    let second: ContextCreateResponse = driver
        .ask(Request::ContextCreate, 0, create.as_bytes())
        .unwrap();
    driver.context = second.context;
    assert_eq!(
        driver.run(&[fill(object.device_address)], &[]).status,
        Status::NoObject.code()
    );
    let destroy = ObjectDestroyRequest {
        object: object.object,
    };
    assert_eq!(
        driver.ask::<[u8; 0]>(Request::ObjectDestroy, driver.context, destroy.as_bytes()),
        Err(Status::NoObject)
    );
    driver
        .ask::<[u8; 0]>(Request::ContextDestroy, first, &[])
        .unwrap();
    driver.windows.clear();
    // All memory, so that the old frames are among it.
    let all = driver.object(63 << 20);
    assert_eq!(
        driver
            .run(
                &[transfer(
                    Opcode::TransferOut,
                    all.device_address,
                    40 << 20,
                    0
                )],
                &[(0, 40 << 20)]
            )
            .status,
        0
    );
    let mut found = vec![1; 40 << 20];
    driver.guest_read(0, &mut found);
    assert!(
        found.iter().all(|&byte| byte == 0),
        "another context's bytes are visible"
    );
    let more = ObjectCreateRequest {
        bytes: 4096,
        flags: 0,
    };
    assert_eq!(
        driver
            .ask::<ObjectCreateResponse>(Request::ObjectCreate, driver.context, more.as_bytes())
            .map(|_| ()),
        Err(Status::NoMemory)
    );
}

#[test]
fn a_stopped_guest_is_not_written_and_goes_on_where_it_was() {
    let mut driver = Driver::start(small());
    let object = driver.object(8 << 20);
    let data = pattern(9, 8 << 20);
    driver.guest_write(0, &data);
    assert_eq!(
        driver
            .run(
                &[transfer(
                    Opcode::TransferIn,
                    object.device_address,
                    8 << 20,
                    0
                )],
                &[(0, 8 << 20)]
            )
            .status,
        0
    );
    for _ in 0..20 {
        driver.card.guest().stop();
        let (sender, receiver) = channel();
        driver.card.guest().resume();
        driver.guest_write(
            TABLES,
            SegmentTablePage {
                next: 0,
                count: 1,
                reserved: 0,
            }
            .as_bytes(),
        );
        driver.guest_write(
            TABLES + 16,
            Segment {
                address: 16 << 20,
                bytes: 8 << 20,
                reserved: 0,
            }
            .as_bytes(),
        );
        driver.guest_write(16 << 20, &vec![0; 8 << 20]);
        let list = transfer(Opcode::TransferOut, object.device_address, 8 << 20, 0);
        let header = SubmitHeader {
            context: driver.context,
            list_bytes: list.len() as u32,
            command_count: 1,
            transfer_count: 1,
            ..SubmitHeader::default()
        };
        let moves = Transfer {
            segment_table: TABLES,
            bytes: 8 << 20,
        };
        driver.card.submit(
            &[header.as_bytes(), &list, moves.as_bytes()].concat(),
            Box::new(Done(sender)),
            &|| true,
        );
        driver.card.guest().stop();
        assert!(driver.card.guest().enter().is_none());
        driver.card.guest().resume();
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().status, 0);
        let mut back = vec![0; 8 << 20];
        driver.guest_read(16 << 20, &mut back);
        assert!(back == data);
    }
}

#[test]
fn a_new_life_ends_the_old_one() {
    let mut driver = Driver::start(small());
    let old = driver.context;
    let object = driver.object(1 << 20);
    driver.write(object.device_address, b"old");
    driver.hello();
    assert_ne!(driver.context, old);
    let create = ObjectCreateRequest {
        bytes: 4096,
        flags: 0,
    };
    assert_eq!(
        driver
            .ask::<ObjectCreateResponse>(Request::ObjectCreate, old, create.as_bytes())
            .map(|_| ()),
        Err(Status::NoContext)
    );
    let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
    assert_eq!(
        (
            counters.contexts,
            counters.objects,
            counters.windows,
            counters.lives
        ),
        (1, 0, 0, 2)
    );
    driver.card.reset();
    let create = ContextCreateRequest::default();
    assert_eq!(
        driver
            .ask::<ContextCreateResponse>(Request::ContextCreate, 0, create.as_bytes())
            .map(|_| ()),
        Err(Status::NoHello)
    );
}
