// SPDX-License-Identifier: MIT OR Apache-2.0
//! What everything else needs: the card answers and does a little of all.

use augur_abi::CardState;
use augur_client::{CommandList, DataType, Status};

use crate::harness::{Options, Outcome, check, check_status};
use crate::pattern;

/// Sizes and limits make sense, counters and contexts can be asked.
pub fn probe(options: &Options) -> Outcome {
    let device = options.open()?;
    let card = *device.information();
    println!(
        "# memory {} usable {} aperture {} windows {}..{} slots {} engines {} channels {} queues {} contexts {} submit {}",
        card.memory_bytes,
        card.usable_bytes,
        card.aperture_bytes,
        card.demand_window_bytes,
        card.max_window_bytes,
        card.window_slots,
        card.compute_engines,
        card.dma_channels,
        card.submit_queues,
        card.max_contexts,
        card.max_submit_bytes
    );
    let page = augur_abi::PAGE_BYTES as u32;
    let window = |bytes: u32| bytes.is_power_of_two() && bytes >= page;
    for (holds, what) in [
        (
            card.aperture_bytes.is_power_of_two(),
            "the aperture is a power of two",
        ),
        (
            card.usable_bytes == card.memory_bytes - card.aperture_bytes,
            "usable memory is memory minus aperture",
        ),
        (
            window(card.demand_window_bytes),
            "demand windows are powers of two of pages",
        ),
        (
            window(card.max_window_bytes),
            "the largest window is a power of two of pages",
        ),
        (
            card.demand_window_bytes <= card.max_window_bytes,
            "demand windows are no larger than the largest",
        ),
        (
            u64::from(card.max_window_bytes) * 8 <= card.aperture_bytes,
            "the aperture holds eight windows",
        ),
        (card.window_slots >= 8, "there are slots for eight windows"),
        (
            card.compute_engines > 0 && card.dma_channels > 0 && card.submit_queues > 0,
            "there are engines, channels and queues",
        ),
    ] {
        check(holds, || format!("not so: {what}"))?;
    }
    let driver = device.driver_counters()?;
    check(driver.state == CardState::Running.code(), || {
        format!("the card's state is {}", driver.state)
    })?;
    let own = card.context;
    let contexts = device.contexts()?;
    let found = contexts.iter().find(|context| context.context == own);
    let found = found.map(|context| context.process);
    check(found == Some(std::process::id()), || {
        format!("context {own} belongs to process {found:?}, not to this one")
    })?;
    let counters = device.counters()?;
    check(counters.contexts as usize == contexts.len(), || {
        format!(
            "{} contexts counted, {} listed",
            counters.contexts,
            contexts.len()
        )
    })
}

/// A little of everything, fast enough to run after each change of the driver.
pub fn smoke(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(256 << 10)?;
    let (source, copy) = (
        object.byte_range(3, 70_001)?,
        object.byte_range(100_000, 70_001)?,
    );
    let sent = pattern::bytes(options.seed, 70_001);
    let mut received = vec![0; sent.len()];
    let mut list = CommandList::new();
    list.upload(&source, &sent)?;
    list.copy(&copy, &source)?;
    list.download(&mut received, &copy)?;
    device.run(&list)?;
    pattern::same(&received, &sent, "up, copied on the card and down")?;

    let mut mapping = object.map()?;
    mapping.read(100_000, &mut received)?;
    pattern::same(&received, &sent, "read through the aperture")?;
    mapping.write(3, &[200; 16])?;
    let (a, b) = (object.byte_range(3, 16)?, object.byte_range(19, 16)?);
    let mut sums = [0; 16];
    let mut list = CommandList::new();
    list.fill(&b, 100)?;
    list.add(&b, &a, &b)?;
    list.download(&mut sums, &b)?;
    device.run(&list)?;
    pattern::same(
        &sums,
        &[255; 16],
        "saturating sum of what the CPU and an engine wrote",
    )?;

    let outside = object.tensor(DataType::U8, 0, &[1])?;
    drop(mapping);
    drop(object);
    let mut list = CommandList::new();
    list.fill(&outside, 1)?;
    check_status(
        device.run(&list),
        Status::NoObject,
        "a command on a freed object",
    )
}
