// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lists that are wrong: the card answers that list with an error, and
//! what another context runs meanwhile is not disturbed by it.

use augur_abi::command::{ElementwiseParams, FillParams, MatmulParams, Operand};
use augur_abi::submit::MAX_SUBMIT_BYTES;
use augur_abi::{DataType, Opcode, Status};
use zerocopy::IntoBytes as _;

use crate::fixture::*;

const MIB: u32 = 1 << 20;

/// Dense f32 of one dimension.
fn floats(address: u64, elements: u32) -> Operand {
    let mut operand = dense(address, elements);
    operand.data_type = DataType::F32.code();
    operand.stride[0] = 4;
    operand
}

/// A row-major f32 matrix.
fn matrix(address: u64, rows: u32, columns: u32) -> Operand {
    let mut operand = floats(address, rows);
    operand.rank = 2;
    operand.shape[1] = columns;
    (operand.stride[0], operand.stride[1]) = (u64::from(columns) * 4, 4);
    operand
}

fn fill(operand: Operand, value: u64) -> Vec<u8> {
    command(Opcode::Fill, FillParams { value }.as_bytes(), &[operand])
}

fn relu(to: Operand, from: Operand) -> Vec<u8> {
    let parameters = ElementwiseParams::default();
    command(Opcode::Relu, parameters.as_bytes(), &[to, from])
}

/// Runs bad lists on an object of 1 MiB while another context works on its own.
/// Each list begins with a good command, which must not have run.
fn refused(bad: impl Fn(u64) -> Vec<Vec<u8>>) {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(1 << 20).device_address;
    assert_eq!(driver.run(&[fill(dense(object, MIB), 7)], &[]), Status::Ok);
    let own = driver.context;
    let other = driver.new_context();
    driver.context = other;
    let theirs = driver.object(16 << 20).device_address;
    let steady: Vec<_> = (1..9)
        .map(|value| fill(dense(theirs, 16 * MIB), value))
        .collect();
    let running = driver.submit_to(1, &steady, &[]);
    driver.context = own;
    for command in bad(object) {
        let list = [fill(dense(object, MIB), 9), command.clone()];
        let status = driver.run(&list, &[]);
        assert!(
            matches!(
                status,
                Status::Invalid | Status::BadOperand | Status::NoObject
            ),
            "{status:?} for {command:?}"
        );
        let ended = driver.submit(&list, &[]);
        assert_eq!(driver.finish(ended).failed_command, 1);
    }
    assert_eq!(driver.load(object, 4096), [7; 4096], "a refused list ran");
    driver.context = other;
    assert_eq!(driver.finish(running).status, Status::Ok.code());
    assert_eq!(driver.load(theirs + (15 << 20), 4096), [8; 4096]);
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn overlapping_writes_inside_one_command() {
    refused(|object| {
        let mut folded = floats(object, 64);
        folded.stride[0] = 0;
        let mut lapped = matrix(object, 8, 8);
        lapped.stride[0] = 28;
        let product = |to, a, b| {
            let parameters = MatmulParams::default();
            command(Opcode::Matmul, parameters.as_bytes(), &[to, a, b])
        };
        vec![
            fill(folded, 1),
            fill(lapped, 1),
            relu(floats(object, 64), floats(object + 4, 64)),
            product(
                matrix(object, 8, 8),
                matrix(object + 128, 8, 8),
                matrix(object + 4096, 8, 8),
            ),
            command(
                Opcode::TriangularSolve,
                &[],
                &[matrix(object, 8, 8), matrix(object + 224, 8, 8)],
            ),
        ]
    });
}

#[test]
fn operands_without_elements_or_outside_their_object() {
    refused(|object| {
        let end = object + (1 << 20);
        let mut empty = matrix(object, 4, 4);
        empty.shape[1] = 0;
        vec![
            fill(dense(object, 0), 1),
            fill(empty, 1),
            fill(dense(object, MIB + 1), 1),
            fill(dense(end - 4, 8), 1),
            fill(dense(end, 1), 1),
            fill(dense(object - 1, 1), 1),
            fill(dense(u64::MAX, 1), 1),
            fill(matrix(object, 513, 512), 1),
            relu(floats(object, 64), floats(end - 252, 64)),
        ]
    });
}

#[test]
fn strides_that_wrap() {
    refused(|object| {
        let strided = |rows, stride| {
            let mut operand = matrix(object, rows, 4);
            operand.stride[0] = stride;
            operand
        };
        let mut huge = matrix(object, u32::MAX, u32::MAX);
        (huge.rank, huge.shape[2], huge.stride[2]) = (3, u32::MAX, 4);
        vec![
            // Backwards, and once around all addresses into the object again.
            fill(strided(2, u64::MAX - 15), 1),
            fill(strided(5, 1 << 62), 1),
            fill(strided(3, 1 << 63), 1),
            fill(strided(u32::MAX, 1 << 32), 1),
            relu(floats(object, 8), {
                let mut around = floats(object, 8);
                around.stride[0] = (u64::MAX / 7) & !3;
                around
            }),
            fill(huge, 1),
        ]
    });
}

#[test]
fn factors_of_what_has_none_fail_while_they_run() {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(1 << 20).device_address;
    let elsewhere = object + (512 << 10);
    let one = u64::from(1.0_f32.to_bits());
    let lists = driver.run(
        &[
            fill(floats(object, 64), 0),
            command(Opcode::Cholesky, &[], &[matrix(object, 8, 8)]),
            fill(floats(elsewhere, 64), one),
        ],
        &[],
    );
    assert_eq!(lists, Status::BadOperand);
    // What does not depend on it has run.
    assert_eq!(
        driver.load(elsewhere, 256),
        [1.0_f32; 64].as_bytes().to_vec()
    );
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

#[test]
fn lists_longer_than_the_limit() {
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(4096).device_address;
    let one = fill(dense(object, 4096), 3);
    let most = (MAX_SUBMIT_BYTES as usize - 64) / one.len();
    assert_eq!(driver.run(&vec![one.clone(); most], &[]), Status::Ok);
    let status = driver.run(&vec![one; most + 2], &[]);
    assert_eq!(status, Status::Invalid);
    driver.works();
    driver.serves_a_good_driver_afterwards();
}

/// The guest rewrites a table of indices through its window while commands that
/// were checked before are reading it.
#[test]
fn indices_changed_after_the_check() {
    const ROWS: u32 = 4096;
    let mut driver = Driver::ready(Machine::started(small()));
    let object = driver.object(8 << 20).device_address;
    let (table, indices, listed) = (object, object + (2 << 20), object + (4 << 20));
    let behind = listed + u64::from(ROWS) * 64;
    let fills = [
        fill(dense(object, 8 * MIB), 5),
        fill(dense(table, 64 * 1024), 6),
    ];
    assert_eq!(driver.run(&fills, &[]), Status::Ok);
    let mut rows = dense(indices, ROWS);
    (rows.data_type, rows.stride[0]) = (DataType::I32.code(), 4);
    let bytes = |address: u64, rows: u32| {
        let mut operand = matrix(address, rows, 64);
        operand.data_type = DataType::U8.code();
        (operand.stride[0], operand.stride[1]) = (64, 1);
        operand
    };
    let gather = command(
        Opcode::Gather,
        &[],
        &[bytes(listed, ROWS), bytes(table, 1024), rows],
    );
    let good: Vec<u8> = (0..ROWS as i32)
        .flat_map(|row| (row % 1024).to_le_bytes())
        .collect();
    let at = driver.touch(indices, true);
    for round in 0..200_u32 {
        driver.window.write(at, &good);
        let running = driver.submit(&vec![gather.clone(); 8], &[]);
        for turn in 0..64_u64 {
            let bad = [i32::MAX, -1, 1024, i32::MIN][turn as usize % 4];
            let place = u64::from(round * 31) % u64::from(ROWS) * 4;
            driver.window.write(at + place, bad.as_bytes());
            driver.window.write(at + place, &0_i32.to_le_bytes());
        }
        if round % 2 == 1 {
            driver.window.write(at + 4 * 4000, &[0xff; 4]);
        }
        let status = Status::from_code(driver.finish(running).status).unwrap();
        assert!(
            matches!(status, Status::Ok | Status::BadOperand),
            "{status:?}"
        );
    }
    driver.window.write(at + 4 * 4000, &[0xff; 4]);
    assert_eq!(driver.run(&[gather], &[]), Status::BadOperand);
    // Only rows of the table were listed, and nothing was written behind.
    let found = driver.load(listed, 4096);
    assert!(
        found.iter().all(|&byte| byte == 6),
        "not a row of the table"
    );
    assert_eq!(driver.load(behind, 4096), [5; 4096]);
    driver.works();
    driver.serves_a_good_driver_afterwards();
}
