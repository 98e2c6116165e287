// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls: ioctl with typed arguments, mapping and unmapping.
//!
//! Where the library's `unsafe` is, with [`crate::mapping`] and
//! [`crate::slice`]. It must never interpret what it passes on.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use augur_abi::predict::{MAX_PROFILE_RECORDS, MODEL_CHUNK, ProfileRecord};
use zerocopy::{FromBytes, IntoBytes};

use crate::error::Error;
use crate::uapi::{self, Argument};

/// Calls the driver; interrupted calls are made again.
///
/// # Safety
/// Addresses in `argument` that the kernel reads or writes through must be
/// valid for that, for as long as the driver may use them.
pub(crate) unsafe fn ioctl<T: Argument>(device: &File, argument: &mut T) -> Result<(), Error> {
    loop {
        // SAFETY: the number names T's layout, so the kernel reads and writes
        // no more than `argument`; the caller vouches for addresses in it.
        let result = unsafe {
            libc::ioctl(
                device.as_raw_fd(),
                libc::Ioctl::from(T::NUMBER),
                std::ptr::from_mut(argument),
            )
        };
        if result == 0 {
            return Ok(());
        }
        let source = io::Error::last_os_error();
        if source.kind() != io::ErrorKind::Interrupted {
            return Err(Error::from_kernel(T::NAME, source));
        }
    }
}

/// Ioctl arguments without addresses: calling with them is always sound.
pub(crate) trait Plain: Argument {}
impl Plain for uapi::ObjectCreate {}
impl Plain for uapi::ObjectInfo {}
impl Plain for uapi::Wait {}
impl Plain for uapi::ContextPriority {}
impl Plain for uapi::ObjectAdvise {}
impl Plain for uapi::ObjectWait {}
impl Plain for uapi::ObjectCopy {}
impl Plain for uapi::PrimeHandle {}
impl Plain for uapi::PrimeFd {}
impl Plain for uapi::Reset {}
impl Plain for uapi::Predictor {}
impl Plain for uapi::GemClose {}
impl Plain for uapi::SyncobjCreate {}
impl Plain for uapi::SyncobjDestroy {}
impl Plain for uapi::SyncobjEventfd {}

/// Calls the driver with an argument that names no memory.
pub(crate) fn call<T: Plain>(device: &File, argument: &mut T) -> Result<(), Error> {
    // SAFETY: there is no address in a plain argument.
    unsafe { ioctl(device, argument) }
}

/// Asks for a structure that describes the device; `index` chooses one where
/// there are several.
pub(crate) fn query<T: FromBytes + IntoBytes>(
    device: &File,
    query_type: u32,
    index: u32,
) -> Result<T, Error> {
    let mut answer = T::new_zeroed();
    let bytes = answer.as_mut_bytes();
    let mut argument = uapi::DevQuery {
        query_type,
        size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        pointer: bytes.as_mut_ptr().addr() as u64,
        index,
        pad: 0,
    };
    bytes.as_mut_ptr().expose_provenance();
    // SAFETY: the kernel writes at most `size` bytes at `pointer`, which is
    // `answer`, alive and not otherwise used during the call.
    unsafe { ioctl(device, &mut argument) }?;
    Ok(answer)
}

/// Reads a part of a model.
pub(crate) fn model_pull(
    device: &File,
    argument: &mut uapi::ModelPull,
    part: &mut [u8; MODEL_CHUNK],
) -> Result<(), Error> {
    argument.pointer = part.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the kernel writes MODEL_CHUNK bytes at `pointer`, which is `part`.
    unsafe { ioctl(device, argument) }
}

/// Gives a part of a model, at most MODEL_CHUNK bytes.
pub(crate) fn model_push(
    device: &File,
    argument: &mut uapi::ModelPush,
    part: &[u8],
) -> Result<(), Error> {
    argument.pointer = part.as_ptr().expose_provenance() as u64;
    argument.bytes = u32::try_from(part.len()).unwrap_or(u32::MAX);
    // SAFETY: the kernel reads `bytes` bytes at `pointer`, which is `part`.
    unsafe { ioctl(device, argument) }
}

/// Begins, stops or reads a profile; only a `room` for as many records as an answer
/// holds is read into.
pub(crate) fn profile(
    device: &File,
    argument: &mut uapi::Profile,
    room: &mut [u8],
) -> Result<(), Error> {
    if argument.action == uapi::PROFILE_READ
        && room.len() < MAX_PROFILE_RECORDS * size_of::<ProfileRecord>()
    {
        return Err(Error::OutOfRange {
            offset: 0,
            bytes: (MAX_PROFILE_RECORDS * size_of::<ProfileRecord>()) as u64,
            available: room.len() as u64,
        });
    }
    argument.pointer = room.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the kernel writes at most MAX_PROFILE_RECORDS records at `pointer`,
    // when it reads a profile, and nothing otherwise; `room` holds as many.
    unsafe { ioctl(device, argument) }
}

/// Name that a DRM driver gives itself, at most 31 bytes of it.
pub(crate) fn driver_name(device: &File) -> Result<String, Error> {
    let mut name = [0_u8; 32];
    let mut version = uapi::DrmVersion {
        name_len: (name.len() - 1) as u64,
        name: name.as_mut_ptr().expose_provenance() as u64,
        ..Default::default()
    };
    // SAFETY: the kernel writes at most `name_len` bytes at `name` and nothing
    // through the other two addresses, whose lengths are zero.
    unsafe { ioctl(device, &mut version) }?;
    let end = name
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// Maps `bytes` of the device file at `offset`, shared, to read and write.
pub(crate) fn map(device: &File, offset: u64, bytes: usize) -> Result<NonNull<u8>, Error> {
    let failed = |source| Error::Map { bytes, source };
    let offset = libc::off_t::try_from(offset)
        .map_err(|_| failed(io::Error::from_raw_os_error(libc::EOVERFLOW)))?;
    // SAFETY: a new mapping at an address of the kernel's choice touches no
    // memory that Rust knows of.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            device.as_raw_fd(),
            offset,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(failed(io::Error::last_os_error()));
    }
    NonNull::new(start.cast()).ok_or_else(|| failed(io::Error::from_raw_os_error(libc::EFAULT)))
}

/// Undoes [`map`].
///
/// # Safety
/// `start` and `bytes` are one whole mapping made by [`map`], and nothing uses
/// it any more.
pub(crate) unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise. The result can only say that the range
    // was not a mapping, which the promise rules out.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
}

/// CLOCK_MONOTONIC in nanoseconds, the clock of the driver's deadlines.
pub(crate) fn monotonic_nanos() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes the structure that is passed; this clock
    // exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The absolute time that a wait of at most `limit` from now ends at.
pub(crate) fn deadline(limit: Option<Duration>) -> i64 {
    limit.map_or(i64::MAX, |limit| {
        let limit = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
        monotonic_nanos().saturating_add(limit)
    })
}

/// A descriptor that is readable after something was written to it.
pub(crate) fn event() -> Result<OwnedFd, Error> {
    // SAFETY: a new descriptor, which nobody else owns.
    unsafe {
        let event = libc::eventfd(0, libc::EFD_CLOEXEC);
        if event < 0 {
            return Err(Error::Futures(io::Error::last_os_error()));
        }
        Ok(OwnedFd::from_raw_fd(event))
    }
}

/// Waits until one of the descriptors is readable or in error; says for each
/// whether it is.
pub(crate) fn poll<'a>(descriptors: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<bool> {
    let mut entries: Vec<libc::pollfd> = descriptors
        .map(|descriptor| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // SAFETY: the kernel writes `revents` of as many entries as there are. It
    // leaves them zero when the call is interrupted, which is a round for
    // nothing.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) };
    entries.iter().map(|entry| entry.revents != 0).collect()
}
