// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists that are given up alone, and the sensors.

use std::sync::mpsc::channel;

use augur_abi::control::{ListCancelRequest, Request, SensorsResponse};
use augur_abi::submit::{SubmitHeader, SubmitStatus};
use augur_abi::{DataType, MatmulParams, Opcode, Status};
use zerocopy::IntoBytes as _;

use crate::driver::{Done, Driver, command, dense, small};

/// Far more products than anybody waits for, of matrices at `address`.
fn endless(address: u64) -> Vec<Vec<u8>> {
    const SIZE: u32 = 512;
    let bytes = u64::from(SIZE * SIZE * 4);
    let matrix = |index| dense(address + index * bytes, DataType::F32, &[SIZE, SIZE]);
    let parameters = MatmulParams::default();
    let product = command(
        Opcode::Matmul,
        parameters.as_bytes(),
        &[matrix(0), matrix(1), matrix(2)],
    );
    vec![product; 2000]
}

#[test]
fn a_list_that_is_given_up_ends_alone() {
    let mut driver = Driver::start(small());
    let object = driver.object(4 << 20).device_address;
    let other = driver.object(4096).device_address;
    let commands = endless(object);
    let list = commands.concat();
    let header = SubmitHeader {
        context: driver.context,
        list_bytes: list.len() as u32,
        command_count: commands.len() as u32,
        number: 77,
        ..SubmitHeader::default()
    };
    let (sender, receiver) = channel();
    let request = [header.as_bytes(), &list].concat();
    driver
        .card
        .submit(&request, Box::new(Done(sender)), &|| true);

    let cancel = |number| {
        let body = ListCancelRequest {
            number,
            reserved: 0,
        };
        driver.ask::<[u8; 0]>(Request::ListCancel, driver.context, body.as_bytes())
    };
    assert_eq!(cancel(78), Err(Status::NoObject));
    assert_eq!(cancel(77), Ok([]));
    let ended: SubmitStatus = receiver.recv().unwrap();
    assert_eq!(Status::from_code(ended.status), Some(Status::Cancelled));
    assert!(ended.failed_command < 2000);

    // The context goes on.
    let zero = 0_u64;
    let fill = command(
        Opcode::Fill,
        zero.as_bytes(),
        &[dense(other, DataType::U8, &[4096])],
    );
    assert_eq!(driver.run(&[fill], &[]).status, Status::Ok.code());

    let sensors: SensorsResponse = driver.ask(Request::Sensors, 0, &[]).unwrap();
    assert!(sensors.compute_ns > 0 && sensors.power_uw > 0 && sensors.temperature_mc > 0);
}
