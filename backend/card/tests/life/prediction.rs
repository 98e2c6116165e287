// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapping ahead of use: no byte is lost by it, and what a hostile driver claims or
//! gives changes nothing.

use std::time::Instant;

use augur_abi::predict::{
    MODEL_CHUNK, ModelPullRequest, ModelPullResponse, ModelPushRequest, ModelPushResponse,
    ModelPushed, ModelScope, PredictorMode as WireMode, PredictorSetRequest,
};
use augur_abi::touch::{TOUCH_RING_ZAPS, Touch, TouchRingRequest};
use augur_card::{CardConfig, PredictorMode};
use augur_predictor::Model;

use super::driver::*;
use super::*;

const RING: u64 = 40 << 20;

/// A driver without a touch ring.
fn silent(mode: PredictorMode) -> Driver {
    Driver::start(CardConfig {
        predictor: mode,
        ahead_window_bytes: 64 << 10,
        ..small()
    })
}

fn predicting(mode: PredictorMode) -> Driver {
    let driver = silent(mode);
    report_touches(&driver);
    driver
}

/// Sets up an empty touch ring: the driver takes windows that it did not ask for.
pub fn report_touches(driver: &Driver) {
    let ring = TouchRingRequest {
        address: RING,
        entries: 64,
        flags: 0,
    };
    driver
        .ask::<[u8; 0]>(Request::TouchRing, 0, ring.as_bytes())
        .unwrap();
}

pub fn counters(driver: &Driver) -> CountersResponse {
    driver.ask(Request::Counters, 0, &[]).unwrap()
}

/// Writes and reads an object from start to end.
fn stream(driver: &mut Driver, address: u64, pages: u64, round: u64) {
    for page in 0..pages {
        let value = round << 32 | page;
        driver.write(address + page * 4096, &value.to_le_bytes());
    }
    for page in 0..pages {
        let mut found = [0; 8];
        driver.read(address + page * 4096, &mut found);
        assert_eq!(u64::from_le_bytes(found), round << 32 | page, "page {page}");
    }
}

#[test]
fn a_driver_without_a_touch_ring_sees_what_it_asked_for_alone() {
    let mut driver = silent(PredictorMode::Full);
    let object = driver.object(4 << 20);
    for round in 1..=4 {
        stream(&mut driver, object.device_address, 1024, round);
    }
    assert_eq!(counters(&driver).maps_ahead, 0);
    report_touches(&driver);
    let end = Instant::now() + PATIENCE;
    let mut round = 4;
    while counters(&driver).maps_ahead == 0 {
        assert!(Instant::now() < end, "nothing is mapped ahead");
        round += 1;
        stream(&mut driver, object.device_address, 1024, round);
    }
}

#[test]
fn a_stream_is_mapped_ahead_and_keeps_every_byte() {
    for mode in [PredictorMode::Classic, PredictorMode::Full] {
        let mut driver = predicting(mode);
        let object = driver.object(4 << 20);
        let end = Instant::now() + PATIENCE;
        let mut round = 0;
        while counters(&driver).maps_ahead < 10 {
            assert!(Instant::now() < end, "{mode}: nothing is mapped ahead");
            round += 1;
            stream(&mut driver, object.device_address, 1024, round);
        }
    }
}

#[test]
fn the_end_of_an_object_is_asked_for_once() {
    for mode in [PredictorMode::Classic, PredictorMode::Full] {
        let mut driver = predicting(mode);
        // A window of two pages and one of a single page, in one unit.
        let object = driver.object(3 * 4096);
        driver.write(object.device_address, &[1]);
        let end = Instant::now() + PATIENCE;
        while counters(&driver).maps_ahead == 0 {
            assert!(Instant::now() < end, "{mode}: the rest has to be asked for");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(counters(&driver).window_bytes, 3 * 4096);
    }
}

#[test]
fn nothing_is_mapped_ahead_for_a_context_that_says_off() {
    let mut driver = predicting(PredictorMode::Full);
    let say = |driver: &Driver, mode: WireMode| {
        let request = PredictorSetRequest {
            mode: mode.code(),
            reserved: 0,
        };
        driver
            .ask::<[u8; 0]>(Request::PredictorSet, driver.context, request.as_bytes())
            .unwrap();
    };
    say(&driver, WireMode::Off);
    let object = driver.object(4 << 20);
    for round in 0..3 {
        stream(&mut driver, object.device_address, 1024, round);
    }
    assert_eq!(counters(&driver).maps_ahead, 0);
    say(&driver, WireMode::Default);
    let end = Instant::now() + PATIENCE;
    while counters(&driver).maps_ahead == 0 {
        assert!(Instant::now() < end, "nothing is mapped ahead");
        stream(&mut driver, object.device_address, 1024, 9);
    }
}

#[test]
fn objects_may_go_while_their_next_pages_are_predicted() {
    let mut driver = predicting(PredictorMode::Full);
    for round in 0..20 {
        let object = driver.object(1 << 20);
        stream(&mut driver, object.device_address, 100, round);
        let destroy = ObjectDestroyRequest {
            object: object.object,
        };
        let address = object.device_address;
        driver
            .windows
            .retain(|(w, _)| !(address..address + (1 << 20)).contains(&w.device_address));
        driver
            .ask::<[u8; 0]>(Request::ObjectDestroy, driver.context, destroy.as_bytes())
            .unwrap();
        // Windows that were published before the answer are gone with it.
        driver.handle_events();
        driver
            .windows
            .retain(|(w, _)| !(address..address + (1 << 20)).contains(&w.device_address));
    }
    assert_eq!(counters(&driver).objects, 0);
}

#[test]
fn false_touches_are_refused_and_change_nothing() {
    let mut driver = predicting(PredictorMode::Full);
    let outside = TouchRingRequest {
        address: u64::MAX - 7,
        entries: 64,
        flags: 0,
    };
    assert_eq!(
        driver.ask::<[u8; 0]>(Request::TouchRing, 0, outside.as_bytes()),
        Err(Status::BadAddress)
    );
    let object = driver.object(2 << 20);
    let end = Instant::now() + PATIENCE;
    let mut round = 0;
    while counters(&driver).touches_refused == 0 {
        assert!(Instant::now() < end, "no false touch was noticed");
        round += 1;
        driver.guest_write(RING, &pattern(round, 16 + 64 * 16));
        // A count that jumps ahead, and back.
        let count = ((round % 2) << 60) | (round * 50);
        driver.guest_write(RING, &count.to_le_bytes());
        stream(&mut driver, object.device_address, 512, round);
    }
}

fn push(driver: &Driver, file: &[u8]) -> (ModelPushed, String) {
    for (index, part) in file.chunks(MODEL_CHUNK).enumerate() {
        let request = ModelPushRequest {
            scope: ModelScope::Context.code(),
            total: file.len() as u32,
            offset: (index * MODEL_CHUNK) as u32,
            bytes: part.len() as u32,
        };
        let mut body = request.as_bytes().to_vec();
        body.extend_from_slice(part);
        body.resize(ModelPushRequest::BYTES + MODEL_CHUNK, 0);
        let answer: ModelPushResponse = driver
            .ask(Request::ModelPush, driver.context, &body)
            .unwrap();
        let outcome = ModelPushed::from_code(answer.outcome).unwrap();
        if outcome != ModelPushed::Incomplete {
            let text = answer.reason.split(|&byte| byte == 0).next().unwrap();
            return (outcome, String::from_utf8(text.to_vec()).unwrap());
        }
    }
    panic!("a whole model is incomplete");
}

fn pull(driver: &Driver) -> Vec<u8> {
    let mut file = Vec::new();
    let end = Instant::now() + PATIENCE;
    loop {
        let request = ModelPullRequest {
            scope: ModelScope::Context.code(),
            offset: file.len() as u32,
        };
        let answer = driver.ask::<[u8; ModelPullResponse::BYTES + MODEL_CHUNK]>(
            Request::ModelPull,
            driver.context,
            request.as_bytes(),
        );
        match answer {
            Ok(answer) => {
                let (header, part) = answer.split_at(ModelPullResponse::BYTES);
                let header =
                    <ModelPullResponse as zerocopy::FromBytes>::read_from_bytes(header).unwrap();
                file.extend_from_slice(&part[..header.bytes as usize]);
                if file.len() == header.total as usize {
                    return file;
                }
            }
            Err(Status::Busy) => assert!(Instant::now() < end, "no copy is made"),
            Err(status) => panic!("{status:?}"),
        }
    }
}

#[test]
fn a_model_goes_in_and_out_and_a_poisoned_one_is_refused_with_a_reason() {
    let driver = predicting(PredictorMode::Full);
    let model = Model::untrained(5).to_bytes().unwrap();
    assert_eq!(push(&driver, &model).0, ModelPushed::Installed);
    assert_eq!(
        Model::from_bytes(&pull(&driver)).unwrap().info(),
        Model::from_bytes(&model).unwrap().info()
    );
    let mut poisoned = model.clone();
    let end = poisoned.len();
    for value in [f32::NAN, f32::INFINITY] {
        poisoned[end - 4..].copy_from_slice(&value.to_le_bytes());
        let (outcome, reason) = push(&driver, &poisoned);
        assert_eq!(outcome, ModelPushed::Refused);
        assert!(reason.contains("not finite"), "{reason}");
    }
    let (outcome, reason) = push(&driver, &model[..end - 4]);
    assert_eq!(outcome, ModelPushed::Refused);
    assert!(!reason.is_empty());
    // The running one stays.
    assert_eq!(
        Model::from_bytes(&pull(&driver)).unwrap().info(),
        Model::from_bytes(&model).unwrap().info()
    );
}

#[test]
fn windows_next_in_turn_are_watched_and_a_use_keeps_them() {
    let mut driver = predicting(PredictorMode::Full);
    let ring = TouchRingRequest {
        address: RING,
        entries: 64,
        flags: TOUCH_RING_ZAPS,
    };
    driver
        .ask::<[u8; 0]>(Request::TouchRing, 0, ring.as_bytes())
        .unwrap();
    let object = driver.object(4 << 20);
    let end = Instant::now() + PATIENCE;
    let mut written = 0;
    let mut random = 1;
    while counters(&driver).zaps_refaulted == 0 {
        assert!(
            Instant::now() < end,
            "no use of a watched window was noticed"
        );
        // More than the aperture, so that windows leave.
        random = 6_364_136_223_846_793_005_u64.wrapping_mul(random) + 1;
        driver.touch(object.device_address + (random >> 40) % 1024 * 4096, true);
        for (slot, generation) in std::mem::take(&mut driver.zapped) {
            let touch = Touch {
                sequence: written as u32 + 1,
                slot,
                generation,
                first_page: 0,
                pages: 1,
                flags: 0,
            };
            driver.guest_write(RING + 16 + written % 64 * 16, touch.as_bytes());
            written += 1;
            driver.guest_write(RING, &written.to_le_bytes());
        }
    }
    let counters = counters(&driver);
    assert!(counters.zaps_refaulted <= counters.zaps && counters.zaps <= 2 * counters.revokes);
}
