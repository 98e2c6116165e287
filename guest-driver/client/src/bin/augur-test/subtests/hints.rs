// SPDX-License-Identifier: MIT OR Apache-2.0
//! Priority and advice: what they change, who may ask for it, and their bounds.

use std::time::{Duration, Instant};

use augur_client::prediction::PredictorMode;
use augur_client::{Advice, CommandList, DataType, Device, Error, Object, Priority, Submission};

use crate::harness::{AT_LAST, Failure, Options, Outcome, check};
use crate::process;

const PAGE: u64 = 4096;

/// Lists that each of two contexts queues for their priorities to matter.
const LISTS: usize = 60;

/// Queues lists of so many products each, none of which has to wait for another.
fn keep_busy(device: &Device, products: u32) -> Result<(Object, Vec<Submission>), Error> {
    const SIZE: u32 = 512;
    let bytes = u64::from(SIZE * SIZE * 4);
    let object = device.create_object(10 * bytes)?;
    let matrix = |index| object.tensor(DataType::F32, index * bytes, &[SIZE, SIZE]);
    let mut submissions = Vec::new();
    // Neighbours write different matrices: a context could use all engines.
    for number in 0..LISTS as u64 {
        let mut list = CommandList::new();
        for _ in 0..products {
            list.matmul(&matrix(2 + number % 8)?, &matrix(0)?, &matrix(1)?, true)?;
        }
        submissions.push(device.submit(0, &list)?);
    }
    Ok((object, submissions))
}

/// How many lists of high and of low priority began by the card's clock while there were
/// both to choose from, if there were enough for that to mean anything.
fn engine_shares(
    [low, high, witness]: &[Device; 3],
    products: u32,
) -> Result<Option<(usize, usize)>, Failure> {
    let (_low_object, others) = keep_busy(low, products)?;
    let (_high_object, urgent) = keep_busy(high, products)?;
    // The card takes lists of a queue in their order: when this one begins, all are there.
    let object = witness.create_object(1)?;
    let mut last = CommandList::new();
    last.fill(&object.byte_range(0, 1)?, 1)?;
    let all_came = witness.run(&last)?.started_ns;
    let began = |submissions: &[Submission]| {
        let completions = submissions.iter().map(|list| list.wait(None));
        completions
            .map(|ended| ended.map(|ended| ended.started_ns))
            .collect::<Result<Vec<u64>, Error>>()
    };
    let (others, urgent) = (began(&others)?, began(&urgent)?);
    let last_urgent = urgent.iter().copied().max().unwrap_or(0);
    let meanwhile = |began: &[u64]| {
        let meanwhile = all_came..=last_urgent;
        began.iter().filter(|at| meanwhile.contains(at)).count()
    };
    let (urgent, others) = (meanwhile(&urgent), meanwhile(&others));
    Ok((urgent >= LISTS / 3).then_some((urgent, others)))
}

/// A context of high priority gets engines more often than one of low; who may
/// not ask for it does not get it.
pub fn priority(options: &Options) -> Outcome {
    let devices = [options.open()?, options.open()?, options.open()?];
    let [low, high, _] = &devices;
    low.set_priority(Priority::Low)?;
    high.set_priority(Priority::High)?;
    let of = |device: &Device| {
        let own = device.information().context;
        let all = device.contexts()?;
        let found = all.into_iter().find(|context| context.context == own);
        found.map(|context| context.priority).ok_or(Error::NoCard)
    };
    for (device, expected) in [(low, Priority::Low), (high, Priority::High)] {
        let found = of(device)?;
        check(found == expected.code(), || {
            format!("priority {expected:?} is shown as {found}")
        })?;
    }
    // A few products are over before all lists have come when the guest stands still.
    let mut products = [4, 16, 64].into_iter();
    let (urgent, others) = products
        .find_map(|products| engine_shares(&devices, products).transpose())
        .ok_or_else(|| Failure("all lists ran before the last one came".into()))??;
    // A ninth of the urgent ones.
    check(3 * others < 2 * urgent, || {
        format!("{others} lists of low priority began while {urgent} of high priority did")
    })?;

    let device = options.open()?;
    let child = process::fork("without privileges", || {
        // SAFETY: the child gives up its privileges, for itself only.
        if unsafe { libc::setuid(65_534) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        match device.set_priority(Priority::High) {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {}
            other => return Err(Failure(format!("high priority: {other:?}"))),
        }
        device.set_priority(Priority::Low)?;
        Ok(device.set_priority(Priority::Normal)?)
    })?;
    process::wait_all(vec![child])
}

/// Demand faults of the driver while each page of a range is read.
fn faults(device: &Device, object: &Object, first: u64, pages: u64) -> Result<u64, Error> {
    let before = device.driver_counters()?.demand_faults;
    let mapping = object.map()?;
    for page in first..first + pages {
        mapping.read_byte((page * PAGE) as usize)?;
    }
    drop(mapping);
    Ok(device.driver_counters()?.demand_faults - before)
}

/// Waits until the windows of the device's own context show `bytes`, and the driver
/// knows them beside the `others` that it knew before.
fn wait_for_windows(device: &Device, bytes: u64, others: u64) -> Outcome {
    let own = device.information().context;
    let began = Instant::now();
    loop {
        let all = device.contexts()?;
        let context = all.iter().find(|context| context.context == own);
        let (windows, shown) =
            context.map_or((0, 0), |context| (context.windows, context.window_bytes));
        if shown >= bytes && device.driver_counters()?.windows >= others + windows {
            return Ok(());
        }
        check(began.elapsed() < AT_LAST, || {
            format!("{shown} of {bytes} bytes became visible")
        })?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Advice changes how many faults a range costs; pins hold and are bounded.
pub fn advice(options: &Options) -> Outcome {
    let device = options.open()?;
    // What advice changes, and not what the card foresees anyway.
    device.set_predictor(PredictorMode::Off)?;
    let window = u64::from(device.information().demand_window_bytes);
    let aperture = device.information().aperture_bytes;
    const BYTES: u64 = 1 << 20;
    let pages = BYTES / PAGE;

    let plain = faults(&device, &device.create_object(BYTES)?, 0, pages)?;
    check(plain >= BYTES / window && plain < pages, || {
        format!("{plain} faults without advice")
    })?;

    let object = device.create_object(BYTES)?;
    object.advise(0, BYTES, Advice::Random)?;
    let random = faults(&device, &object, 0, pages)?;
    check(random >= pages, || {
        format!("{random} faults on {pages} pages in random order")
    })?;

    let third = options.open()?;
    third.set_predictor(PredictorMode::Off)?;
    let object = third.create_object(BYTES)?;
    object.advise(0, BYTES, Advice::Sequential)?;
    let known = third.driver_counters()?.windows;
    let first = faults(&third, &object, 0, 1)?;
    wait_for_windows(&third, 2 * window, known)?;
    let behind = faults(&third, &object, 1, pages - 1)?;
    check(first == 1 && first + behind < plain, || {
        format!("{first} and {behind} faults in a sequential range, {plain} without advice")
    })?;

    let other = options.open()?;
    other.set_predictor(PredictorMode::Off)?;
    let object = other.create_object(BYTES)?;
    let known = other.driver_counters()?.windows;
    object.advise(0, BYTES, Advice::WillNeed)?;
    wait_for_windows(&other, BYTES, known)?;
    let needed = faults(&other, &object, 0, pages)?;
    check(needed == 0, || {
        format!("{needed} faults on memory that was mapped ahead")
    })?;
    refused(&other, &object)?;
    pins(&device, aperture)
}

fn refused(device: &Device, object: &Object) -> Outcome {
    for (what, offset, bytes) in [
        ("no bytes", 0, 0),
        ("bytes behind the object", 0, object.bytes() + 1),
        ("an offset behind the object", object.bytes(), 1),
        ("a range that wraps", PAGE, u64::MAX),
    ] {
        match object.advise(offset, bytes, Advice::Random) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            other => return Err(Failure(format!("advice on {what}: {other:?}"))),
        }
    }
    // An object of another context cannot be advised on: its handle is nobody's.
    let closed = augur_client::uapi::ObjectAdvise {
        handle: 4711,
        size: 1,
        ..Default::default()
    };
    for (argument, errno) in [
        (closed, libc::ENOENT),
        (
            augur_client::uapi::ObjectAdvise {
                handle: object.handle(),
                advice: 6,
                size: 1,
                offset: 0,
            },
            libc::EINVAL,
        ),
    ] {
        let mut argument = argument;
        // SAFETY: the argument holds no address.
        let result = unsafe { crate::raw::call(device, &mut argument) };
        let found = result.err().and_then(|error| error.raw_os_error());
        check(found == Some(errno), || {
            format!("{argument:?}: errno {found:?}, expected {errno}")
        })?;
    }
    Ok(())
}

/// What is pinned stays visible while twice the aperture is touched.
fn pins(device: &Device, aperture: u64) -> Outcome {
    let limit = aperture / 8;
    let object = device.create_object(2 * limit)?;
    match object.advise(0, 2 * limit, Advice::Pin) {
        Err(Error::NoMemory { .. }) => {}
        other => return Err(Failure(format!("a pin of twice the bound: {other:?}"))),
    }
    object.advise(0, limit / 2, Advice::Pin)?;
    let pages = limit / 2 / PAGE;
    faults(device, &object, 0, pages)?;
    let flood = device.create_object(2 * aperture)?;
    faults(device, &flood, 0, 2 * aperture / PAGE)?;
    let pinned = faults(device, &object, 0, pages)?;
    check(pinned == 0, || {
        format!("{pinned} faults on memory that was pinned")
    })?;
    object.advise(0, limit / 2, Advice::Unpin)?;
    faults(device, &flood, 0, 2 * aperture / PAGE)?;
    let unpinned = faults(device, &object, 0, pages)?;
    check(unpinned > 0, || {
        "no fault on memory that was not pinned any more".into()
    })
}
