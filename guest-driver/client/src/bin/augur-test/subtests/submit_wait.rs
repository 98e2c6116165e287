// SPDX-License-Identifier: MIT OR Apache-2.0
//! Submitting and waiting in one call: what became of the list, and that nothing
//! ends the wait in a way that submits the list again.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use augur_client::uapi::{self, Argument};
use augur_client::{CommandList, Completion, Device, Object, Status};
use zerocopy::IntoBytes;

use super::lifetime::{LONG_LIST_BYTES, long_list, products, while_one_runs};
use crate::harness::{Failure, Options, Outcome, check, check_status};
use crate::process::{self, Exit};
use crate::raw;

/// Makes every outcome of such a call happen.
pub fn run(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(LONG_LIST_BYTES + 4096)?;
    ends(&device, &object)?;
    time_outs(&device, &object)?;
    dependencies(&device, &object)?;
    shorter_structure(&device, &object)?;
    for restart in [libc::SA_RESTART, 0] {
        let child = process::fork("interrupted", || interrupted(options, restart))?;
        check(child.wait()? == Exit::Code(0), || {
            format!("interrupted, flags {restart:#x} of the signal's action")
        })?;
    }
    Ok(())
}

/// A submission that waits until `timeout_ns`.
fn waiting(list: &CommandList<'static>, timeout_ns: i64) -> uapi::Submit {
    uapi::Submit {
        commands: list.commands().as_ptr().expose_provenance() as u64,
        commands_size: u32::try_from(list.commands().len()).unwrap_or(u32::MAX),
        command_count: list.command_count(),
        flags: uapi::SUBMIT_WAIT,
        wait: uapi::Wait {
            timeout_ns,
            ..Default::default()
        },
        ..Default::default()
    }
}

/// Return: what the driver made of a submission, or the errno.
fn submit(device: &Device, mut argument: uapi::Submit) -> io::Result<uapi::Submit> {
    // SAFETY: the commands and points are copied during the call, and no list
    // here names memory of the program.
    unsafe { raw::call(device, &mut argument) }?;
    Ok(argument)
}

/// Expects that the wait ended with an errno, the list being submitted.
fn expect_wait_error(what: &str, ended: &uapi::Submit, errno: i32) -> Outcome {
    check(
        ended.wait_error == errno as u32 && ended.wait.fence != 0,
        || format!("{what}: {ended:?}, expected errno {errno} of the wait"),
    )
}

/// What the call says of a list is what a wait says afterwards, of good and of
/// failed ones.
fn ends(device: &Device, object: &Object) -> Outcome {
    let mut good = CommandList::new();
    good.fill(&object.byte_range(0, 64)?, 7)?;
    let ended = submit(device, waiting(&good, i64::MAX))?;
    expect_wait_error("a good list", &ended, 0)?;
    let again = device.submission(ended.wait.fence).wait(None)?;
    let said = Completion {
        started_ns: ended.wait.started_ns,
        finished_ns: ended.wait.finished_ns,
    };
    check(said == again && said.finished_ns > 0, || {
        format!("submitting says {said:?}, waiting {again:?}")
    })?;

    let mut bad = CommandList::new();
    bad.fill(&object.byte_range(0, 1)?, 1)?;
    bad.fill(&device.create_object(4096)?.byte_range(0, 1)?, 1)?;
    let ended = submit(device, waiting(&bad, i64::MAX))?;
    expect_wait_error("a list that fails", &ended, 0)?;
    check(
        (ended.wait.status, ended.wait.failed_command) == (Status::NoObject.code(), 1),
        || format!("a list whose second command fails: {ended:?}"),
    )?;
    check_status(device.run(&bad), Status::NoObject, "by the library")
}

/// A list that outlasts the time goes on, and can be waited for as the call
/// left its argument.
fn time_outs(device: &Device, object: &Object) -> Outcome {
    for timeout_ns in [0, 1] {
        let mut ended = while_one_runs(|count| {
            let ended = submit(device, waiting(&products(object, count)?, timeout_ns))?;
            if device.submission(ended.wait.fence).has_ended()? {
                return Ok(None);
            }
            expect_wait_error("a list that runs on", &ended, libc::ETIME)?;
            Ok(Some(ended))
        })?;
        ended.wait.timeout_ns = i64::MAX;
        // SAFETY: the argument holds no address.
        unsafe { raw::call(device, &mut ended.wait) }?;
        check(ended.wait.status == Status::Ok.code(), || {
            format!("after the time-out: {ended:?}")
        })?;
    }
    Ok(())
}

/// The wait is for what the list depends on, too; and when that has failed, the
/// list is cancelled.
fn dependencies(device: &Device, object: &Object) -> Outcome {
    let mut failing = CommandList::new();
    failing.fill(&device.create_object(4096)?.byte_range(0, 1)?, 1)?;
    let long = long_list(object)?;
    for (first, expected) in [(&long, Status::Ok), (&failing, Status::Cancelled)] {
        let mut point = uapi::SyncobjCreate::default();
        // SAFETY: the argument holds no address.
        unsafe { raw::call(device, &mut point) }?;
        let syncs = [uapi::Sync {
            handle: point.handle,
            ..Default::default()
        }];
        let address = syncs.as_ptr().expose_provenance() as u64;
        let passing = uapi::Submit {
            out_syncs: address,
            out_sync_count: 1,
            ..waiting(first, 0)
        };
        let first = submit(device, passing)?.wait.fence;
        let mut second = CommandList::new();
        second.fill(&object.byte_range(LONG_LIST_BYTES, 1)?, 1)?;
        let after = uapi::Submit {
            in_syncs: address,
            in_sync_count: 1,
            queue: device.information().submit_queues - 1,
            ..waiting(&second, i64::MAX)
        };
        let ended = submit(device, after)?;
        let ended_before = device.submission(first).has_ended()?;
        check(ended_before && ended.wait.status == expected.code(), || {
            format!("after a list that ended ({ended_before}): {ended:?}, expected {expected:?}")
        })?;
        let mut point = uapi::SyncobjDestroy {
            handle: point.handle,
            ..Default::default()
        };
        // SAFETY: the argument holds no address.
        unsafe { raw::call(device, &mut point) }?;
    }
    Ok(())
}

/// A program that knows the structure up to the list's number submits as ever.
fn shorter_structure(device: &Device, object: &Object) -> Outcome {
    let mut list = CommandList::new();
    list.fill(&object.byte_range(0, 64)?, 7)?;
    let mut argument = uapi::Submit {
        flags: 0,
        ..waiting(&list, 0)
    };
    let short = std::mem::offset_of!(uapi::Submit, wait) + size_of::<u64>();
    // The size of an ioctl's argument is in bits 16 to 29 of its number.
    let number = uapi::Submit::NUMBER & !(0x3fff << 16) | (short as u32) << 16;
    let bytes = argument.as_mut_bytes();
    bytes[short..].fill(0xee);
    // SAFETY: the commands are copied during the call, which touches `short` bytes.
    unsafe { raw::ioctl(device, number, &mut bytes[..short]) }?;
    check(bytes[short..].iter().all(|&byte| byte == 0xee), || {
        "a submission wrote behind its shorter structure".into()
    })?;
    device.submission(argument.wait.fence).wait(None)?;
    Ok(())
}

/// Signals that a call gets at most. A driver that has the kernel restart the call
/// submits as many lists, which are counted, and not more and more for ever.
const SIGNALS: u32 = 50;
/// Signals that the current call still gets.
static SIGNALS_LEFT: AtomicU32 = AtomicU32::new(0);

/// Signals end waits, and each list takes effect once all the same.
fn interrupted(options: &Options, flags: i32) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(LONG_LIST_BYTES + 4096)?;
    handle_alarms(flags)?;
    // Longer and longer lists, until a signal has come while the call waited.
    let rounds = while_one_runs(|count| {
        let interrupted = interrupted_round(&device, &object, count)?;
        Ok(interrupted.then_some(()))
    });
    alarm_every(Duration::ZERO)?;
    rounds
}

/// Doubles numbers by a call among signals, and again by the library's; whether a signal
/// ended the first call's wait.
fn interrupted_round(device: &Device, object: &Object, count: u32) -> Result<bool, Failure> {
    let counted = object.byte_range(LONG_LIST_BYTES, 64)?;
    let mut one = CommandList::new();
    one.fill(&counted, 1)?;
    let before = device.submit(0, &one)?.fence();
    let mut double = products(object, count)?;
    double.add(&counted, &counted, &counted)?;

    SIGNALS_LEFT.store(SIGNALS, Ordering::Relaxed);
    alarm_every(Duration::from_millis(1))?;
    let ended = submit(device, waiting(&double, i64::MAX))?;
    let interrupted = ended.wait_error != 0;
    if interrupted {
        expect_wait_error("a wait among signals", &ended, libc::EINTR)?;
    }
    device.submission(ended.wait.fence).wait(None)?;
    device.run(&double)?;
    alarm_every(Duration::ZERO)?;

    let mut found = [0_u8; 64];
    let mut read = CommandList::new();
    read.download(&mut found, &counted)?;
    let lists = device
        .scope(|scope| {
            let submission = scope.submit(0, &read)?;
            submission.wait(None).map(|_| submission.fence())
        })
        .map(|last| last - before - 1)?;
    drop(read);
    check(lists == 2, || format!("two calls submitted {lists} lists"))?;
    check(found == [4; 64], || {
        format!("1 doubled twice is {}, not 4", found[0])
    })?;
    Ok(interrupted)
}

/// Stops the alarms once there have been enough for one call.
extern "C" fn count_alarm(_signal: libc::c_int) {
    let enough = |left: u32| left.checked_sub(1);
    if SIGNALS_LEFT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough)
        .is_err()
    {
        // Nobody is there to tell of an error: the next alarm tries again.
        let _ = alarm_every(Duration::ZERO);
    }
}

/// Has alarms counted, with these flags of the signal's action.
fn handle_alarms(flags: i32) -> io::Result<()> {
    // SAFETY: the handler changes one atomic and makes one system call, which is safe at
    // any moment; the kernel reads the structure.
    let failed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count_alarm as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = flags;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) != 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has the process interrupted again and again, or with zero no more.
fn alarm_every(interval: Duration) -> io::Result<()> {
    let time = libc::timeval {
        tv_sec: 0,
        tv_usec: libc::suseconds_t::from(interval.subsec_micros()),
    };
    let timer = libc::itimerval {
        it_interval: time,
        it_value: time,
    };
    // SAFETY: the kernel reads the structure.
    if unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
