// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card is let go of and taken back: resets in place, and suspends. Memory
//! and lists survive.

use std::fs;
use std::time::Duration;

use augur_client::{CommandList, Device, Error, Object};

use super::lifetime::{LONG_LIST_BYTES, long_list};
use crate::harness::{Failure, Options, Outcome, While, check};
use crate::process::{self, SharedWords};

const BYTES: u64 = 1 << 20;

/// Memory whose contents must survive: written by a transfer and through a
/// mapping, in windows and out of them.
struct Kept {
    device: Device,
    object: Object,
    bytes: Vec<u8>,
}

impl Kept {
    fn new(options: &Options) -> Result<Self, Failure> {
        let device = options.open()?;
        let object = device.create_object(BYTES)?;
        let mut bytes = vec![0; BYTES as usize];
        options.random(11).fill(&mut bytes);
        let mut list = CommandList::new();
        list.upload(&object.byte_range(0, BYTES)?, &bytes)?;
        device.run(&list)?;
        let mut mapping = object.map()?;
        for at in (0..bytes.len()).step_by(8192) {
            mapping.write_byte(at, 0xa5)?;
            bytes[at] = 0xa5;
        }
        Ok(Self {
            device,
            object,
            bytes,
        })
    }

    fn check(&self, when: &str) -> Outcome {
        let mapping = self.object.map()?;
        for at in (0..self.bytes.len()).step_by(4093) {
            let found = mapping.read_byte(at).while_doing(|| when.into())?;
            check(found == self.bytes[at], || {
                format!("{when}: byte {at} differs in the mapping")
            })?;
        }
        let mut found = vec![0; self.bytes.len()];
        let mut list = CommandList::new();
        list.download(&mut found, &self.object.byte_range(0, BYTES)?)?;
        self.device.run(&list).while_doing(|| when.into())?;
        check(found == self.bytes, || format!("{when}: memory differs"))
    }
}

/// Resets while programs work: their memory stays, their lists end well, and a
/// list that does not end in time fails alone.
pub fn reset(options: &Options) -> Outcome {
    let kept = Kept::new(options)?;
    let object = kept.device.create_object(LONG_LIST_BYTES)?;
    let long = kept.device.submit(0, &long_list(&object)?)?;
    kept.device.reset()?;
    long.wait(None)
        .while_doing(|| "a list before a reset".into())?;
    kept.check("after a reset")?;

    let stop = SharedWords::new(1)?;
    let path = kept.device.path().to_path_buf();
    let workers = (0..3)
        .map(|number| process::fork("worker", || worker(&path, number, &stop)))
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..10 {
        kept.device
            .reset()
            .while_doing(|| "a reset beside programs".into())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.set(0, 1);
    process::wait_all(workers)?;
    kept.check("after resets beside programs")?;

    let device = options.open()?;
    let child = process::fork("without privileges", || {
        // SAFETY: the child gives up its privileges, for itself only.
        if unsafe { libc::setuid(65_534) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        match device.reset() {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
            other => Err(Failure(format!("a reset without privileges: {other:?}"))),
        }
    })?;
    process::wait_all(vec![child])
}

/// Transfers, faults, allocates and frees until it is stopped.
fn worker(path: &std::path::Path, number: u8, stop: &SharedWords) -> Outcome {
    let device = Device::open(path)?;
    let mut round = number;
    while stop.get(0) == 0 {
        let object = device.create_object(BYTES)?;
        let mut mapping = object.map()?;
        mapping.write_byte(4096, round)?;
        let mut list = CommandList::new();
        let range = object.byte_range(4096, 1)?;
        let mut found = [0];
        list.add(&range, &range, &range)?;
        list.download(&mut found, &range)?;
        device.run(&list)?;
        check(found == [round.saturating_mul(2)], || {
            format!("twice {round} is {}", found[0])
        })?;
        round = round.wrapping_add(1);
    }
    Ok(())
}

/// Suspends as far as the devices and resumes: programs do not notice.
pub fn suspend(options: &Options) -> Outcome {
    let kept = Kept::new(options)?;
    let stop = SharedWords::new(1)?;
    let path = kept.device.path().to_path_buf();
    let write = |file: &str, text: &str| fs::write(file, text).while_doing(|| file.into());
    write("/sys/module/suspend/parameters/pm_test_delay", "1")?;
    let working = process::fork("worker", || worker(&path, 1, &stop))?;
    for round in 0..3 {
        write("/sys/power/pm_test", "devices")?;
        let suspended = write("/sys/power/state", "mem");
        write("/sys/power/pm_test", "none")?;
        suspended?;
        kept.check(&format!("after suspend {round}"))?;
    }
    // A list that takes longer than a suspend waits is not harmed by it.
    let object = kept.device.create_object(LONG_LIST_BYTES)?;
    let long = kept.device.submit(0, &long_list(&object)?)?;
    write("/sys/power/pm_test", "devices")?;
    let suspended = write("/sys/power/state", "mem");
    write("/sys/power/pm_test", "none")?;
    suspended?;
    match long.wait(None) {
        Ok(_) => {}
        Err(Error::CardLost { .. }) => return Err(Failure("the card was lost".into())),
        Err(error) => return Err(error.into()),
    }
    stop.set(0, 1);
    process::wait_all(vec![working])
}
