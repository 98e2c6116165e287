// SPDX-License-Identifier: MIT OR Apache-2.0
//! DMA between guest memory and the card.

use augur_client::{CommandList, Device, Object};

use crate::harness::{Options, Outcome, While, check};
use crate::pattern;

/// Random ranges up and down, compared with a copy of the object.
pub fn odd(options: &Options) -> Outcome {
    const OBJECT: usize = 1 << 20;
    let device = options.open()?;
    let object = device.create_object(OBJECT as u64)?;
    let mut random = options.random(1);
    let mut expected = vec![0; OBJECT];
    let mut memory = vec![0; OBJECT + 4096];
    for round in 0..150 {
        // Mostly small: the edges of pages and words matter, not the middle.
        let magnitude = random.u32(1..18);
        let length = 1 + random.usize(..1 << magnitude);
        let at = random.usize(..=OBJECT - length);
        let from = random.usize(..4096);
        let card = object.byte_range(at as u64, length as u64)?;
        let what = || format!("round {round}: {length} bytes at {at}, memory offset {from}");
        let mut list = CommandList::new();
        if random.bool() {
            let part = &mut memory[from..from + length];
            pattern::fill(random.u64(..), part);
            expected[at..at + length].copy_from_slice(part);
            list.upload(&card, part)?;
            device.run(&list).while_doing(what)?;
        } else {
            memory.fill(0xee);
            let part = &mut memory[from..from + length];
            list.download(part, &card)?;
            device.run(&list).while_doing(what)?;
            pattern::same(part, &expected[at..at + length], &what())?;
            let around = memory[..from].iter().chain(&memory[from + length..]);
            check(around.copied().all(|byte| byte == 0xee), || {
                format!("{}: memory around it changed", what())
            })?;
        }
    }
    let mut all = vec![0; OBJECT];
    download(&device, &object, 0, &mut all)?;
    pattern::same(&all, &expected, "the whole object in the end")
}

/// Sizes around pages, windows and tables of segments, up to `--bytes`.
pub fn sizes(options: &Options) -> Outcome {
    let device = options.open()?;
    let largest = options.bytes.min(device.information().usable_bytes / 2);
    let object = device.create_object(largest + 4096)?;
    let mut memory = vec![0; usize::try_from(largest).unwrap_or(0) + 64];
    let table = 255 << 12;
    for size in [
        1,
        4095,
        4096,
        4097,
        65_535,
        65_537,
        table - 1,
        table + 4097,
        16 << 20,
        u64::MAX,
    ] {
        let size = size.min(largest);
        for (at, from) in [(0, 0), (4095, 63)] {
            let tag = size ^ (at << 40);
            let part = &mut memory[from..from + size as usize];
            pattern::fill(tag, part);
            let mut list = CommandList::new();
            let card = object.byte_range(at, size)?;
            list.upload(&card, part)?;
            device
                .run(&list)
                .while_doing(|| format!("{size} bytes to the card"))?;
            part.fill(0);
            let mut list = CommandList::new();
            list.download(part, &card)?;
            device
                .run(&list)
                .while_doing(|| format!("{size} bytes from the card"))?;
            pattern::verify(tag, part, &format!("{size} bytes, card offset {at}"))?;
        }
    }
    Ok(())
}

/// Many pieces of one scattered buffer, in a random order, in one list.
pub fn scatter(options: &Options) -> Outcome {
    const BYTES: usize = 2 << 20;
    const PAGE: usize = 4096;
    let device = options.open()?;
    let object = device.create_object(BYTES as u64)?;
    let mut random = options.random(2);
    let mut sent = vec![0_u8; BYTES];
    // Pages come from the kernel when they are first touched: a random order
    // scatters them over the guest's memory.
    let mut pages: Vec<usize> = (0..BYTES / PAGE).collect();
    random.shuffle(&mut pages);
    for page in pages {
        sent[page * PAGE] = 1;
    }
    pattern::fill(options.seed, &mut sent);

    let pieces = cut(&mut random, BYTES);
    let mut list = CommandList::new();
    let lent = list.lend(&sent)?;
    for &(at, length) in &pieces {
        // The object holds the buffer turned by half.
        let to = (at + BYTES / 2) % BYTES;
        let first = length.min(BYTES - to);
        list.transfer_in(
            &object.byte_range(to as u64, first as u64)?,
            lent,
            at as u64,
        )?;
        if first < length {
            let rest = object.byte_range(0, (length - first) as u64)?;
            list.transfer_in(&rest, lent, (at + first) as u64)?;
        }
    }
    device.run(&list)?;

    let mut received = vec![0; BYTES];
    let mut list = CommandList::new();
    let lent = list.lend_mut(&mut received)?;
    for (at, length) in cut(&mut random, BYTES) {
        list.transfer_out(
            lent,
            at as u64,
            &object.byte_range(at as u64, length as u64)?,
        )?;
    }
    device.run(&list)?;
    received.rotate_left(BYTES / 2);
    pattern::same(&received, &sent, "pieces up and other pieces down")?;
    many_buffers(&device, &object, options)
}

/// Cuts a range into pieces of odd sizes, in a random order.
fn cut(random: &mut fastrand::Rng, bytes: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes {
        let length = (1 + random.usize(..40_000)).min(bytes - at);
        pieces.push((at, length));
        at += length;
    }
    random.shuffle(&mut pieces);
    pieces
}

/// A list with many transfers, each its own memory.
fn many_buffers(device: &Device, object: &Object, options: &Options) -> Outcome {
    let buffers: Vec<Vec<u8>> = (0..100_u64)
        .map(|index| pattern::bytes(options.seed ^ index, 1 + (index as usize * 211) % 9000))
        .collect();
    let mut list = CommandList::new();
    let mut at = 1;
    for buffer in &buffers {
        list.upload(&object.byte_range(at, buffer.len() as u64)?, buffer)?;
        at += buffer.len() as u64;
    }
    device.run(&list)?;
    let mut all = vec![0; usize::try_from(at).unwrap_or(0) - 1];
    download(device, object, 1, &mut all)?;
    pattern::same(&all, &buffers.concat(), "a hundred buffers in one list")
}

fn download(device: &Device, object: &Object, at: u64, memory: &mut [u8]) -> Outcome {
    let card = object.byte_range(at, memory.len() as u64)?;
    let mut list = CommandList::new();
    list.download(memory, &card)?;
    device.run(&list)?;
    Ok(())
}
