// SPDX-License-Identifier: MIT OR Apache-2.0
//! One context cannot reach another's memory.

use augur_client::{CommandList, Status, uapi};

use crate::harness::{Failure, Options, Outcome, check, check_status};
use crate::pattern;
use crate::raw::{self, RawMapping};

/// Uses everything that names the victim's object in a context without it.
pub fn run(options: &Options) -> Outcome {
    let (victim, stranger) = (options.open()?, options.open()?);
    let object = victim.create_object(1 << 20)?;
    let secret = pattern::bytes(options.seed, 1 << 20);
    let whole = object.byte_range(0, 1 << 20)?;
    let mut list = CommandList::new();
    list.upload(&whole, &secret)?;
    victim.run(&list)?;

    let mut info = uapi::ObjectInfo {
        handle: object.handle(),
        ..Default::default()
    };
    // SAFETY: the argument holds no address.
    let asked = unsafe { raw::call(&stranger, &mut info) };
    check(asked.is_err(), || "a stranger's handle is described".into())?;
    let mapped = RawMapping::new(&stranger, object.mmap_offset(), 4096, libc::MAP_SHARED);
    check(mapped.is_err(), || "a stranger mapped the object".into())?;

    let mut stolen = vec![0; 1 << 20];
    let mut read = CommandList::new();
    read.download(&mut stolen, &whole)?;
    check_status(
        stranger.run(&read),
        Status::NoObject,
        "reading a stranger's address",
    )?;
    drop(read);
    check(stolen.iter().all(|&byte| byte == 0), || {
        "a stranger's bytes were read".into()
    })?;
    let mut write = CommandList::new();
    write.fill(&whole, 0)?;
    check_status(
        stranger.run(&write),
        Status::NoObject,
        "writing a stranger's address",
    )?;

    // With an object at the same address, the stranger reaches its own.
    let own = stranger.create_object(1 << 20)?;
    if own.device_address() == object.device_address() {
        stranger.run(&write)?;
    }
    // A fence of the victim means nothing to the stranger.
    let done = victim.submit(0, &{
        let mut list = CommandList::new();
        list.fill(&object.byte_range(0, 1)?, u64::from(secret[0]))?;
        list
    })?;
    done.wait(None)?;
    let mut wait = uapi::Wait {
        fence: done.fence() + 1_000_000,
        ..Default::default()
    };
    // SAFETY: the argument holds no address.
    let waited = unsafe { raw::call(&stranger, &mut wait) };
    check(waited.is_err(), || {
        "a wait for a fence of nobody succeeded".into()
    })?;

    let mut back = vec![0; 1 << 20];
    let mut list = CommandList::new();
    list.download(&mut back, &whole)?;
    victim.run(&list)?;
    pattern::same(&back, &secret, "the victim's memory in the end")?;
    if victim.information().context == stranger.information().context {
        return Err(Failure("two open files share a context".into()));
    }
    Ok(())
}
