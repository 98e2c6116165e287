// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this machine's `memcpy` does between two memory files: the measure of
//! the card's DMA, which copies between two memory files as well.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr::NonNull;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are copied for each size, at least once.
const MOVED: usize = 256 << 20;
/// Most copies of a size.
const MOST: usize = 500;

/// What is copied, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The same bytes again and again, at once: a cache that holds them has them.
    Again,
    /// The same bytes, after a sleep each, as a DMA channel sleeps while a program gets
    /// ready for the next transfer: what it finds in caches is what others leave there.
    Rests(Duration),
    /// The bytes behind the last ones, through the files.
    Walks,
}

/// Two memory files, mapped and touched.
#[derive(Debug)]
pub struct MemoryCopy {
    from: Mapped,
    to: Mapped,
}

impl MemoryCopy {
    /// Two files of `bytes` bytes.
    ///
    /// # Errors
    /// The host did not give memory.
    pub fn new(bytes: usize) -> io::Result<Self> {
        Ok(Self {
            from: Mapped::new(bytes)?,
            to: Mapped::new(bytes)?,
        })
    }

    /// Copies of `bytes` bytes that begin `behind` bytes behind the start of a page in the
    /// first file and the second: bytes per second at the median. Sizes beyond the files'
    /// are cut.
    pub fn bytes_per_second(&self, bytes: u64, course: Course, behind: (u64, u64)) -> f64 {
        let bytes = usize::try_from(bytes).map_or(self.to.bytes, |bytes| bytes.min(self.to.bytes));
        let places = if course == Course::Walks {
            self.to.bytes / bytes.max(1)
        } else {
            1
        };
        let behind = (behind.0 as usize, behind.1 as usize);
        let mut times: Vec<f64> = (0..(MOVED / bytes.max(1)).clamp(1, MOST))
            .map(|turn| {
                if let Course::Rests(rest) = course {
                    thread::sleep(rest);
                }
                let began = Instant::now();
                self.copy(turn % places.max(1) * bytes, bytes, behind);
                began.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times
            .get(times.len() / 2)
            .map_or(0.0, |&time| bytes as f64 / time)
    }

    /// Copies `bytes` bytes from `start` on, and so many behind it in each file; what is not
    /// there is left out.
    fn copy(&self, start: usize, bytes: usize, behind: (usize, usize)) {
        let all = self.from.bytes.min(self.to.bytes);
        let start = start.min(all);
        let room = (all - start).saturating_sub(behind.0.max(behind.1));
        let bytes = bytes.min(room);
        if bytes == 0 {
            return;
        }
        // SAFETY: both mappings have `bytes` bytes behind these places; they lie apart
        // from each other, and only this value knows them.
        unsafe {
            std::ptr::copy_nonoverlapping(
                self.from.start.as_ptr().add(start + behind.0),
                self.to.start.as_ptr().add(start + behind.1),
                bytes,
            );
        }
    }
}

/// A memory file that is mapped.
#[derive(Debug)]
struct Mapped {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapped {
    fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string; the result is checked.
        let descriptor = unsafe { libc::memfd_create(c"augur-bench".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made and belongs to nobody else.
        let file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(bytes as u64)?;
        // SAFETY: a new shared mapping of the whole file; it overlaps nothing.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        let mapped = Self { start, bytes };
        // SAFETY: the mapping is `bytes` long and nobody else knows it.
        unsafe { std::ptr::write_bytes(mapped.start.as_ptr(), 1, bytes) };
        Ok(mapped)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; its pointer ends with this value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_arrives_and_stays_inside() {
        let copy = MemoryCopy::new(8192).unwrap();
        let read = |places: [usize; 3]| {
            // SAFETY: the places are inside the mapping.
            places.map(|place| unsafe { copy.to.start.add(place).read() })
        };
        for place in [4095, 4096, 4100] {
            // SAFETY: as above.
            unsafe { copy.from.start.add(place).write(7) };
        }
        copy.copy(0, 4096, (0, 0));
        assert_eq!(read([4095, 4096, 8191]), [7, 1, 1]);
        copy.copy(4096, 4096, (4, 16));
        assert_eq!(read([4096, 4112, 8191]), [1, 7, 1]);
        copy.copy(8192, 4096, (16, 0));
        assert_eq!(read([4096, 4112, 8191]), [1, 7, 1]);
    }
}
