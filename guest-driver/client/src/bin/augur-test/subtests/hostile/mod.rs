// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong ioctls: each gets an errno, none changes anything.

mod submissions;

use std::io;

use augur_client::uapi::{self, Argument};
use augur_client::{CommandList, Device, Object};

use crate::harness::{Options, Outcome, check};
use crate::raw;

/// An address that is no memory of the program.
const NOWHERE: u64 = 0x10;

/// Makes wrong calls of every ioctl, then right ones.
pub fn run(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(1 << 16)?;
    let before = device.counters()?;
    unknown(&device)?;
    queries(&device)?;
    objects(&device, &object)?;
    submissions::run(&device, &object)?;
    waits(&device)?;
    let after = device.counters()?;
    check(
        (after.objects, after.object_bytes) == (before.objects, before.object_bytes),
        || format!("{} objects before, {} after", before.objects, after.objects),
    )?;
    let mut list = CommandList::new();
    list.fill(&object.byte_range(0, 1 << 16)?, 1)?;
    device.run(&list)?;
    Ok(())
}

/// Calls with an argument and expects one of the errnos.
fn expect<T: Argument>(device: &Device, what: &str, mut argument: T, errnos: &[i32]) -> Outcome {
    // SAFETY: the addresses in the arguments below are nobody's, or of memory
    // that is used as the ioctl says.
    let result = unsafe { raw::call(device, &mut argument) };
    errno(&format!("{} with {what}", T::NAME), result, errnos)
}

fn errno(what: &str, result: io::Result<()>, errnos: &[i32]) -> Outcome {
    let found = result.err().and_then(|error| error.raw_os_error());
    check(found.is_some_and(|errno| errnos.contains(&errno)), || {
        format!("{what}: errno {found:?}, expected one of {errnos:?}")
    })
}

fn unknown(device: &Device) -> Outcome {
    for number in [0x45_u32, 0x4f, 0x54, 0x7f, 0x9f] {
        for direction in [0_u32, 1, 2, 3] {
            let request = direction << 30 | 64 << 16 | u32::from(b'd') << 8 | number;
            // SAFETY: the argument is as large as the number says.
            let result = unsafe { raw::ioctl(device, request, &mut [0; 64]) };
            let what = format!("unknown ioctl {number:#x}");
            errno(&what, result, &[libc::EINVAL, libc::ENOTTY])?;
        }
    }
    Ok(())
}

fn queries(device: &Device) -> Outcome {
    let good = uapi::DevQuery {
        query_type: uapi::QUERY_DRIVER,
        ..Default::default()
    };
    let invalid = &[libc::EINVAL];
    let query = uapi::DevQuery {
        query_type: 99,
        ..good
    };
    expect(device, "an unknown type", query, invalid)?;
    expect(
        device,
        "padding",
        uapi::DevQuery { pad: 1, ..good },
        invalid,
    )?;
    expect(
        device,
        "an index",
        uapi::DevQuery { index: 1, ..good },
        invalid,
    )?;
    let mut size = good;
    // SAFETY: with pointer 0 nothing is written through it.
    unsafe { raw::call(device, &mut size) }?;
    let whole = size_of::<uapi::QueryDriver>();
    check(size.size as usize == whole, || {
        format!(
            "the driver's structure has {} bytes, not {whole}",
            size.size
        )
    })?;
    for pointer in [NOWHERE, u64::MAX, 1 << 63] {
        let query = uapi::DevQuery {
            pointer,
            size: 64,
            ..good
        };
        expect(device, "a pointer to nowhere", query, &[libc::EFAULT])?;
    }
    // A short buffer gets the beginning and nothing behind it is touched.
    let mut short = [0xee_u8; 32];
    let mut query = uapi::DevQuery {
        pointer: short.as_mut_ptr().expose_provenance() as u64,
        size: 12,
        ..good
    };
    // SAFETY: the kernel writes at most 12 of the 32 bytes.
    unsafe { raw::call(device, &mut query) }?;
    check(short[12..] == [0xee; 20], || {
        "a query wrote behind its buffer".into()
    })?;
    let none = uapi::DevQuery {
        query_type: uapi::QUERY_CONTEXT,
        index: u32::MAX,
        size: 96,
        pointer: short.as_mut_ptr().expose_provenance() as u64,
        pad: 0,
    };
    expect(device, "a context that there is not", none, &[libc::ENOENT])
}

fn objects(device: &Device, object: &Object) -> Outcome {
    let good = uapi::ObjectCreate {
        size: 4096,
        ..Default::default()
    };
    let invalid = &[libc::EINVAL];
    expect(
        device,
        "size 0",
        uapi::ObjectCreate { size: 0, ..good },
        invalid,
    )?;
    expect(
        device,
        "flags",
        uapi::ObjectCreate { flags: 1, ..good },
        invalid,
    )?;
    for size in [u64::MAX, u64::MAX - 4095, 1 << 63, 1 << 48] {
        let errnos = &[
            libc::EINVAL,
            libc::ENOMEM,
            libc::ENOSPC,
            libc::E2BIG,
            libc::EOVERFLOW,
        ];
        expect(
            device,
            "a huge size",
            uapi::ObjectCreate { size, ..good },
            errnos,
        )?;
    }
    let good = uapi::ObjectInfo {
        handle: object.handle(),
        ..Default::default()
    };
    expect(
        device,
        "padding",
        uapi::ObjectInfo { pad: 1, ..good },
        invalid,
    )?;
    for handle in [0, object.handle() + 1000, u32::MAX] {
        let info = uapi::ObjectInfo {
            handle,
            pad: 0,
            ..good
        };
        expect(device, "a wrong handle", info, &[libc::ENOENT])?;
    }
    let mut info = good;
    // SAFETY: the argument holds no address.
    unsafe { raw::call(device, &mut info) }?;
    let expected = (
        object.bytes(),
        object.device_address(),
        object.mmap_offset(),
    );
    let found = (info.size, info.device_address, info.mmap_offset);
    check(found == expected, || {
        format!("BO_INFO says {found:?}, BO_CREATE {expected:?}")
    })
}

fn waits(device: &Device) -> Outcome {
    for fence in [0, 1 << 40, u64::MAX] {
        for (timeout_ns, errno) in [
            (0, libc::ENOENT),
            (1, libc::ENOENT),
            (i64::MAX, libc::ENOENT),
            (-1, libc::EINVAL),
            (i64::MIN, libc::EINVAL),
        ] {
            let wait = uapi::Wait {
                fence,
                timeout_ns,
                ..Default::default()
            };
            let what = format!("a fence of nobody until {timeout_ns}");
            expect(device, &what, wait, &[errno])?;
        }
    }
    Ok(())
}
