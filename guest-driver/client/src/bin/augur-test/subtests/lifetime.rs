// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting, and programs that end at a bad moment.

use std::time::{Duration, Instant};

use augur_client::{CommandList, DataType, Device, Error, Object};

use crate::harness::{AT_LAST, Failure, Options, Outcome, check};
use crate::pattern;
use crate::process::{self, Exit, SharedWords};

/// Products of a [`long_list`].
const LONG: u32 = 8;
/// Products of the longest list that is tried to be seen running.
const LONGEST: u32 = 64 * LONG;

/// A list that takes the card far longer than a millisecond.
pub fn long_list(object: &Object) -> Result<CommandList<'static>, Error> {
    products(object, LONG)
}

/// Looks at lists that run, with lists of more and more [`products`] until `look` has
/// seen one: a guest may stand still for longer than the card computes. `look` gets the
/// number of products and answers nothing when its list has ended too early to judge.
///
/// # Errors
/// Those of `look`, or even the longest list ended too early.
pub fn while_one_runs<T>(
    mut look: impl FnMut(u32) -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let mut count = LONG;
    loop {
        if let Some(seen) = look(count)? {
            return Ok(seen);
        }
        check(count < LONGEST, || {
            format!("{count} products ended before anybody could look")
        })?;
        count *= 4;
    }
}

/// A list of as many products of large matrices; each takes some milliseconds.
pub fn products(object: &Object, count: u32) -> Result<CommandList<'static>, Error> {
    const SIZE: u32 = 1024;
    let bytes = u64::from(SIZE * SIZE * 4);
    let matrix = |index| object.tensor(DataType::F32, index * bytes, &[SIZE, SIZE]);
    let (a, b, c) = (matrix(0)?, matrix(1)?, matrix(2)?);
    let mut list = CommandList::new();
    for _ in 0..count {
        list.matmul(&c, &a, &b, true)?;
    }
    Ok(list)
}

/// Bytes of an object for [`long_list`].
pub const LONG_LIST_BYTES: u64 = 12 << 20;

/// Time-outs, polling, results that are asked for twice, late or of nobody.
pub fn wait(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(LONG_LIST_BYTES)?;
    let long = while_one_runs(|count| {
        let long = device.submit(0, &products(&object, count)?)?;
        let early = long.wait(Some(Duration::from_millis(1)));
        if long.has_ended()? {
            return Ok(None);
        }
        check(matches!(early, Err(Error::TimedOut)), || {
            format!("a wait for a list that runs: {early:?}")
        })?;
        Ok(Some(long))
    })?;
    let first = long.wait(None)?;
    check(first.finished_ns > first.started_ns, || {
        format!("a list took no time: {first:?}")
    })?;
    check(long.has_ended()?, || {
        "the list has not ended after the wait".into()
    })?;
    let again = long.wait(Some(Duration::ZERO))?;
    check(again == first, || format!("{first:?} became {again:?}"))?;

    let mut quick = CommandList::new();
    quick.fill(&object.byte_range(0, 1)?, 1)?;
    let oldest = device.submit(0, &quick)?;
    for _ in 0..1030 {
        device.submit(0, &quick)?.wait(None)?;
    }
    match oldest.wait(None) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => Err(Failure(format!(
            "the result of 1030 lists ago: {other:?}, expected ENOENT"
        ))),
    }
}

/// Kills a program while the card reads and writes its memory.
pub fn killed_in_dma(options: &Options) -> Outcome {
    let device = options.open()?;
    let path = device.path().to_path_buf();
    let before = (device.counters()?, device.driver_counters()?);
    let mut random = options.random(5);
    for round in 0..6 {
        let started = SharedWords::new(1)?;
        let victim = process::fork("victim", || {
            let device = Device::open(&path)?;
            let bytes = 32 << 20;
            let object = device.create_object(bytes)?;
            let mut mapping = object.map()?;
            let mut memory = vec![1; bytes as usize];
            loop {
                let whole = object.byte_range(0, bytes)?;
                let mut list = CommandList::new();
                let lent = list.lend_mut(&mut memory)?;
                list.transfer_out(lent, 0, &whole)?;
                device.run(&list)?;
                let mut list = CommandList::new();
                list.upload(&whole, &memory)?;
                device.run(&list)?;
                mapping.write(12_345, &[7; 10_000])?;
                started.set(0, 1);
            }
        })?;
        let began = Instant::now();
        check(started.wait_for(0, 1, || began.elapsed() < AT_LAST), || {
            "the victim did not start".into()
        })?;
        // Anywhere between two lists or in one.
        std::thread::sleep(Duration::from_micros(random.u64(..60_000)));
        let exit = victim.kill()?;
        check(exit == Exit::Signal(libc::SIGKILL), || {
            format!("the victim ended with {exit:?}")
        })?;
        nothing_left(&device, &before, round)?;
    }
    let object = device.create_object(1 << 20)?;
    round_trip(&device, &object, options.seed)
}

/// What a killed program held is given back at last.
pub fn nothing_left(
    device: &Device,
    before: &(
        augur_abi::control::CountersResponse,
        augur_client::uapi::QueryDriver,
    ),
    round: u32,
) -> Outcome {
    let began = Instant::now();
    loop {
        let (card, driver) = (device.counters()?, device.driver_counters()?);
        let left = [
            ("contexts", card.contexts, before.0.contexts),
            ("objects", card.objects, before.0.objects),
            ("object bytes", card.object_bytes, before.0.object_bytes),
            ("windows", card.windows, before.0.windows),
            (
                "bytes in quarantine",
                card.quarantined_bytes,
                before.0.quarantined_bytes,
            ),
            ("objects of the driver", driver.objects, before.1.objects),
            ("lists in flight", driver.submissions, before.1.submissions),
        ];
        if left.iter().all(|(_, now, before)| now == before) {
            return Ok(());
        }
        check(began.elapsed() < AT_LAST, || {
            format!("round {round}: left behind (what, now, before): {left:?}")
        })?;
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn round_trip(device: &Device, object: &Object, tag: u64) -> Outcome {
    let bytes = usize::try_from(object.bytes()).unwrap_or(0);
    let whole = object.byte_range(0, object.bytes())?;
    let mut memory = pattern::bytes(tag, bytes);
    let mut list = CommandList::new();
    list.upload(&whole, &memory)?;
    device.run(&list)?;
    memory.fill(0);
    let mut list = CommandList::new();
    list.download(&mut memory, &whole)?;
    device.run(&list)?;
    pattern::verify(tag, &memory, "up and down")
}

/// Transfers and mapped accesses for as long as it is let, each checked. A
/// line for the first and each hundredth round tells the outside how far it is.
pub fn endless(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(8 << 20)?;
    let mut mapping = object.map()?;
    let mut read = vec![0; 4096];
    for round in 0_u64.. {
        round_trip(&device, &object, round)?;
        let words = ((8 << 20) - read.len()) as u64 / 8;
        let at = (round * 12_289 % words * 8) as usize;
        mapping.read(at, &mut read)?;
        for (place, chunk) in (at as u64 / 8..).zip(read.chunks(8)) {
            check(chunk == pattern::word(round, place).to_le_bytes(), || {
                format!("round {round}: word {place} through the aperture is {chunk:02x?}")
            })?;
        }
        mapping.write(at, &[0; 4096])?;
        if round % 100 == 0 {
            println!("# READY round {round}");
        }
    }
    Ok(())
}
