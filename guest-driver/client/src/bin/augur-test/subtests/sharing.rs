// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory shared by dma-buf: with other programs, other cards, and exporters of
//! guest memory.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use augur_client::{CommandList, Device, Object};

use crate::harness::{AT_LAST, Failure, Options, Outcome, While, check};
use crate::process;
use crate::raw::RawMapping;

const BYTES: usize = 3 << 20;

fn pattern(options: &Options, purpose: u64) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    options.random(purpose).fill(&mut bytes);
    bytes
}

fn fill(device: &Device, object: &Object, bytes: &[u8]) -> Outcome {
    let mut list = CommandList::new();
    list.upload(&object.byte_range(0, bytes.len() as u64)?, bytes)?;
    device.run(&list)?;
    Ok(())
}

fn expect(device: &Device, object: &Object, bytes: &[u8], what: &str) -> Outcome {
    let mut found = vec![0; bytes.len()];
    let mut list = CommandList::new();
    list.download(&mut found, &object.byte_range(0, bytes.len() as u64)?)?;
    device.run(&list)?;
    let wrong = found.iter().zip(bytes).position(|(a, b)| a != b);
    check(wrong.is_none(), || {
        format!("{what}: byte {wrong:?} differs")
    })
}

/// Words of a mapped dma-buf against the bytes that it should hold.
fn compare(mapping: &RawMapping, bytes: &[u8], what: &str) -> Outcome {
    for (index, word) in bytes.chunks_exact(8).enumerate() {
        let expected = word.try_into().map(u64::from_ne_bytes).ok();
        check(mapping.read(index) == expected, || {
            format!("{what}: word {index} differs")
        })?;
    }
    Ok(())
}

/// Another program maps, copies, and outlives the one that shared.
pub fn with_a_program(options: &Options) -> Outcome {
    let device = options.open()?;
    let before = device.counters()?;
    let path = device.path().to_path_buf();
    let (first, second) = (pattern(options, 1), pattern(options, 2));
    let owner = options.open()?;
    let object = owner.create_object(BYTES as u64)?;
    fill(&owner, &object, &first)?;
    let buffer = object.share()?;
    let private = RawMapping::of(buffer.as_fd(), 0, BYTES, libc::MAP_PRIVATE);
    check(private.is_err(), || "a private mapping was made".into())?;
    let child = process::fork("reader", || {
        let device = Device::open(&path)?;
        let mapping = RawMapping::of(buffer.as_fd(), 0, BYTES, libc::MAP_SHARED)?;
        compare(&mapping, &first, "mapped")?;
        let shared = device.import(buffer.as_fd())?;
        check(shared.bytes() == BYTES as u64, || {
            format!("{} bytes were imported", shared.bytes())
        })?;
        let own = device.create_object(BYTES as u64)?;
        shared.copy_to(0, &own, 0, BYTES as u64)?;
        expect(&device, &own, &first, "copied to another context")?;
        for (offset, bytes) in [
            (0, BYTES as u64 + 1),
            (BYTES as u64, 1),
            (1, u64::MAX),
            (0, 0),
        ] {
            let refused = shared.copy_to(offset, &own, 0, bytes);
            check(refused.is_err(), || {
                format!("{bytes} bytes from {offset} on were copied")
            })?;
        }
        fill(&device, &own, &second)?;
        shared.copy_from(0, &own, 0, BYTES as u64)?;
        compare(&mapping, &second, "mapped, after a copy")
    })?;
    process::wait_all(vec![child])?;
    expect(&owner, &object, &second, "written by another program")?;

    // The file that shared is closed; the memory is not.
    drop((object, owner));
    let mapping = RawMapping::of(buffer.as_fd(), 0, BYTES, libc::MAP_SHARED)?;
    compare(&mapping, &second, "mapped, after its file was closed")?;
    let shared = device.import(buffer.as_fd())?;
    let own = device.create_object(BYTES as u64)?;
    shared
        .copy_to(0, &own, 0, BYTES as u64)
        .while_doing(|| "after its file was closed".into())?;
    expect(&device, &own, &second, "copied, after its file was closed")?;
    drop((own, shared, mapping, buffer));
    let began = Instant::now();
    loop {
        let after = device.counters()?;
        if (after.objects, after.contexts) == (before.objects, before.contexts) {
            return Ok(());
        }
        check(began.elapsed() < AT_LAST, || {
            format!(
                "{} objects and {} contexts before, {} and {} after",
                before.objects, before.contexts, after.objects, after.contexts
            )
        })?;
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Transfers use udmabufs and the system heap's memory in place.
pub fn with_guest_memory(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(BYTES as u64)?;
    for (name, buffer) in [("udmabuf", udmabuf()?), ("system heap", heap()?)] {
        let bytes = pattern(options, 3);
        let mapping = RawMapping::of(buffer.as_fd(), 0, BYTES, libc::MAP_SHARED)
            .while_doing(|| format!("mapping a {name}"))?;
        for (index, word) in bytes.chunks_exact(8).enumerate() {
            mapping.write(index, word.try_into().map_or(0, u64::from_ne_bytes));
        }
        let shared = device
            .import(buffer.as_fd())
            .while_doing(|| format!("importing a {name}"))?;
        let range = object.byte_range(0, BYTES as u64)?;
        let mut list = CommandList::new();
        let lent = list.lend_buffer(&shared, 0, BYTES as u64)?;
        list.transfer_in(&range, lent, 0)?;
        device.run(&list).while_doing(|| format!("from a {name}"))?;
        expect(&device, &object, &bytes, name)?;

        let other = pattern(options, 4);
        fill(&device, &object, &other)?;
        let mut list = CommandList::new();
        // Not at the start, and not of whole pages.
        let (offset, length) = (4096 + 8, (1 << 20) + 16);
        let lent = list.lend_buffer_mut(&shared, offset, length)?;
        list.transfer_out(lent, 0, &object.byte_range(0, length)?)?;
        device.run(&list).while_doing(|| format!("to a {name}"))?;
        let mut expected = bytes.clone();
        let (from, to) = (offset as usize, (offset + length) as usize);
        expected[from..to].copy_from_slice(&other[..length as usize]);
        compare(&mapping, &expected, name)?;

        let copied = shared.copy_to(0, &object, 0, 4096);
        check(
            matches!(&copied, Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP)),
            || format!("a copy of guest memory: {copied:?}"),
        )?;
        let mut list = CommandList::new();
        let behind = list.lend_buffer(&shared, 1, BYTES as u64)?;
        list.transfer_in(&range, behind, 0)?;
        let refused = device.run(&list);
        check(
            matches!(&refused, Err(error) if error.raw_os_error() == Some(libc::EINVAL)),
            || format!("a transfer behind the buffer: {refused:?}"),
        )?;
    }
    let shared = options.open()?.import(object.share()?.as_fd())?;
    check(shared.bytes() == BYTES as u64, || "another size".into())
}

/// An object of one card is copied from and to by another.
pub fn with_a_card(options: &Options) -> Outcome {
    let cards = Device::open_all()?;
    let [first, second, ..] = cards.as_slice() else {
        return Err(Failure("there are not two cards".into()));
    };
    let (bytes, other) = (pattern(options, 5), pattern(options, 6));
    let object = first.create_object(BYTES as u64)?;
    fill(first, &object, &bytes)?;
    let buffer = object.share()?;
    let shared = second.import(buffer.as_fd())?;
    let own = second.create_object(BYTES as u64)?;
    shared.copy_to(0, &own, 0, BYTES as u64)?;
    expect(second, &own, &bytes, "copied to the second card")?;
    fill(second, &own, &other)?;
    // Odd places, and more than is on its way at a time.
    let (from, to, length) = (4097, 33, (2 << 20) + 5);
    shared.copy_from(to, &own, from, length)?;
    let mut expected = bytes.clone();
    expected[to as usize..(to + length) as usize]
        .copy_from_slice(&other[from as usize..(from + length) as usize]);
    expect(first, &object, &expected, "copied back to the first card")?;

    let mut list = CommandList::new();
    let lent = list.lend_buffer(&shared, 0, 4096)?;
    list.transfer_in(&own.byte_range(0, 4096)?, lent, 0)?;
    match second.run(&list) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => Err(Failure(format!(
            "a transfer from another card's memory: {other:?}"
        ))),
    }
}

/// Guest memory of a memfd as a dma-buf.
fn udmabuf() -> Result<OwnedFd, Failure> {
    #[repr(C)]
    struct Create {
        memfd: u32,
        flags: u32,
        offset: u64,
        size: u64,
    }
    const UDMABUF_CREATE: u32 = 1 << 30 | 24 << 16 | (b'u' as u32) << 8 | 0x42;
    // SAFETY: a new descriptor, which nobody else owns.
    let memory = unsafe {
        let flags = libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC;
        owned(libc::memfd_create(c"augur-test".as_ptr(), flags))?
    };
    // SAFETY: sealing the size of our own file.
    let sealed = unsafe {
        libc::ftruncate(memory.as_raw_fd(), BYTES as libc::off_t) == 0
            && libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) == 0
    };
    check(sealed, || "the memory cannot be sealed".into())?;
    let module = open("/dev/udmabuf")?;
    let create = Create {
        memfd: memory.as_raw_fd() as u32,
        flags: 1,
        offset: 0,
        size: BYTES as u64,
    };
    // SAFETY: the argument is the structure that the number names.
    unsafe {
        owned(libc::ioctl(
            module.as_raw_fd(),
            libc::Ioctl::from(UDMABUF_CREATE),
            &raw const create,
        ))
    }
}

/// Memory of the system heap.
fn heap() -> Result<OwnedFd, Failure> {
    #[repr(C)]
    struct Allocation {
        bytes: u64,
        fd: u32,
        fd_flags: u32,
        heap_flags: u64,
    }
    const DMA_HEAP_IOCTL_ALLOC: u32 = 3 << 30 | 24 << 16 | (b'H' as u32) << 8;
    let heap = open("/dev/dma_heap/system")?;
    let mut allocation = Allocation {
        bytes: BYTES as u64,
        fd: 0,
        fd_flags: (libc::O_RDWR | libc::O_CLOEXEC) as u32,
        heap_flags: 0,
    };
    // SAFETY: the argument is the structure that the number names; the
    // descriptor in it is new.
    unsafe {
        let result = libc::ioctl(
            heap.as_raw_fd(),
            libc::Ioctl::from(DMA_HEAP_IOCTL_ALLOC),
            &raw mut allocation,
        );
        if result != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        owned(allocation.fd as i32)
    }
}

fn open(path: &str) -> Result<File, Failure> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.while_doing(|| path.into())
}

/// # Safety
/// A descriptor that is not negative is nobody else's.
unsafe fn owned(descriptor: i32) -> Result<OwnedFd, Failure> {
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
