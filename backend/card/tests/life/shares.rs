// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nobody is kept from the card by another: not a fault by predictions or bulk
//! transfers, not bulk transfers by faults, not a context by one that floods.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use augur_abi::submit::SubmitStatus;
use augur_card::{CardConfig, DmaOrder, PredictorMode};

use super::driver::*;
use super::prediction::report_touches;
use super::*;

/// Bytes of a bulk transfer, how many of them are queued, and to how many places.
const BULK: u32 = 16 << 20;
const LISTS: usize = 64;
const PLACES: u64 = 8;
/// Faults while the transfers go on.
const FAULTS: usize = 32;

fn busy(predictor: PredictorMode) -> Driver {
    let driver = Driver::start(CardConfig {
        dma_channels: 1,
        predictor,
        memory_bytes: 256 << 20,
        ..small()
    });
    report_touches(&driver);
    driver
}

/// Begins bulk transfers into an object, on the one channel: as many are ready at a time
/// as there are places.
fn flood(driver: &Driver, address: u64) -> Vec<Receiver<SubmitStatus>> {
    let segments: Vec<(u64, u32)> = (0..BULK >> 20)
        .map(|index| (u64::from(index) << 20, 1 << 20))
        .collect();
    let places = (0..PLACES).map(|place| address + place * u64::from(BULK));
    let begin = |place| driver.begin(&[transfer(Opcode::TransferIn, place, BULK, 0)], &segments);
    places.cycle().take(LISTS).map(begin).collect()
}

#[test]
fn demand_goes_before_bulk_transfers_which_end_nevertheless() {
    let mut driver = busy(PredictorMode::Off);
    let bulk = driver.object(PLACES * u64::from(BULK));
    let object = driver.object(4 << 20);
    // All of the aperture is dirty: each fault waits for a write home on the channel.
    for page in 0..1024 {
        driver.write(object.device_address + page * 4096, &[1]);
    }
    let end = Instant::now() + PATIENCE;
    let mut windows = (0..256).cycle();
    let mut lists = loop {
        let mut lists = flood(&driver, bulk.device_address);
        for window in windows.by_ref().take(FAULTS) {
            driver.write(object.device_address + window * (16 << 10), &[2]);
        }
        lists.retain(|list| list.try_recv().is_err());
        // Were transfers not interrupted, about every second fault would wait for the end
        // of one at least, each time; once they may have ended while this thread stood still.
        if LISTS - lists.len() < FAULTS / 4 {
            break lists;
        }
        assert!(Instant::now() < end, "faults wait for bulk transfers");
    };
    let mut page = 0;
    while !lists.is_empty() {
        assert!(Instant::now() < end, "bulk transfers starve");
        lists.retain(|list| match list.try_recv() {
            Ok(status) => {
                assert_eq!(status.status, Status::Ok.code());
                false
            }
            Err(_) => true,
        });
        page = (page + 4) % 1024;
        driver.write(object.device_address + page * 4096, &[3]);
    }
}

#[test]
fn in_order_of_arrival_a_fault_waits_for_the_transfers_before_it() {
    let mut driver = Driver::start(CardConfig {
        dma_channels: 1,
        dma_order: DmaOrder::Arrival,
        memory_bytes: 256 << 20,
        ..small()
    });
    let bulk = driver.object(8 * u64::from(BULK));
    let object = driver.object(4 << 20);
    let segments: Vec<(u64, u32)> = (0..16).map(|index| (index << 20, 1 << 20)).collect();
    // Each into a place of its own, so that all may begin at once.
    let lists: Vec<_> = (0..8)
        .map(|index| {
            let address = bulk.device_address + index * u64::from(BULK);
            let list = [transfer(Opcode::TransferIn, address, BULK, 0)];
            driver.begin(&list, &segments)
        })
        .collect();
    driver.touch(object.device_address, true);
    assert!(lists.iter().all(|list| list.try_recv().is_ok()));
}

#[test]
fn faults_are_served_while_the_learning_thread_is_behind() {
    // Much more is told than can be learned; what is too late is dropped and counted,
    // and no fault waits for a prediction.
    let mut driver = busy(PredictorMode::Full);
    let object = driver.object(16 << 20);
    let mut list = Vec::new();
    for index in 0..64 {
        let operand = dense(object.device_address + index * 4096, DataType::U8, &[1]);
        let parameters = FillParams { value: 1 };
        list.push(command(Opcode::Fill, parameters.as_bytes(), &[operand]));
    }
    let end = Instant::now() + PATIENCE;
    let mut random = 7_u64;
    let dropped = |driver: &Driver| {
        let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
        counters.accesses_dropped
    };
    while dropped(&driver) == 0 {
        assert!(Instant::now() < end, "the learning thread is never behind");
        let lists: Vec<_> = (0..64).map(|_| driver.begin(&list, &[])).collect();
        for _ in 0..16 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let page = (random >> 40) % 4096;
            driver.touch(object.device_address + page * 4096, false);
        }
        for ended in lists {
            while ended.try_recv().is_err() {
                driver.handle_events();
            }
        }
    }
}

#[test]
fn a_context_that_floods_leaves_others_their_predictions() {
    let mut driver = busy(PredictorMode::Full);
    let quiet = driver.context;
    let own = driver.object(2 << 20).device_address;
    let loud = driver.new_context();
    driver.context = loud;
    let flooded = driver.object(64 << 20).device_address;
    let end = Instant::now() + PATIENCE;
    let mut random = 3_u64;
    let mut page = 0;
    while driver.ahead.get(&quiet).copied().unwrap_or(0) < 8 {
        assert!(
            Instant::now() < end,
            "nothing is mapped ahead for the quiet one"
        );
        // The loud one faults all over its memory and maps ahead as it goes.
        driver.context = loud;
        for _ in 0..40 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let start = (random >> 40) % (16 * 1024 - 4);
            for page in start..start + 4 {
                driver.touch(flooded + page * 4096, true);
            }
        }
        driver.context = quiet;
        for _ in 0..8 {
            driver.touch(own + page * 4096, true);
            page = (page + 1) % 512;
        }
    }
}

#[test]
fn who_takes_a_list_moves_what_it_transfers_until_asked_for_something_else() {
    let driver = busy(PredictorMode::Off);
    let object = driver.object(1 << 20);
    // Each waits for the one before: they write the same bytes.
    let list = vec![transfer(Opcode::TransferIn, object.device_address, 1 << 20, 0); 2000];
    for patience in [0, 5, usize::MAX] {
        let end = Instant::now() + PATIENCE;
        // While the channel is awake it is left to that.
        let mut looks = 0;
        while looks == 0 {
            assert!(Instant::now() < end, "never stood in for the channel");
            let seen = AtomicUsize::new(0);
            let asked = || seen.fetch_add(1, Ordering::Relaxed) >= patience;
            let running = driver.begin_unless(&list, &[(0, 1 << 20)], &asked);
            // Two gigabytes take longer than anybody stands in for a channel.
            assert_eq!(running.try_recv(), Err(TryRecvError::Empty));
            looks = seen.into_inner();
            assert!(looks <= patience.saturating_add(1), "{looks}");
            let ended = running.recv_timeout(PATIENCE).unwrap();
            assert_eq!(ended.status, Status::Ok.code());
        }
    }
}
