// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several lists in one submission, and waits for objects.

use std::time::Duration;

use augur_client::uapi;
use augur_client::{CommandList, Device, Error, Order, Status};

use super::lifetime::{LONG_LIST_BYTES, products, while_one_runs};
use crate::harness::{Failure, Options, Outcome, check, check_status};
use crate::raw;

/// Lists of one submission take effect in order, and all of them or none.
pub fn lists(options: &Options) -> Outcome {
    let device = options.open()?;
    in_order(&device)?;
    failures_are_single(&device)?;
    all_or_nothing(&device)
}

fn in_order(device: &Device) -> Outcome {
    let object = device.create_object(4096)?;
    let bytes = object.byte_range(0, 4096)?;
    let mut first = CommandList::new();
    first.fill(&bytes, 1)?;
    let mut lists = vec![first];
    for _ in 0..6 {
        let mut double = CommandList::new();
        double.add(&bytes, &bytes, &bytes)?;
        lists.push(double);
    }
    let timeline = device.create_timeline()?;
    let order = Order {
        after: &[],
        passes: &[timeline.at(1)],
    };
    let submissions = device.submit_lists(0, &lists, &order)?;
    timeline.at(1).wait(None)?;
    for (number, submission) in submissions.iter().enumerate() {
        check(submission.has_ended()?, || {
            format!("list {number} runs although the point of all was passed")
        })?;
    }
    let mut found = [0; 4096];
    let mut read = CommandList::new();
    read.download(&mut found, &bytes)?;
    device.run(&read)?;
    check(found == [64; 4096], || {
        format!("1 doubled six times is {}", found[0])
    })
}

/// A list that fails does not take the others of its submission with it.
fn failures_are_single(device: &Device) -> Outcome {
    let object = device.create_object(4096)?;
    let mut good = CommandList::new();
    good.fill(&object.byte_range(0, 4096)?, 1)?;
    let mut bad = CommandList::new();
    bad.fill(&device.create_object(4096)?.byte_range(0, 1)?, 1)?;
    let submissions =
        device.submit_lists(0, &[good.clone(), bad, good.clone()], &Order::default())?;
    for (number, submission) in submissions.iter().enumerate() {
        let ended = submission.wait(None);
        if number == 1 {
            check_status(ended, Status::NoObject, "the list in the middle")?;
        } else {
            ended?;
        }
    }
    Ok(())
}

fn all_or_nothing(device: &Device) -> Outcome {
    let object = device.create_object(4096)?;
    let bytes = object.byte_range(0, 4096)?;
    let mut fill = CommandList::new();
    fill.fill(&bytes, 7)?;
    let before = device.submit(0, &fill)?.fence();
    let mut clear = CommandList::new();
    clear.fill(&bytes, 0)?;
    device.run(&clear)?;

    let good = uapi::List {
        commands: fill.commands().as_ptr().expose_provenance() as u64,
        commands_size: u32::try_from(fill.commands().len()).unwrap_or(0),
        command_count: 1,
        ..Default::default()
    };
    let short = uapi::List {
        commands_size: good.commands_size - 8,
        ..good
    };
    let nowhere = uapi::List {
        commands: 0x10,
        ..good
    };
    let padded = uapi::List { pad: 1, ..good };
    let transfers = uapi::List {
        transfers: 0x10,
        transfer_count: 1,
        ..good
    };
    for (what, bad, errno) in [
        ("cut short", short, libc::EINVAL),
        ("nowhere", nowhere, libc::EFAULT),
        ("with padding", padded, libc::EINVAL),
        ("with transfers nowhere", transfers, libc::EFAULT),
    ] {
        submit(device, &[good, good, bad], errno, what)?;
    }
    submit(device, &[], libc::EINVAL, "none")?;
    submit(device, &[good; 65], libc::EINVAL, "65 of them")?;

    let mut found = [1; 4096];
    let mut read = CommandList::new();
    read.download(&mut found, &bytes)?;
    let after = device.scope(|scope| {
        let submission = scope.submit(0, &read)?;
        submission.wait(None).map(|_| submission.fence())
    })?;
    check(found == [0; 4096], || {
        "a list of a refused submission was executed".into()
    })?;
    check(after == before + 2, || {
        format!("lists {before} and {after}: a refused submission took numbers")
    })
}

/// Submits lists that the driver must refuse with an errno.
fn submit(device: &Device, lists: &[uapi::List], errno: i32, what: &str) -> Outcome {
    let mut argument = uapi::SubmitLists {
        lists: lists.as_ptr().expose_provenance() as u64,
        list_count: u32::try_from(lists.len()).unwrap_or(u32::MAX),
        ..Default::default()
    };
    // SAFETY: the lists name commands, which are copied, and no memory of the
    // program.
    let result = unsafe { raw::call(device, &mut argument) };
    let found = result.err().and_then(|error| error.raw_os_error());
    check(found == Some(errno), || {
        format!("lists, one {what}: errno {found:?}, expected {errno}")
    })
}

/// Waits for the lists that use an object, those that only read it or all.
pub fn object_wait(options: &Options) -> Outcome {
    let device = options.open()?;
    let written = device.create_object(LONG_LIST_BYTES)?;
    let read = device.create_object(4096)?;
    let unused = device.create_object(4096)?;
    let mut copy = CommandList::new();
    copy.copy(
        &written.byte_range(8 << 20, 4096)?,
        &read.byte_range(0, 4096)?,
    )?;
    let (long, reader) = while_one_runs(|count| {
        // One list keeps the engines busy, and another waits for it to read.
        let long = device.submit(0, &products(&written, count)?)?;
        let reader = device.submit(0, &copy)?;
        unused.wait(true, Some(Duration::ZERO))?;
        read.wait(false, Some(Duration::ZERO))?;
        let early = [(&written, false), (&written, true), (&read, true)]
            .map(|(object, readers)| object.wait(readers, Some(Duration::from_millis(1))));
        if long.has_ended()? {
            return Ok(None);
        }
        let timed_out = |wait: &Result<(), Error>| matches!(wait, Err(Error::TimedOut));
        check(early.iter().all(timed_out), || {
            format!("waits for what is written, written or read, and read: {early:?}")
        })?;
        Ok(Some((long, reader)))
    })?;
    read.wait(true, None)?;
    check(reader.has_ended()?, || "the reader runs still".into())?;
    written.wait(true, None)?;
    check(long.has_ended()?, || "the writer runs still".into())?;
    for (what, flags, timeout_ns) in [("flags", 2, 0), ("a time before 0", 0, -1)] {
        let mut argument = uapi::ObjectWait {
            handle: read.handle(),
            flags,
            timeout_ns,
        };
        // SAFETY: the argument holds no address.
        let result = unsafe { raw::call(&device, &mut argument) };
        let found = result.err().and_then(|error| error.raw_os_error());
        check(found == Some(libc::EINVAL), || {
            format!("a wait with {what}: errno {found:?}")
        })?;
    }
    let mut argument = uapi::ObjectWait {
        handle: 12345,
        ..Default::default()
    };
    // SAFETY: the argument holds no address.
    match unsafe { raw::call(&device, &mut argument) } {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => Err(Failure(format!("a wait for no object: {other:?}"))),
    }
}
