// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed elements of a mapping, in place.
//!
//! A [`MappedSlice`] is to device memory what a slice of cells is to ordinary
//! memory: nothing is copied until an element is read, and no reference into
//! the mapping ever exists, because engines and other processes write it at
//! any time. Two reads of one element may differ; read it once, check it, use
//! that value.

use std::marker::PhantomData;
use std::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::Error;
use crate::mapping::Mapping;

/// What may stand in device memory: any bytes are a value of it.
pub trait Element: FromBytes + IntoBytes + Immutable + Copy {}
impl<T: FromBytes + IntoBytes + Immutable + Copy> Element for T {}

/// Elements of a [`Mapping`], which stays borrowed; see [`Mapping::slice`].
///
/// ```no_run
/// # fn main() -> Result<(), augur_client::Error> {
/// let device = augur_client::Device::open_first()?;
/// let object = device.create_object(4096)?;
/// let mapping = object.map()?;
/// let numbers = mapping.slice::<f32>(0, 1024)?;
/// numbers.write(7, 1.5)?;
/// let sum: f32 = numbers.iter().sum();
/// assert_eq!(sum, 1.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MappedSlice<'mapping, T> {
    start: *mut T,
    length: usize,
    mapping: PhantomData<&'mapping Mapping>,
}

impl<'mapping, T: Element> MappedSlice<'mapping, T> {
    /// Elements that begin at an address.
    ///
    /// # Safety
    /// `length` elements from `start` on lie in a mapping that lives for
    /// `'mapping`, and `start` is aligned to them.
    pub(crate) unsafe fn new(start: *mut T, length: usize) -> Self {
        Self {
            start,
            length,
            mapping: PhantomData,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The elements of `range`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn slice(&self, range: Range<usize>) -> Result<Self, Error> {
        if range.start > range.end || range.end > self.length {
            return Err(self.outside(range.start, range.len()));
        }
        Ok(Self {
            // SAFETY: within, or one behind, the elements there are.
            start: unsafe { self.start.add(range.start) },
            length: range.len(),
            mapping: PhantomData,
        })
    }

    /// One element as it is now.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn read(&self, index: usize) -> Result<T, Error> {
        let at = self.at(index)?;
        // SAFETY: `at` checked the index; any bytes are a T.
        Ok(unsafe { at.read_volatile() })
    }

    /// Sets one element.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn write(&self, index: usize, value: T) -> Result<(), Error> {
        let at = self.at(index)?;
        // SAFETY: `at` checked the index; nobody in this process has a
        // reference into a mapping.
        unsafe { at.write_volatile(value) };
        Ok(())
    }

    /// Copies all elements out.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the lengths differ.
    pub fn copy_to(&self, destination: &mut [T]) -> Result<(), Error> {
        self.same_length(destination.len())?;
        for (value, element) in self.iter().zip(destination) {
            *element = value;
        }
        Ok(())
    }

    /// Sets all elements.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the lengths differ.
    pub fn copy_from(&self, source: &[T]) -> Result<(), Error> {
        self.same_length(source.len())?;
        for (index, &value) in source.iter().enumerate() {
            // SAFETY: there are as many elements as in `source`.
            unsafe { self.start.add(index).write_volatile(value) };
        }
        Ok(())
    }

    /// The elements one after another, each read when it is asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'mapping, T> {
        let slice = *self;
        // SAFETY: the range's indices are those of elements.
        (0..slice.length).map(move |index| unsafe { slice.start.add(index).read_volatile() })
    }

    fn at(&self, index: usize) -> Result<*mut T, Error> {
        if index < self.length {
            // SAFETY: an element's place.
            Ok(unsafe { self.start.add(index) })
        } else {
            Err(self.outside(index, 1))
        }
    }

    fn same_length(&self, length: usize) -> Result<(), Error> {
        if length == self.length {
            Ok(())
        } else {
            Err(self.outside(0, length))
        }
    }

    fn outside(&self, first: usize, count: usize) -> Error {
        let bytes = |elements: usize| (elements as u64).saturating_mul(size_of::<T>() as u64);
        Error::OutOfRange {
            offset: bytes(first),
            bytes: bytes(count),
            available: bytes(self.length),
        }
    }
}
