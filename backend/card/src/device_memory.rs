// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of device memory: one sparse memfd, mapped once.
//!
//! The guest and the card's threads write it at any time, so it is only ever
//! reached by raw copies; no reference into it is made.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use augur_memory::{PhysicalOffset, Segment};

use crate::copy::copy;

/// Device memory. See the module's description.
pub(crate) struct DeviceMemory {
    file: File,
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is shared memory without an owner; every access goes
// through raw copies that are sound from any thread.
unsafe impl Send for DeviceMemory {}
// SAFETY: as above.
unsafe impl Sync for DeviceMemory {}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

impl DeviceMemory {
    /// Makes `bytes` of memory that reads as zero and uses host memory only as it
    /// is touched. The file cannot be shrunk or grown by whoever has it.
    pub fn new(bytes: u64) -> io::Result<Self> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        // SAFETY: the name is a valid C string; the result is checked.
        let fd = check(unsafe {
            libc::memfd_create(
                c"augur-memory".as_ptr(),
                libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
            )
        })?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(bytes as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: F_ADD_SEALS takes an integer.
        check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
        // SAFETY: a new shared mapping of the whole file; it overlaps nothing.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(DeviceMemory { file, base, bytes })
    }

    /// The file, for mapping parts of it elsewhere.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The first byte of a range.
    ///
    /// # Panics
    /// When the range is not in device memory: offsets come from the memory
    /// manager, which knows the size.
    pub fn pointer(&self, offset: PhysicalOffset, bytes: u64) -> *mut u8 {
        let end = offset.0.checked_add(bytes);
        assert!(
            end.is_some_and(|end| end <= self.bytes as u64),
            "offset beyond device memory"
        );
        self.base.as_ptr().wrapping_add(offset.0 as usize)
    }

    /// Copies within device memory; the ranges do not overlap.
    pub fn copy(&self, from: PhysicalOffset, to: PhysicalOffset, bytes: u64) {
        let (from, to) = (self.pointer(from, bytes), self.pointer(to, bytes));
        // SAFETY: both ranges were checked; visible and home frames are apart.
        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes as usize) };
    }

    /// Writes zeros.
    pub fn zero(&self, at: PhysicalOffset, bytes: u64) {
        // SAFETY: the range was checked.
        unsafe { std::ptr::write_bytes(self.pointer(at, bytes), 0, bytes as usize) };
    }

    /// Copies from memory outside the card into device memory.
    ///
    /// # Safety
    /// `bytes` bytes at `from` are readable until the call returns.
    pub unsafe fn copy_in(&self, from: *const u8, to: PhysicalOffset, bytes: u64) {
        // SAFETY: the source by contract, the destination was checked; guest memory
        // and device memory are different mappings.
        unsafe { copy(from, self.pointer(to, bytes), bytes as usize) };
    }

    /// Copies from device memory to memory outside the card.
    ///
    /// # Safety
    /// `bytes` bytes at `to` are writable until the call returns.
    pub unsafe fn copy_out(&self, from: PhysicalOffset, to: *mut u8, bytes: u64) {
        // SAFETY: as for `copy_in`.
        unsafe { copy(self.pointer(from, bytes), to, bytes as usize) };
    }

    /// Makes whole pages read as zero and gives their host memory back.
    pub fn punch(&self, at: PhysicalOffset, bytes: u64) -> io::Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (offset, length) = (at.0 as libc::off_t, bytes as libc::off_t);
        // SAFETY: takes integers only; punching changes contents, which are raw.
        check(unsafe { libc::fallocate(self.file.as_raw_fd(), mode, offset, length) })?;
        Ok(())
    }

    /// Stores a word that the guest may be reading.
    pub fn store(&self, at: PhysicalOffset, value: u64) {
        let pointer = self.pointer(at, 8).cast::<u64>();
        assert!(pointer.is_aligned(), "words are stored aligned");
        // SAFETY: in range and aligned; concurrent access is atomic on both sides.
        unsafe { AtomicU64::from_ptr(pointer) }.store(value, Ordering::Release);
    }

    /// Makes segments contiguous in this process's addresses.
    ///
    /// All segments but the first start at a page, and all but the last end at
    /// one: that is how the memory manager resolves a range of device addresses.
    pub fn contiguous(&self, segments: &[Segment]) -> io::Result<Contiguous> {
        let [segment] = segments else {
            return Contiguous::map(self, segments);
        };
        Ok(Contiguous {
            first: self.pointer(segment.offset, segment.bytes),
            mapping: None,
        })
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nobody has pointers any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Bytes of device memory that are contiguous in this process's addresses.
pub(crate) struct Contiguous {
    first: *mut u8,
    mapping: Option<(*mut libc::c_void, usize)>,
}

// SAFETY: the mapping is of shared memory and belongs to this value alone; every
// access to it is a raw one that tolerates others.
unsafe impl Send for Contiguous {}
// SAFETY: as above; nothing of it changes.
unsafe impl Sync for Contiguous {}

impl Contiguous {
    /// The first byte.
    pub fn first(&self) -> *mut u8 {
        self.first
    }

    fn map(memory: &DeviceMemory, segments: &[Segment]) -> io::Result<Self> {
        let page = augur_abi::PAGE_BYTES;
        let into = segments
            .first()
            .map_or(0, |segment| segment.offset.0 % page);
        let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let length = (into + bytes).next_multiple_of(page) as usize;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping that overlaps nothing; it reserves addresses.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let made = Contiguous {
            first: base.cast::<u8>().wrapping_add(into as usize),
            mapping: Some((base, length)),
        };
        let mut done = 0;
        for segment in segments {
            let start = segment.offset.0 - segment.offset.0 % page;
            let end = (segment.offset.0 + segment.bytes).next_multiple_of(page);
            // SAFETY: replaces a part of the reservation made above, which is large
            // enough for all segments' pages.
            let mapped = unsafe {
                libc::mmap(
                    base.wrapping_byte_add(done),
                    (end - start) as usize,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_FIXED,
                    memory.file.as_raw_fd(),
                    start as libc::off_t,
                )
            };
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            done += (end - start) as usize;
        }
        Ok(made)
    }
}

impl Drop for Contiguous {
    fn drop(&mut self) {
        if let Some((base, length)) = self.mapping {
            // SAFETY: the mapping made in `map`; its pointers end with this value.
            unsafe { libc::munmap(base, length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_segments_become_contiguous_and_share_bytes() {
        let memory = DeviceMemory::new(1 << 20).unwrap();
        let segments = [
            Segment {
                offset: PhysicalOffset(5 * 4096 + 100),
                bytes: 4096 - 100,
            },
            Segment {
                offset: PhysicalOffset(2 * 4096),
                bytes: 2 * 4096,
            },
            Segment {
                offset: PhysicalOffset(9 * 4096),
                bytes: 7,
            },
        ];
        let view = memory.contiguous(&segments).unwrap();
        let total = 4096 - 100 + 8192 + 7;
        let data: Vec<u8> = (0..total).map(|i| (i % 251) as u8).collect();
        // SAFETY: the view has `total` bytes.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), view.first(), data.len()) };
        let mut read = Vec::new();
        for segment in &segments {
            let mut part = vec![0; segment.bytes as usize];
            // SAFETY: `part` has as many bytes.
            unsafe { memory.copy_out(segment.offset, part.as_mut_ptr(), segment.bytes) };
            read.extend(part);
        }
        assert_eq!(read, data);
    }

    #[test]
    fn large_memory_costs_only_what_is_touched() {
        let memory = DeviceMemory::new(64 << 30).unwrap();
        memory.store(PhysicalOffset(40 << 30), 7);
        use std::os::unix::fs::MetadataExt as _;
        let allocated = || memory.file().metadata().unwrap().blocks() * 512;
        assert_eq!(allocated(), 4096);
        memory.punch(PhysicalOffset(40 << 30), 4096).unwrap();
        assert_eq!(allocated(), 0);
        assert!(memory.file().set_len(1).is_err(), "the size is sealed");
    }
}
