// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists that run in batches, come again, or have commands large enough to be
//! divided: what they leave behind is what one command after the other would.

use std::sync::mpsc::Receiver;

use augur_abi::command::{
    CONV_EDGE, Conv2dParams, ElementwiseParams, FillParams, LayerNormParams, MATMUL_ACCUMULATE,
    MatmulParams, Operand, ReduceKind, ReduceParams, ResampleParams, SoftmaxParams,
};
use augur_abi::control::{CountersResponse, ObjectDestroyRequest, Request};
use augur_abi::submit::SubmitStatus;
use augur_abi::{DataType, Opcode, Status};
use augur_card::CardConfig;
use zerocopy::IntoBytes as _;

use crate::driver::{Driver, command, dense, pattern, small};

pub fn floats(address: u64, shape: &[u32]) -> Operand {
    dense(address, DataType::F32, shape)
}

pub fn add(to: Operand, a: Operand, b: Operand) -> Vec<u8> {
    let parameters = ElementwiseParams::default();
    command(Opcode::Add, parameters.as_bytes(), &[to, a, b])
}

pub fn fill(operand: Operand, value: u64) -> Vec<u8> {
    command(Opcode::Fill, FillParams { value }.as_bytes(), &[operand])
}

pub fn counters(driver: &Driver) -> CountersResponse {
    driver.ask(Request::Counters, 0, &[]).unwrap()
}

/// Small numbers that add up exactly in any order.
pub fn whole_numbers(seed: u64, count: usize) -> Vec<f32> {
    let bytes = pattern(seed, count);
    bytes.into_iter().map(|byte| f32::from(byte & 7)).collect()
}

pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Writes a range through its windows.
pub fn store(driver: &mut Driver, address: u64, bytes: &[u8]) {
    for (part, bytes) in bytes.chunks(4096).enumerate() {
        driver.write(address + 4096 * part as u64, bytes);
    }
}

pub fn load(driver: &mut Driver, address: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    for (part, bytes) in bytes.chunks_mut(4096).enumerate() {
        driver.read(address + 4096 * part as u64, bytes);
    }
    bytes
}

pub fn wait(driver: &mut Driver, list: &Receiver<SubmitStatus>) -> Status {
    loop {
        match list.recv_timeout(std::time::Duration::from_millis(1)) {
            Ok(status) => return Status::from_code(status.status).unwrap(),
            Err(_) => driver.handle_events(),
        }
    }
}

/// Additions on overlapping ranges of one object, over and over as the same list, by
/// four engines, while the guest moves the object's windows.
#[test]
fn small_commands_leave_what_they_would_one_after_the_other() {
    const ELEMENTS: u32 = 1 << 17;
    const COMMANDS: usize = 600;
    let mut driver = Driver::start(CardConfig {
        compute_engines: 4,
        ..small()
    });
    let object = driver.object(u64::from(ELEMENTS) * 4).device_address;
    let mut values = whole_numbers(3, ELEMENTS as usize);
    store(&mut driver, object, &bytes_of(&values));
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1442);
        (state >> 33) % below
    };
    let (mut list, mut places) = (Vec::new(), Vec::new());
    while places.len() < COMMANDS {
        let count = 1 + next(3000);
        let [to, a, b] = [0; 3].map(|_| next(u64::from(ELEMENTS) - count));
        let apart = |from: u64| from == to || from + count <= to || to + count <= from;
        if apart(a) && apart(b) {
            let operand = |first: u64| floats(object + 4 * first, &[count as u32]);
            list.push(add(operand(to), operand(a), operand(b)));
            places.push([to, a, b, count].map(|it| it as usize));
        }
    }
    for round in 0..6 {
        let running = driver.begin(&list, &[]);
        // Ranges that the list uses come and go meanwhile.
        for page in 0..40 {
            driver.touch(object + (page * 13 + round) % 128 * 4096, false);
        }
        assert_eq!(wait(&mut driver, &running), Status::Ok);
        for &[to, a, b, count] in &places {
            for at in 0..count {
                values[to + at] = values[a + at] + values[b + at];
            }
        }
        // Far below what f32 holds exactly.
        values.iter_mut().for_each(|value| *value %= 1024.0);
        let found = load(&mut driver, object, values.len() * 4);
        let found: Vec<f32> = found
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()) % 1024.0)
            .collect();
        assert!(found == values, "round {round}");
        store(&mut driver, object, &bytes_of(&values));
    }
    assert_eq!(counters(&driver).commands, 6 * COMMANDS as u64);
}

#[test]
fn a_list_that_comes_again_is_refused_when_its_memory_has_gone() {
    let mut driver = Driver::start(small());
    let [kept, gone] = [0; 2].map(|_| driver.object(64 << 10));
    let list: Vec<_> = (0..16)
        .map(|at| {
            fill(
                dense([kept, gone][at % 2].device_address, DataType::U8, &[4096]),
                5,
            )
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(driver.run(&list, &[]).status, Status::Ok.code());
    }
    let queued: Vec<_> = (0..50).map(|_| driver.begin(&list, &[])).collect();
    let destroy = ObjectDestroyRequest {
        object: gone.object,
    };
    driver
        .ask::<[u8; 0]>(Request::ObjectDestroy, driver.context, destroy.as_bytes())
        .unwrap();
    for list in queued {
        let status = wait(&mut driver, &list);
        assert!(
            matches!(
                status,
                Status::Ok | Status::NoObject | Status::DependencyFailed
            ),
            "{status:?}"
        );
    }
    let refused = driver.run(&list, &[]);
    assert_eq!(
        (refused.status, refused.failed_command),
        (Status::NoObject.code(), 1)
    );
    let other = driver.object(64 << 10).device_address;
    assert_eq!(load(&mut driver, other, 4096), [0; 4096], "another's bytes");
    let good = fill(dense(kept.device_address, DataType::U8, &[4096]), 6);
    assert_eq!(driver.run(&[good], &[]).status, Status::Ok.code());
}

#[test]
fn a_context_that_submits_without_end_is_told_to_wait_and_no_other_is() {
    let mut driver = Driver::start(small());
    let object = driver.object(16 << 20).device_address;
    let list = vec![fill(dense(object, DataType::U8, &[16 << 20]), 5); 64];
    let mut queued = Vec::new();
    let mut refused = 0;
    // More than may be queued: 1 << 16 commands.
    for _ in 0..3000 {
        let list = driver.begin(&list, &[]);
        match list.try_recv() {
            Ok(status) if status.status == Status::Busy.code() => refused += 1,
            Ok(status) => assert_eq!(status.status, Status::Ok.code()),
            Err(_) => queued.push(list),
        }
    }
    assert!(refused > 0 && queued.len() <= 1024 + 8, "{}", queued.len());
    let endless = driver.context;
    driver.context = driver.new_context();
    let own = driver.object(4096).device_address;
    let good = fill(dense(own, DataType::U8, &[4096]), 6);
    assert_eq!(driver.run(&[good], &[]).status, Status::Ok.code());
    let destroy = driver.ask::<[u8; 0]>(Request::ContextDestroy, endless, &[]);
    assert_eq!(destroy, Ok([]));
    for list in queued {
        wait(&mut driver, &list);
    }
}

/// A large command of each kind that can be divided: operands by their addresses.
fn large(at: impl Fn(u64) -> u64) -> Vec<(&'static str, Vec<u8>, Operand)> {
    let f = |place: u64, shape: &[u32]| floats(at(place), shape);
    let u = |place: u64, shape: &[u32]| dense(at(place), DataType::U8, shape);
    let none = ElementwiseParams::default();
    let (to, long) = (f(0, &[999, 700]), f(1, &[999, 700]));
    let unary =
        |name, opcode, parameters: &[u8]| (name, command(opcode, parameters, &[to, long]), to);
    let along = |axis| SoftmaxParams { axis, reserved: 0 };
    let layer = LayerNormParams {
        axis: 1,
        epsilon: 1e-5_f32.to_bits(),
    };
    let sum = ReduceParams {
        axis: 1,
        kind: ReduceKind::Sum.code(),
    };
    let sums = f(0, &[999, 1]);
    let accumulate = MatmulParams {
        flags: MATMUL_ACCUMULATE,
        reserved: 0,
    };
    let product = f(0, &[301, 200]);
    let convolution = Conv2dParams {
        stride_y: 2,
        stride_x: 1,
        pad_top: 2,
        pad_bottom: 1,
        pad_left: 1,
        pad_right: 1,
        groups: 1,
        flags: CONV_EDGE,
        ..Conv2dParams::default()
    };
    // (150 + 2 + 1 - 4) / 2 + 1 rows.
    let image = f(0, &[2, 75, 60, 16]);
    let small = u(0, &[1, 350, 300, 3]);
    let value = u64::from(1.5_f32.to_bits());
    let half = ResampleParams {
        factor: 2,
        reserved: 0,
    };
    vec![
        unary("copy", Opcode::Copy, &[]),
        unary("relu", Opcode::Relu, none.as_bytes()),
        unary("softmax of rows", Opcode::Softmax, along(1).as_bytes()),
        unary("softmax of columns", Opcode::Softmax, along(0).as_bytes()),
        ("fill", fill(to, value), to),
        ("add", add(to, long, long), to),
        (
            "layer norm",
            command(
                Opcode::LayerNorm,
                layer.as_bytes(),
                &[to, long, f(2, &[700]), f(3, &[700])],
            ),
            to,
        ),
        (
            "sum",
            command(Opcode::Reduce, sum.as_bytes(), &[sums, long]),
            sums,
        ),
        (
            "matmul",
            command(
                Opcode::Matmul,
                accumulate.as_bytes(),
                &[product, f(1, &[301, 120]), f(2, &[120, 200])],
            ),
            product,
        ),
        (
            "convolution",
            command(
                Opcode::Conv2d,
                convolution.as_bytes(),
                &[image, f(1, &[2, 150, 60, 8]), f(2, &[4, 3, 8, 16])],
            ),
            image,
        ),
        (
            "resample",
            command(
                Opcode::Resample,
                half.as_bytes(),
                &[small, u(1, &[1, 701, 600, 3])],
            ),
            small,
        ),
    ]
}

/// Four engines, which divide large commands, against one, which has no reason to.
#[test]
fn divided_commands_leave_the_same_bytes() {
    const EACH: u64 = 4 << 20;
    let mut found = Vec::new();
    for compute_engines in [1, 4] {
        let mut driver = Driver::start(CardConfig {
            compute_engines,
            ..small()
        });
        let object = driver.object(4 * EACH).device_address;
        let numbers = whole_numbers(9, EACH as usize / 4);
        let numbers: Vec<f32> = (numbers.iter().enumerate())
            .map(|(at, value)| value / 3.0 + (at % 17) as f32 * 0.01)
            .collect();
        for place in 0..4 {
            store(&mut driver, object + place * EACH, &bytes_of(&numbers));
        }
        let mut results = Vec::new();
        for (name, command, to) in large(|place| object + place * EACH) {
            let status = driver.run(&[command], &[]);
            assert_eq!(
                (status.status, status.failed_command),
                (Status::Ok.code(), 1),
                "{name}"
            );
            let elements: u64 = to
                .shape
                .iter()
                .take_while(|&&it| it > 0)
                .map(|&it| u64::from(it))
                .product();
            let size = if to.data_type == DataType::U8.code() {
                1
            } else {
                4
            };
            results.push((
                name,
                load(&mut driver, to.address, (elements * size) as usize),
            ));
        }
        let ran = counters(&driver).commands;
        if compute_engines == 1 {
            assert_eq!(ran, results.len() as u64);
        } else {
            assert!(
                ran >= 2 * results.len() as u64,
                "{ran} of {}",
                results.len()
            );
        }
        found.push(results);
    }
    for ((name, whole), (_, divided)) in found[0].iter().zip(&found[1]) {
        assert!(whole == divided, "{name} differs when it is divided");
    }
}
