// SPDX-License-Identifier: MIT OR Apache-2.0
//! A part of a divided command that fails: the command has failed as a whole, with
//! what needs that part; nothing else is disturbed, and no memory is held for ever.

use std::time::Instant;

use augur_abi::command::{ElementwiseParams, Operand, SoftmaxParams};
use augur_abi::control::{
    ObjectCreateRequest, ObjectCreateResponse, ObjectDestroyRequest, Request,
};
use augur_abi::{DataType, MatmulParams, Opcode, Status};
use augur_card::CardConfig;
use zerocopy::IntoBytes as _;

use crate::driver::{Driver, PATIENCE, command, dense, small};
use crate::lists::{bytes_of, counters, fill, floats, load, store, wait, whole_numbers};

const ROWS: u32 = 1000;
const COLUMNS: u32 = 512;
const ROW: u64 = COLUMNS as u64 * 4;

fn relu(to: Operand, from: Operand) -> Vec<u8> {
    let none = ElementwiseParams::default();
    command(Opcode::Relu, none.as_bytes(), &[to, from])
}

/// Rows of a matrix.
fn rows(object: u64, first: u32, count: u32) -> Operand {
    floats(object + u64::from(first) * ROW, &[count, COLUMNS])
}

fn two_engines() -> Driver {
    Driver::start(CardConfig {
        compute_engines: 2,
        ..small()
    })
}

/// All of device memory can be allocated again once nothing is there any more.
fn nothing_is_held(driver: &Driver) {
    let gone = driver.ask::<[u8; 0]>(Request::ContextDestroy, driver.context, &[]);
    assert_eq!(gone, Ok([]));
    let fresh = driver.new_context();
    let all = ObjectCreateRequest {
        bytes: 63 << 20,
        flags: 0,
    };
    let made: Result<ObjectCreateResponse, _> =
        driver.ask(Request::ObjectCreate, fresh, all.as_bytes());
    assert!(made.is_ok(), "{made:?}");
}

#[test]
fn a_part_that_reads_what_was_never_written_fails_its_command() {
    let mut driver = two_engines();
    let [source, result, other, table] = [0; 4].map(|_| {
        let bytes = u64::from(ROWS) * ROW;
        driver.object(bytes).device_address
    });
    let ones = bytes_of(&vec![1.0; (ROWS * COLUMNS) as usize]);
    store(&mut driver, source, &ones);
    let bad_index = 9_999_i32.to_le_bytes();
    driver.write(table + ROW, &bad_index);
    let gather = command(
        Opcode::Gather,
        &[],
        &[
            rows(source, 0, 1),
            rows(table, 0, 1),
            dense(table + ROW, DataType::I32, &[1]),
        ],
    );
    let list = [
        gather,
        relu(rows(result, 0, ROWS), rows(source, 0, ROWS)),
        // Needs the part that cannot be computed.
        relu(rows(other, 0, 1), rows(result, 0, 1)),
        // Needs nothing of it.
        fill(rows(other, 2, 1), u64::from(3.0_f32.to_bits())),
    ];
    let before = counters(&driver).commands;
    let ended = driver.run(&list, &[]);
    assert_eq!(
        (Status::from_code(ended.status), ended.failed_command),
        (Some(Status::BadOperand), 0)
    );
    // The gather, one part of two, and the fill.
    assert_eq!(counters(&driver).commands - before, 3);
    assert_eq!(load(&mut driver, result, 4096), [0; 4096]);
    let half = result + u64::from(ROWS - 1) * ROW;
    assert!(load(&mut driver, half, ROW as usize) == ones[..ROW as usize]);
    assert_eq!(load(&mut driver, other, ROW as usize), [0; ROW as usize]);
    let threes = bytes_of(&[3.0; COLUMNS as usize]);
    assert!(load(&mut driver, other + 2 * ROW, ROW as usize) == threes);
    // Later lists: what the part should have written is still not there.
    let late = driver.run(&[relu(rows(other, 4, 1), rows(result, 0, 1))], &[]);
    assert_eq!(
        Status::from_code(late.status),
        Some(Status::DependencyFailed)
    );
    let again = driver.run(
        &[
            fill(rows(result, 0, ROWS), 0),
            relu(rows(other, 4, 1), rows(result, 0, 1)),
        ],
        &[],
    );
    assert_eq!(Status::from_code(again.status), Some(Status::Ok));
    nothing_is_held(&driver);
}

/// One engine computes a part while the memory goes that the other part was to read.
#[test]
fn a_part_whose_memory_has_gone_fails_its_command_alone() {
    let mut driver = two_engines();
    let own = driver.context;
    let other = driver.new_context();
    driver.context = other;
    const SIZE: u32 = 1024;
    let square = u64::from(SIZE * SIZE) * 4;
    let matrices = driver.object(3 * square).device_address;
    let matrix = |at: u64| floats(matrices + at * square, &[SIZE, SIZE]);
    let parameters = MatmulParams::default();
    let product = command(
        Opcode::Matmul,
        parameters.as_bytes(),
        &[matrix(0), matrix(1), matrix(2)],
    );
    let mut seen = 0;
    // Which engine is how far is a matter of luck, so until it was seen.
    let end = Instant::now() + PATIENCE;
    while seen == 0 && Instant::now() < end {
        driver.context = other;
        // One after the other, so that an engine is busy for long.
        let busy = driver.begin(&vec![product.clone(); 4], &[]);
        driver.context = own;
        let [source, result, apart] = [0; 3].map(|_| driver.object(u64::from(ROWS) * ROW));
        let along = SoftmaxParams {
            axis: 1,
            reserved: 0,
        };
        let to = rows(result.device_address, 0, ROWS);
        let from = rows(source.device_address, 0, ROWS);
        let needs_last = rows(apart.device_address, 0, 1);
        let list = [
            command(Opcode::Softmax, along.as_bytes(), &[to, from]),
            relu(needs_last, rows(result.device_address, ROWS - 1, 1)),
            fill(
                rows(apart.device_address, 2, 1),
                u64::from(3.0_f32.to_bits()),
            ),
        ];
        let held = counters(&driver).held_ranges;
        let running = driver.begin(&list, &[]);
        let mut ended = None;
        while counters(&driver).held_ranges == held && ended.is_none() {
            driver.handle_events();
            ended = running.try_recv().ok();
        }
        let destroy = ObjectDestroyRequest {
            object: source.object,
        };
        let gone = driver.ask::<[u8; 0]>(Request::ObjectDestroy, own, destroy.as_bytes());
        assert_eq!(gone, Ok([]));
        let ended = loop {
            driver.handle_events();
            match ended.or_else(|| running.try_recv().ok()) {
                Some(status) => break status,
                None => std::thread::yield_now(),
            }
        };
        let threes = bytes_of(&[3.0; COLUMNS as usize]);
        let mut row =
            |object: u64, row: u32| load(&mut driver, object + u64::from(row) * ROW, ROW as usize);
        assert!(row(apart.device_address, 2) == threes);
        let [first, last] = [0, ROWS - 1].map(|at| row(result.device_address, at)[3] != 0);
        let needs_last = row(apart.device_address, 0)[3] != 0;
        match Status::from_code(ended.status).unwrap() {
            Status::Ok => assert!(first && last && needs_last),
            Status::NoObject => {
                assert_eq!(ended.failed_command, 0);
                assert!(!(first && last) && (last || !needs_last));
                seen += u32::from(first != last);
            }
            other => panic!("{other:?}"),
        }
        for object in [&result, &apart] {
            let destroy = ObjectDestroyRequest {
                object: object.object,
            };
            let gone = driver.ask::<[u8; 0]>(Request::ObjectDestroy, own, destroy.as_bytes());
            assert_eq!(gone, Ok([]));
        }
        driver.context = other;
        assert_eq!(wait(&mut driver, &busy), Status::Ok);
    }
    assert!(seen > 0, "both parts always began before the memory went");
    driver.context = own;
    let gone = driver.ask::<[u8; 0]>(Request::ContextDestroy, other, &[]);
    assert_eq!(gone, Ok([]));
    nothing_is_held(&driver);
}

/// What others use of a large command's operands decides where it is cut, in the same
/// list and, from its second time on, in others.
#[test]
fn a_command_is_cut_where_the_regions_in_use_begin_and_end() {
    let mut driver = two_engines();
    let [source, result, apart] = [0; 3].map(|_| {
        let bytes = u64::from(ROWS) * ROW;
        driver.object(bytes).device_address
    });
    let numbers = whole_numbers(5, (ROWS * COLUMNS) as usize);
    store(&mut driver, source, &bytes_of(&numbers));
    let ran = |driver: &mut Driver, list: &[Vec<u8>]| {
        let before = counters(driver).commands;
        let ended = driver.run(list, &[]);
        assert_eq!(Status::from_code(ended.status), Some(Status::Ok));
        counters(driver).commands - before
    };
    let large = relu(rows(result, 0, ROWS), rows(source, 0, ROWS));
    // Little of each row, so that next to all work is the large command's.
    let narrow = |object: u64, first: u32, count: u32| {
        let mut operand = rows(object, first, count);
        operand.shape[1] = 8;
        operand
    };
    let users: Vec<_> = [(0, 200), (200, 500), (700, 300)]
        .map(|(first, count)| relu(narrow(apart, first, count), narrow(result, first, count)))
        .into();
    // Alone, a half for each engine, until it is known.
    for _ in 0..4 {
        assert_eq!(ran(&mut driver, std::slice::from_ref(&large)), 2);
    }
    // With three that need a part each, in one list and after these came in another.
    let one_list = [std::slice::from_ref(&large), &users].concat();
    assert_eq!(ran(&mut driver, &one_list), 3 + 3);
    for _ in 0..3 {
        assert_eq!(ran(&mut driver, std::slice::from_ref(&large)), 3);
    }
    let found = load(&mut driver, result, numbers.len() * 4);
    assert!(found == bytes_of(&numbers));
}
