// SPDX-License-Identifier: MIT OR Apache-2.0
//! An object in a program's address space, through the card's aperture.
//!
//! The card's engines and other processes change this memory at any time, so
//! it is read and written by volatile access and never lent out as a reference;
//! typed elements are reached in place by a [`MappedSlice`].
//! Order between the CPU and the card's engines comes from completion only:
//! write, submit, wait, read.
//!
//! The kernel sends SIGBUS to a program that touches a mapping when the card
//! is lost or the context has failed.

use std::ptr::NonNull;

use crate::error::Error;
use crate::kernel;
use crate::slice::{Element, MappedSlice};

/// Word in which large ranges are moved.
const WORD: usize = size_of::<u64>();

/// A mapped object. The mapping outlives the [`crate::Object`] and the
/// [`crate::Device`] it was made from, and a forked child inherits it.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the address is valid in every thread of the process; nothing in the
// mapping belongs to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Takes over a mapping made by [`kernel::map`].
    pub(crate) fn new(start: NonNull<u8>, bytes: usize) -> Self {
        Self { start, bytes }
    }

    /// Bytes of the mapping.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Address of the first byte, for system calls. Memory behind it changes
    /// at any time; never make a reference of it.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The address of byte `offset`, when `bytes` from there on are mapped.
    fn at(&self, offset: usize, bytes: usize) -> Result<*mut u8, Error> {
        match offset.checked_add(bytes) {
            // SAFETY: offset is at most the mapping's size.
            Some(end) if end <= self.bytes => Ok(unsafe { self.start.as_ptr().add(offset) }),
            _ => Err(Error::OutOfRange {
                offset: offset as u64,
                bytes: bytes as u64,
                available: self.bytes as u64,
            }),
        }
    }

    /// Copies bytes at `offset` into `destination`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn read(&self, offset: usize, destination: &mut [u8]) -> Result<(), Error> {
        let source = self.at(offset, destination.len())?;
        let head = source.align_offset(WORD).min(destination.len());
        let (first, rest) = destination.split_at_mut(head);
        let (words, last) = rest.as_chunks_mut::<WORD>();
        // SAFETY: every address lies in the range that `at` checked; words
        // start at an aligned address behind `head` bytes.
        unsafe {
            for (index, byte) in first.iter_mut().enumerate() {
                *byte = source.add(index).read_volatile();
            }
            let aligned = source.add(head).cast::<u64>();
            for (index, word) in words.iter_mut().enumerate() {
                *word = aligned.add(index).read_volatile().to_ne_bytes();
            }
            let tail = aligned.add(words.len()).cast::<u8>();
            for (index, byte) in last.iter_mut().enumerate() {
                *byte = tail.add(index).read_volatile();
            }
        }
        Ok(())
    }

    /// Copies `source` to the bytes at `offset`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn write(&mut self, offset: usize, source: &[u8]) -> Result<(), Error> {
        let destination = self.at(offset, source.len())?;
        let head = destination.align_offset(WORD).min(source.len());
        let (first, rest) = source.split_at(head);
        let (words, last) = rest.as_chunks::<WORD>();
        // SAFETY: as in `read`; the memory is shared and nobody in this
        // process has a reference into it.
        unsafe {
            for (index, byte) in first.iter().enumerate() {
                destination.add(index).write_volatile(*byte);
            }
            let aligned = destination.add(head).cast::<u64>();
            for (index, word) in words.iter().enumerate() {
                aligned.add(index).write_volatile(u64::from_ne_bytes(*word));
            }
            let tail = aligned.add(words.len()).cast::<u8>();
            for (index, byte) in last.iter().enumerate() {
                tail.add(index).write_volatile(*byte);
            }
        }
        Ok(())
    }

    /// `count` elements from byte `offset` on, in place.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; [`Error::Shape`] when `offset` is not a multiple
    /// of what the elements are aligned to.
    pub fn slice<T: Element>(
        &self,
        offset: usize,
        count: usize,
    ) -> Result<MappedSlice<'_, T>, Error> {
        let start = self.at(offset, count.saturating_mul(size_of::<T>()))?;
        if !start.addr().is_multiple_of(align_of::<T>()) {
            return Err(Error::Shape(format!(
                "byte {offset} is not a multiple of {}, as its elements must be",
                align_of::<T>()
            )));
        }
        // SAFETY: `at` checked that all of them are mapped, and they are
        // aligned; `self` stays borrowed.
        Ok(unsafe { MappedSlice::new(start.cast(), count) })
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn read_byte(&self, offset: usize) -> Result<u8, Error> {
        // SAFETY: `at` checked the byte.
        self.at(offset, 1).map(|at| unsafe { at.read_volatile() })
    }

    /// Sets one byte.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn write_byte(&mut self, offset: usize, value: u8) -> Result<(), Error> {
        // SAFETY: `at` checked the byte.
        self.at(offset, 1)
            .map(|at| unsafe { at.write_volatile(value) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `kernel::map`; every use borrows `self`.
        unsafe { kernel::unmap(self.start, self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anonymous(bytes: usize) -> Mapping {
        // SAFETY: a new anonymous mapping.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Mapping::new(NonNull::new(start.cast()).expect("not null"), bytes)
    }

    #[test]
    fn every_offset_and_length_reads_back_and_leaves_neighbours_alone() {
        let mut mapping = anonymous(4096);
        for offset in 0..20 {
            for length in 0..40 {
                mapping.write(0, &[0xee; 128]).expect("in range");
                let data: Vec<u8> = (1..=length).collect();
                mapping.write(offset, &data).expect("in range");
                let mut all = [0; 128];
                mapping.read(0, &mut all).expect("in range");
                let mut expected = [0xee; 128];
                expected[offset..offset + data.len()].copy_from_slice(&data);
                assert_eq!(all, expected, "offset {offset} length {length}");
                let mut part = vec![0; data.len()];
                mapping.read(offset, &mut part).expect("in range");
                assert_eq!(part, data);
            }
        }
    }

    #[test]
    fn elements_are_read_and_written_in_place() {
        let mut mapping = anonymous(4096);
        let numbers = mapping.slice::<i32>(8, 6).expect("in range");
        numbers.copy_from(&[1, 2, 3, 4, 5, 6]).expect("as long");
        let middle = numbers.slice(2..5).expect("in range");
        middle.write(1, -40).expect("in range");
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [1, 2, 3, -40, 5, 6]);
        assert_eq!(middle.read(2).expect("in range"), 5);
        let mut copy = [0; 3];
        middle.copy_to(&mut copy).expect("as long");
        assert_eq!(copy, [3, -40, 5]);
        assert!(middle.read(3).is_err() && middle.slice(2..4).is_err());
        assert!(middle.copy_to(&mut [0; 2]).is_err() && numbers.copy_from(&[0]).is_err());
        let mut bytes = [0; 4];
        mapping.read(20, &mut bytes).expect("in range");
        assert_eq!(bytes, (-40_i32).to_ne_bytes());
        mapping.write(8, &[9, 0, 0, 0]).expect("in range");
        assert_eq!(
            mapping
                .slice::<u32>(8, 1)
                .and_then(|one| one.read(0))
                .expect("one"),
            9
        );
        assert!(mapping.slice::<f32>(2, 1).is_err());
        assert!(mapping.slice::<u64>(4096, 0).expect("none").is_empty());
        for count in [513, usize::MAX] {
            assert!(mapping.slice::<u64>(0, count).is_err());
        }
    }

    #[test]
    fn ranges_outside_the_mapping_are_refused() {
        let mut mapping = anonymous(4096);
        for (offset, length) in [(4096, 1), (4095, 2), (usize::MAX, 1), (usize::MAX, 8)] {
            assert!(matches!(
                mapping.read(offset, &mut vec![0; length]),
                Err(Error::OutOfRange { .. })
            ));
            assert!(mapping.write(offset, &vec![0; length]).is_err());
        }
        assert!(mapping.read(4096, &mut []).is_ok());
        assert!(mapping.read_byte(4096).is_err());
        assert!(mapping.write_byte(4096, 1).is_err());
    }
}
