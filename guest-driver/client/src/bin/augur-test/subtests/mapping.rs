// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapped objects: what a program may do with them, and what not.

use std::io::Read;
use std::os::unix::fs::FileExt;

use augur_client::{CommandList, DataType, Device, Error, Object};

use crate::harness::{Failure, Options, Outcome, check};
use crate::pattern;
use crate::process::{self, SharedWords};
use crate::raw::{self, RawMapping};

const PAGE: usize = 4096;
const WORDS: usize = PAGE / 8;

/// CPU and DMA see the same bytes, at any offset.
pub fn mapped(options: &Options) -> Outcome {
    const BYTES: usize = 300_000;
    let device = options.open()?;
    let object = device.create_object(BYTES as u64)?;
    let mut mapping = object.map()?;
    let mut read = vec![0xff; BYTES];
    mapping.read(0, &mut read)?;
    pattern::same(&read, &vec![0; BYTES], "a new object, mapped")?;

    let mut random = options.random(3);
    let mut expected = vec![0; BYTES];
    for round in 0..100 {
        let length = 1 + random.usize(..5000);
        let at = random.usize(..BYTES - length);
        let data = pattern::bytes(random.u64(..), length);
        expected[at..at + length].copy_from_slice(&data);
        if round % 2 == 0 {
            mapping.write(at, &data)?;
        } else {
            let mut list = CommandList::new();
            list.upload(&object.byte_range(at as u64, length as u64)?, &data)?;
            device.run(&list)?;
        }
    }
    mapping.read(0, &mut read)?;
    pattern::same(&read, &expected, "read through the aperture")?;
    read.fill(0);
    download(&device, &object, &mut read)?;
    pattern::same(&read, &expected, "downloaded")?;

    // The mapping keeps the memory when the object is gone.
    drop(object);
    read.fill(0);
    mapping.read(0, &mut read)?;
    pattern::same(&read, &expected, "read after the object was dropped")
}

fn download(device: &Device, object: &Object, memory: &mut [u8]) -> Outcome {
    let card = object.byte_range(0, memory.len() as u64)?;
    let mut list = CommandList::new();
    list.download(memory, &card)?;
    device.run(&list)?;
    Ok(())
}

/// Mappings that would break the card's rules are refused.
pub fn refused(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(4 * PAGE as u64)?;
    let offset = object.mmap_offset();
    let (read, write) = (libc::PROT_READ, libc::PROT_READ | libc::PROT_WRITE);
    for (what, offset, bytes, flags, protection) in [
        ("private, writable", offset, PAGE, libc::MAP_PRIVATE, write),
        ("private, readable", offset, PAGE, libc::MAP_PRIVATE, read),
        (
            "beyond the object",
            offset,
            5 * PAGE,
            libc::MAP_SHARED,
            write,
        ),
        (
            "behind the object",
            offset + 4 * PAGE as u64,
            PAGE,
            libc::MAP_SHARED,
            write,
        ),
        ("at offset 0", 0, PAGE, libc::MAP_SHARED, write),
        ("at a wild offset", 1 << 60, PAGE, libc::MAP_SHARED, write),
    ] {
        let mapped = RawMapping::with_protection(&device, offset, bytes, flags, protection);
        check(mapped.is_err(), || format!("a mapping {what} was made"))?;
    }
    // A read-only mapping reads; writing to it is the program's fault.
    let mapping = RawMapping::with_protection(&device, offset, PAGE, libc::MAP_SHARED, read)?;
    check(mapping.read(7) == Some(0), || {
        "a read-only mapping does not read".into()
    })?;
    refuses_writes(&mapping, 7 * 8, "a read-only mapping")
}

/// The kernel cannot write there for the program: touching it would kill.
fn refuses_writes(mapping: &RawMapping, offset: usize, what: &str) -> Outcome {
    let written = raw::write_by_kernel(mapping, offset);
    let errno = written
        .as_ref()
        .err()
        .and_then(std::io::Error::raw_os_error);
    check(errno == Some(libc::EFAULT), || {
        format!("writing to {what} gave {written:?}, not EFAULT")
    })
}

/// Parent and child see each other's writes; the mapping outlives either.
pub fn forked(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(64 * PAGE as u64)?;
    let mapping = RawMapping::new(&device, object.mmap_offset(), 64 * PAGE, libc::MAP_SHARED)?;
    let pages = 0..64;
    for page in pages.clone() {
        mapping.write(page * WORDS, pattern::word(1, page as u64));
    }
    let expect = |tag: u64, offset: usize, who: &str| -> Outcome {
        for page in 0..64 {
            let found = mapping.read(page * WORDS + offset);
            let expected = Some(pattern::word(tag, page as u64));
            check(found == expected, || {
                format!("{who}: page {page} holds {found:x?}, expected {expected:x?}")
            })?;
        }
        Ok(())
    };
    let step = SharedWords::new(1)?;
    let child = process::fork("child", || {
        expect(1, 0, "what the parent wrote before the fork")?;
        for page in 0..64 {
            mapping.write(page * WORDS + 1, pattern::word(2, page as u64));
        }
        step.set(0, 1);
        check(step.wait_for(0, 2, || true), String::new)?;
        expect(3, 2, "what the parent wrote after the fork")
    })?;
    check(step.wait_for(0, 1, || true), String::new)?;
    expect(2, 1, "what the child wrote")?;
    for page in pages {
        mapping.write(page * WORDS + 2, pattern::word(3, page as u64));
    }
    step.set(0, 2);
    process::wait_all(vec![child])?;
    expect(2, 1, "what the child wrote, after its end")?;

    // Now the parent ends its mapping while the child goes on.
    let last = process::fork("child that stays", || {
        check(step.wait_for(0, 3, || true), String::new)?;
        expect(3, 2, "after the parent unmapped")
    })?;
    mapping_ends(mapping, &step);
    process::wait_all(vec![last])
}

fn mapping_ends(mapping: RawMapping, step: &SharedWords) {
    drop(mapping);
    step.set(0, 3);
}

/// Moved by mremap and torn by munmap, pages stay where they belong.
pub fn moved_and_torn(options: &Options) -> Outcome {
    const PAGES: usize = 64;
    let device = options.open()?;
    let object = device.create_object((PAGES * PAGE) as u64)?;
    let map = || {
        RawMapping::new(
            &device,
            object.mmap_offset(),
            PAGES * PAGE,
            libc::MAP_SHARED,
        )
    };
    let (mut moved, mut torn) = (map()?, map()?);
    for page in 0..PAGES {
        moved.write(page * WORDS, page as u64 + 1);
    }
    for round in 0..4 {
        moved.move_elsewhere()?;
        torn.tear(round * 16 + 4..round * 16 + 12)?;
        for page in 0..PAGES {
            let expected = Some(page as u64 + 1 + round as u64);
            let found = moved.read(page * WORDS);
            check(found == expected, || {
                format!(
                    "round {round}: page {page} of the moved mapping holds {found:?}, expected {expected:?}"
                )
            })?;
            let (in_round, page_in_round) = (page / 16, page % 16);
            if in_round > round || !(4..12).contains(&page_in_round) {
                let found = torn.read(page * WORDS);
                check(found == expected, || {
                    format!(
                        "round {round}: page {page} of the torn mapping holds {found:?}, expected {expected:?}"
                    )
                })?;
            }
            moved.write(page * WORDS, page as u64 + 2 + round as u64);
        }
    }
    refuses_writes(&torn, 5 * PAGE, "a hole")
}

/// The kernel copies from and to mappings, and refuses to pin them.
pub fn kernel_access(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(PAGE as u64)?;
    let mapping = RawMapping::new(&device, object.mmap_offset(), PAGE, libc::MAP_SHARED)?;
    let expected = pattern::bytes(9, PAGE);
    let mut list = CommandList::new();
    list.upload(&object.byte_range(0, PAGE as u64)?, &expected)?;
    device.run(&list)?;

    let (mut reader, writer) = std::io::pipe()?;
    let written = raw::write_to_file(&mapping, PAGE, &writer)?;
    let mut copied = vec![0; written];
    reader.read_exact(&mut copied)?;
    pattern::same(&copied, &expected, "written to a pipe by the kernel")?;

    let memory = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    let address = mapping.address().addr() as u64;
    let mut peeked = vec![0; PAGE];
    memory.read_exact_at(&mut peeked, address)?;
    pattern::same(&peeked, &expected, "read as a debugger reads")?;
    memory.write_all_at(&[0x77; 8], address + 16)?;
    check(
        mapping.read(2) == Some(u64::from_le_bytes([0x77; 8])),
        || "what a debugger wrote is not there".into(),
    )?;

    // SAFETY: the driver refuses to pin the mapping, which nothing else uses.
    let pinned = unsafe { std::slice::from_raw_parts(mapping.address(), PAGE) };
    let other = device.create_object(PAGE as u64)?;
    let mut list = CommandList::new();
    list.upload(&other.byte_range(0, PAGE as u64)?, pinned)?;
    match device.run(&list) {
        Err(Error::Kernel { source, .. }) if source.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => Err(Failure(format!(
            "a transfer from a mapping of the card gave {other:?}, not EFAULT"
        ))),
    }
}

/// Engines and the CPU see the same typed elements, nothing being copied.
pub fn slices(options: &Options) -> Outcome {
    const COUNT: u32 = 50_000;
    let device = options.open()?;
    let object = device.create_object(1 << 20)?;
    let mapping = object.map()?;
    let numbers = mapping.slice::<f32>(64, COUNT as usize)?;
    let tensor = object.tensor(DataType::F32, 64, &[COUNT])?;
    let values: Vec<f32> = (0..COUNT).map(|number| number as f32 / 4.0).collect();
    numbers.copy_from(&values)?;
    let mut list = CommandList::new();
    list.scale(&tensor, &tensor, 2.0, 1.0)?;
    device.run(&list)?;
    let wrong = numbers
        .iter()
        .zip(&values)
        .position(|(number, value)| number != value * 2.0 + 1.0);
    check(wrong.is_none(), || {
        format!("element {wrong:?} is not what the engine wrote")
    })?;
    numbers.write(7, -3.5)?;
    let mut bytes = [0; 4];
    let mut list = CommandList::new();
    list.download(&mut bytes, &object.byte_range(64 + 28, 4)?)?;
    device.run(&list)?;
    check(f32::from_le_bytes(bytes) == -3.5, || {
        "a written element is not in device memory".into()
    })
}
