// SPDX-License-Identifier: MIT OR Apache-2.0
//! Allocation: exhaustion is an answer, freed memory comes back, and comes
//! back zeroed.

use std::time::{Duration, Instant};

use augur_client::{CommandList, Device, Error, Object};

use crate::harness::{AT_LAST, Options, Outcome, While, check};

/// Allocates everything, twice, and ends where it began.
pub fn exhaustion(options: &Options) -> Outcome {
    let device = options.open()?;
    let before = device.counters()?;
    let free = device.information().usable_bytes - before.object_bytes;
    let mut totals = Vec::new();
    for round in 0..2 {
        let objects = allocate_all(&device, free)?;
        let total: u64 = objects.iter().map(Object::bytes).sum();
        let counted = device.counters()?.object_bytes - before.object_bytes;
        check(total == counted, || {
            format!("round {round}: {total} bytes allocated, {counted} counted")
        })?;
        totals.push(total);
        drop(objects);
        let left = device.counters()?;
        check(
            (left.objects, left.object_bytes) == (before.objects, before.object_bytes),
            || {
                format!(
                    "round {round}: {} objects are left",
                    left.objects - before.objects
                )
            },
        )?;
    }
    check(totals == [free, free], || {
        format!("{free} bytes were free, {totals:?} could be allocated")
    })?;
    for (bytes, what) in [(u64::MAX, "2^64 - 1 bytes"), (1 << 62, "2^62 bytes")] {
        check(device.create_object(bytes).is_err(), || {
            format!("{what} were allocated")
        })?;
    }
    check(device.create_object(0).is_err(), || {
        "an empty object was allocated".into()
    })?;
    device
        .create_object(1)
        .map(drop)
        .while_doing(|| "after exhaustion".into())
}

/// Allocates all of `free` bytes, whenever the card has made the last of them zero.
fn allocate_all(device: &Device, free: u64) -> Result<Vec<Object>, Error> {
    let began = Instant::now();
    let mut objects = allocate(device, free)?;
    loop {
        let left = free.saturating_sub(objects.iter().map(Object::bytes).sum());
        if left < augur_abi::PAGE_BYTES || began.elapsed() > AT_LAST {
            return Ok(objects);
        }
        std::thread::sleep(Duration::from_millis(10));
        objects.extend(allocate(device, left)?);
    }
}

/// Allocates as much of `limit` as there is, in pieces that get smaller.
fn allocate(device: &Device, limit: u64) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    let mut left = limit;
    let mut piece = (limit / 16).next_power_of_two().max(augur_abi::PAGE_BYTES);
    while piece >= augur_abi::PAGE_BYTES && left >= augur_abi::PAGE_BYTES {
        if piece > left {
            piece /= 2;
            continue;
        }
        match device.create_object(piece) {
            Ok(object) => {
                left -= object.bytes();
                objects.push(object);
            }
            Err(Error::NoMemory { .. }) => piece /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(objects)
}

/// Writes memory in one context, by engine and by CPU, and looks for it in the
/// next.
pub fn zeroed(options: &Options) -> Outcome {
    for round in 0..2 {
        let device = options.open()?;
        let limit = options.bytes.min(device.information().usable_bytes);
        for object in allocate(&device, limit)? {
            let mut read = vec![0xff; usize::try_from(object.bytes()).unwrap_or(0)];
            let whole = object.byte_range(0, object.bytes())?;
            if round == 0 {
                let mut list = CommandList::new();
                list.fill(&whole, 0xa5)?;
                device.run(&list)?;
                object.map()?.write(0, &[0x5a; 4096])?;
                continue;
            }
            let half = read.len() / 2;
            let (by_dma, by_cpu) = read.split_at_mut(half);
            if half > 0 {
                let mut list = CommandList::new();
                list.download(by_dma, &object.byte_range(0, half as u64)?)?;
                device.run(&list)?;
            }
            object.map()?.read(half, by_cpu)?;
            let stale = read.iter().position(|&byte| byte != 0);
            check(stale.is_none(), || {
                format!(
                    "byte {stale:?} of a new object of {} is not zero",
                    object.bytes()
                )
            })?;
        }
    }
    Ok(())
}
