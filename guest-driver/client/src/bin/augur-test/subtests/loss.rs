// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's process dies: programs get errors, and live on.

use std::io;
use std::time::{Duration, Instant};

use augur_client::{Device, Error, Object, Submission, uapi};

use crate::harness::{AT_LAST, Failure, Options, Outcome, check};
use crate::process::{self, Child, Exit, SharedWords};
use crate::raw;
use crate::subtests::lifetime::{LONG_LIST_BYTES, long_list};

/// How long a waiter of this test waits at a time.
const A_LITTLE: Duration = Duration::from_millis(200);
/// Most waits of that length from the card's last heartbeat to the error of a waiter:
/// five seconds, of which three are the driver's patience. Waits are counted rather than
/// time measured, so that a guest that stands still does not count.
const NOTICED_WITHIN: u32 = 25;

/// Prints READY when the card may be killed, then expects its loss.
pub fn card_death(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(LONG_LIST_BYTES)?;
    let touched = device.create_object(2 * device.information().aperture_bytes)?;
    let faulting = touch_until_killed(options, &touched)?;
    println!("# READY");
    let noticed = wait_for_loss(&device, &object)?;
    println!("# waiters heard of it {noticed} waits after the last heartbeat");
    check(noticed <= NOTICED_WITHIN, || {
        format!("waiters heard of it {noticed} waits of {A_LITTLE:?} after the last heartbeat")
    })?;
    let exit = faulting.wait()?;
    check(exit == Exit::Signal(libc::SIGBUS), || {
        format!("a program that touches memory of a lost card ended with {exit:?}, not SIGBUS")
    })?;

    for (what, result) in [
        (
            "a list",
            long_list(&object).and_then(|list| device.run(&list).map(drop)),
        ),
        ("a new object", device.create_object(4096).map(drop)),
        ("counters", device.counters().map(drop)),
    ] {
        check(matches!(result, Err(Error::CardLost { .. })), || {
            format!("{what} after the loss: {result:?}, expected CardLost")
        })?;
    }
    let late = process::fork("touches after the loss", || {
        touched.map()?.write_byte(0, 1)?;
        Ok(())
    })?;
    let exit = late.wait()?;
    // Either the mapping is refused or the touch is.
    check(exit != Exit::Code(0), || {
        "memory of a lost card could be touched".into()
    })?;
    device.driver_counters().map(drop)?;
    Ok(())
}

/// A child that touches `object` until a signal kills it. Returns after its first
/// touch: a child that has not mapped its memory yet when the card goes away is
/// refused the mapping instead.
fn touch_until_killed(options: &Options, object: &Object) -> Result<Child, Failure> {
    let touched = SharedWords::new(1)?;
    let mut child = process::fork("touches until it is killed", || {
        let mut mapping = object.map()?;
        let mut random = options.random(6);
        loop {
            mapping.write_byte(random.usize(..mapping.bytes()), 1)?;
            touched.set(0, 1);
        }
    })?;
    let alive = || matches!(child.poll(), Ok(None));
    check(touched.wait_for(0, 1, alive), || {
        "a child ended before it had touched its memory".into()
    })?;
    Ok(child)
}

/// Keeps lists in flight until one fails; waits since the last heartbeat.
fn wait_for_loss(device: &Device, object: &Object) -> Result<u32, Failure> {
    let list = long_list(object)?;
    let began = Instant::now();
    let (mut heartbeat, mut waits) = (0, 0);
    let mut current = None;
    loop {
        let waited = match current.take() {
            None => device.submit(0, &list).map(|list| current = Some(list)),
            Some(list) => wait_a_little(list, &mut current),
        };
        let now = device.driver_counters()?.heartbeat;
        waits = if now == heartbeat { waits + 1 } else { 0 };
        heartbeat = now;
        match waited {
            Ok(()) => {}
            Err(Error::CardLost { .. }) => return Ok(waits),
            Err(error) => return Err(error.into()),
        }
        check(began.elapsed() < AT_LAST, || {
            format!("nobody ended the card within {AT_LAST:?}")
        })?;
    }
}

/// Waits for a list and puts it back into `current` if it has not ended.
fn wait_a_little(list: Submission, current: &mut Option<Submission>) -> Result<(), Error> {
    match list.wait(Some(A_LITTLE)) {
        Ok(_) => Ok(()),
        Err(Error::TimedOut) => {
            *current = Some(list);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Prints READY when the card may be taken away from a program that has lists in
/// flight and memory mapped, then expects what an orderly removal gives.
pub fn removed(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(LONG_LIST_BYTES)?;
    let touched = device.create_object(1 << 20)?;
    let touching = touch_until_killed(options, &touched)?;
    let list = long_list(&object)?;
    let _in_flight = device.submit(0, &list)?;
    println!("# READY");
    let began = Instant::now();
    let error = loop {
        check(began.elapsed() < AT_LAST, || {
            "nobody took the card away".into()
        })?;
        match device.run(&list) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    println!("# the last list: {error}");
    let exit = touching.wait()?;
    check(exit == Exit::Signal(libc::SIGBUS), || {
        format!("a program that touches memory of a removed card ended with {exit:?}")
    })?;
    let mut create = uapi::ObjectCreate {
        size: 4096,
        ..Default::default()
    };
    // SAFETY: the argument holds no address.
    let late = unsafe { raw::call(&device, &mut create) };
    let errno = late.as_ref().err().and_then(io::Error::raw_os_error);
    check(errno == Some(libc::ENODEV), || {
        format!("an object after the removal: {late:?}")
    })
}
