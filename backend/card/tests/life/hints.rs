// SPDX-License-Identifier: MIT OR Apache-2.0
//! Priority and advice, and lives that go on after a reset of their rings.

use augur_abi::control::{
    Advice, AdviseRequest, ContextInfoResponse, ContextPriorityRequest, CountersResponse,
    HelloResponse, ListContextsRequest, Priority, Request, ResumeRequest, SensorsResponse,
};
use augur_abi::{DataType, Opcode, Status};
use zerocopy::IntoBytes as _;

use crate::driver::{Driver, PATIENCE, command, dense, small};

fn advise(driver: &Driver, address: u64, bytes: u64, advice: u32) -> Result<[u8; 0], Status> {
    let body = AdviseRequest {
        device_address: address,
        bytes,
        advice,
        reserved: 0,
    };
    driver.ask(Request::Advise, driver.context, body.as_bytes())
}

#[test]
fn the_priority_of_a_context_can_be_changed() {
    let driver = Driver::start(small());
    let set = |context, priority| {
        let body = ContextPriorityRequest {
            priority,
            reserved: 0,
        };
        driver.ask::<[u8; 0]>(Request::ContextPriority, context, body.as_bytes())
    };
    for priority in Priority::ALL {
        set(driver.context, priority.code()).unwrap();
        let first = ListContextsRequest {
            first_context: driver.context,
            reserved: 0,
        };
        let info: ContextInfoResponse = driver
            .ask(Request::ListContexts, 0, first.as_bytes())
            .unwrap();
        assert_eq!(info.priority, priority.code());
    }
    assert_eq!(set(driver.context, 3), Err(Status::Invalid));
    assert_eq!(set(driver.context + 1, 1), Err(Status::NoContext));
}

#[test]
fn memory_that_will_be_needed_is_there_without_a_fault() {
    let mut driver = Driver::start(small());
    let object = driver.object(256 << 10).device_address;
    advise(&driver, object, 128 << 10, Advice::WillNeed.code()).unwrap();
    let began = std::time::Instant::now();
    let mut bytes = 0;
    while bytes < 128 << 10 {
        driver.handle_events();
        bytes = driver.windows.iter().map(|(window, _)| window.bytes).sum();
        assert!(began.elapsed() < PATIENCE, "{bytes} bytes were mapped");
        std::thread::yield_now();
    }
    let mut byte = [1];
    driver.read(object, &mut byte);
    assert_eq!(byte, [0]);
    let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
    assert_eq!(counters.faults, 0);
    assert!(counters.maps_ahead > 0);
}

#[test]
fn advice_is_checked_and_pins_are_bounded() {
    let driver = Driver::start(small());
    let object = driver.object(1 << 20).device_address;
    let advise = |address, bytes, advice| advise(&driver, address, bytes, advice);
    assert_eq!(advise(object, 4096, 6), Err(Status::Invalid));
    for (address, bytes) in [
        (0, 4096),
        (object, 0),
        (object, (1 << 20) + 1),
        (object, u64::MAX),
    ] {
        assert_eq!(
            advise(address, bytes, Advice::Random.code()),
            Err(Status::NoObject)
        );
    }
    // An eighth of the aperture of 1 MiB.
    assert_eq!(advise(object, 128 << 10, Advice::Pin.code()), Ok([]));
    assert_eq!(
        advise(object, 256 << 10, Advice::Pin.code()),
        Err(Status::NoMemory)
    );
    assert_eq!(advise(object, 1 << 20, Advice::Unpin.code()), Ok([]));
}

#[test]
fn a_life_whose_rings_were_reset_goes_on_with_what_it_had() {
    let mut driver = Driver::start(small());
    let object = driver.object(64 << 10).device_address;
    driver.write(object, b"kept");
    driver.card.reset();
    let sensors = driver.ask::<SensorsResponse>(Request::Sensors, 0, &[]);
    assert_eq!(sensors.err(), Some(Status::NoHello));
    let resume = |driver: &Driver, nonce| {
        let body = ResumeRequest { nonce };
        driver.ask::<HelloResponse>(Request::Resume, 0, body.as_bytes())
    };
    assert_eq!(resume(&driver, 78), Err(Status::NoHello));
    assert_eq!(resume(&driver, 77).map(|answer| answer.nonce), Ok(77));
    assert_eq!(resume(&driver, 77), Err(Status::NoHello));
    let mut found = [0; 4];
    driver.read(object, &mut found);
    assert_eq!(&found, b"kept");
    let fill = command(
        Opcode::Fill,
        7_u64.as_bytes(),
        &[dense(object, DataType::U8, &[4])],
    );
    assert_eq!(driver.run(&[fill], &[]).status, Status::Ok.code());

    // The HELLO of another life ends it.
    driver.card.reset();
    driver.hello();
    let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
    assert_eq!((counters.contexts, counters.objects), (1, 0));
    assert_eq!(resume(&driver, 77), Err(Status::NoHello));
}
