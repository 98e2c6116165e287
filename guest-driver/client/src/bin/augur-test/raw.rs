// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that the library does not offer because nobody but a test
//! makes them: wrong ioctls, private mappings, moved and torn mappings.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use augur_client::Device;
use augur_client::uapi::{self, Argument};

/// Calls the driver with any number and any argument.
///
/// # Errors
/// The errno.
///
/// # Safety
/// If `argument` holds addresses, nothing that the program uses is behind
/// them, or it is used as the ioctl says.
pub unsafe fn ioctl(device: &Device, number: u32, argument: &mut [u8]) -> io::Result<()> {
    let file = device.as_fd().as_raw_fd();
    // SAFETY: DRM copies the size that the number names, at most what
    // `argument` holds in every use here; the caller vouches for addresses.
    let result = unsafe { libc::ioctl(file, libc::Ioctl::from(number), argument.as_mut_ptr()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Calls the driver with a well-known argument.
///
/// # Errors
/// The errno.
///
/// # Safety
/// As [`ioctl`].
pub unsafe fn call<T: Argument>(device: &Device, argument: &mut T) -> io::Result<()> {
    // SAFETY: the caller's promise.
    unsafe { ioctl(device, T::NUMBER, argument.as_mut_bytes()) }
}

/// A mapping that may be made, moved and torn in any way.
#[derive(Debug)]
pub struct RawMapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl RawMapping {
    /// Maps part of a device file.
    ///
    /// # Errors
    /// The errno.
    pub fn new(device: &Device, offset: u64, bytes: usize, flags: i32) -> io::Result<Self> {
        Self::with_protection(
            device,
            offset,
            bytes,
            flags,
            libc::PROT_READ | libc::PROT_WRITE,
        )
    }

    /// Maps part of any file.
    ///
    /// # Errors
    /// The errno.
    pub fn of(file: BorrowedFd<'_>, offset: u64, bytes: usize, flags: i32) -> io::Result<Self> {
        Self::of_file(
            file,
            offset,
            bytes,
            flags,
            libc::PROT_READ | libc::PROT_WRITE,
        )
    }

    /// Maps part of a device file with a protection.
    ///
    /// # Errors
    /// The errno.
    pub fn with_protection(
        device: &Device,
        offset: u64,
        bytes: usize,
        flags: i32,
        protection: i32,
    ) -> io::Result<Self> {
        Self::of_file(device.as_fd(), offset, bytes, flags, protection)
    }

    fn of_file(
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: usize,
        flags: i32,
        protection: i32,
    ) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| invalid())?;
        let file = file.as_raw_fd();
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, file, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(invalid)?;
        Ok(Self { start, bytes })
    }

    /// Moves the mapping to another address.
    ///
    /// # Errors
    /// The errno.
    pub fn move_elsewhere(&mut self) -> io::Result<()> {
        // SAFETY: the target is a new reservation that the moved mapping
        // replaces; the old range is not used afterwards.
        let moved = unsafe {
            let target = libc::mmap(
                std::ptr::null_mut(),
                self.bytes,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            );
            if target == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            libc::mremap(
                self.start.as_ptr().cast(),
                self.bytes,
                self.bytes,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                target,
            )
        };
        if moved == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.start = NonNull::new(moved.cast()).ok_or_else(invalid)?;
        Ok(())
    }

    /// Takes whole pages out of the mapping; they must not be touched again.
    ///
    /// # Errors
    /// The errno.
    pub fn tear(&mut self, pages: Range<usize>) -> io::Result<()> {
        let page = augur_abi::PAGE_BYTES as usize;
        let (from, bytes) = (pages.start * page, pages.len() * page);
        if from + bytes > self.bytes {
            return Err(invalid());
        }
        // SAFETY: part of this mapping.
        let result = unsafe { libc::munmap(self.start.as_ptr().add(from).cast(), bytes) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The word at `index`, `None` outside the mapping. A page that was torn
    /// out kills the program.
    pub fn read(&self, index: usize) -> Option<u64> {
        let word = self.word(index)?;
        // SAFETY: within the mapping and aligned; the card may change it.
        Some(unsafe { word.read_volatile() })
    }

    /// Sets the word at `index`; nothing happens outside the mapping.
    pub fn write(&self, index: usize, value: u64) {
        if let Some(word) = self.word(index) {
            // SAFETY: within the mapping and aligned; no reference exists.
            unsafe { word.write_volatile(value) };
        }
    }

    /// Address of the first byte.
    pub fn address(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn word(&self, index: usize) -> Option<*mut u64> {
        let inside = index < self.bytes / size_of::<u64>();
        // SAFETY: the index lies within the mapping.
        inside.then(|| unsafe { self.start.as_ptr().cast::<u64>().add(index) })
    }
}

impl Drop for RawMapping {
    fn drop(&mut self) {
        // SAFETY: the mapping, or what is left of it; holes are no error.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Writes as much of a mapping to a file as the kernel takes: it must read the
/// memory for that.
///
/// # Errors
/// The errno.
pub fn write_to_file(mapping: &RawMapping, bytes: usize, file: impl AsFd) -> io::Result<usize> {
    let length = bytes.min(mapping.bytes);
    // SAFETY: the kernel reads `length` mapped bytes or says EFAULT.
    let written = unsafe {
        libc::write(
            file.as_fd().as_raw_fd(),
            mapping.start.as_ptr().cast(),
            length,
        )
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// Lets the kernel write a byte to a mapping, which may not be writable there.
///
/// # Errors
/// The errno.
pub fn write_by_kernel(mapping: &RawMapping, offset: usize) -> io::Result<()> {
    if offset >= mapping.bytes {
        return Err(invalid());
    }
    let (reader, mut writer) = io::pipe()?;
    io::Write::write_all(&mut writer, &[1])?;
    // SAFETY: the kernel writes one byte in the mapping's range, or says
    // EFAULT; no reference into it exists.
    let read = unsafe {
        let target = mapping.start.as_ptr().add(offset);
        libc::read(reader.as_raw_fd(), target.cast(), 1)
    };
    if read == 1 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How a list in wire format was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The driver refused it with this errno.
    Refused(i32),
    /// It ended with this status code; the failed command.
    Ended(u32, u32),
}

/// Submits a list in wire format that uses no memory of the program, and waits
/// until it has ended.
///
/// # Errors
/// The wait failed.
pub fn run_list(device: &Device, commands: &[u8], command_count: u32) -> io::Result<Taken> {
    let mut submit = uapi::Submit {
        commands: commands.as_ptr().expose_provenance() as u64,
        commands_size: u32::try_from(commands.len()).map_err(|_| invalid())?,
        command_count,
        flags: uapi::SUBMIT_WAIT,
        ..Default::default()
    };
    submit.wait.timeout_ns = i64::MAX;
    // SAFETY: the driver copies the commands during the call; there are no
    // transfers, so the list reaches no memory of the program.
    if let Err(error) = unsafe { call(device, &mut submit) } {
        return error.raw_os_error().map(Taken::Refused).ok_or(error);
    }
    if submit.wait_error != 0 {
        return Err(io::Error::from_raw_os_error(submit.wait_error as i32));
    }
    Ok(Taken::Ended(submit.wait.status, submit.wait.failed_command))
}
