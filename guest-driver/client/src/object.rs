// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects: device memory of one context.

use std::time::Duration;

use augur_abi::DataType;
use augur_abi::control::Advice;

use crate::device::Device;
use crate::error::Error;
use crate::kernel;
use crate::mapping::Mapping;
use crate::tensor::Tensor;
use crate::uapi;

/// An allocation in device memory. Dropping it frees the memory once commands
/// in flight and mappings have ended.
#[derive(Debug)]
pub struct Object {
    device: Device,
    handle: u32,
    bytes: u64,
    device_address: u64,
    mmap_offset: u64,
}

impl Object {
    /// Takes over what BO_CREATE returned.
    pub(crate) fn new(device: Device, created: &uapi::ObjectCreate) -> Self {
        Self {
            device,
            handle: created.handle,
            bytes: created.size,
            device_address: created.device_address,
            mmap_offset: created.mmap_offset,
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes of the object, whole pages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// First device address, valid in this context only.
    pub fn device_address(&self) -> u64 {
        self.device_address
    }

    /// GEM handle, valid in this context only.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// Offset of the object for `mmap` of the device file.
    pub fn mmap_offset(&self) -> u64 {
        self.mmap_offset
    }

    /// Says how a range of the object will be used: that changes when it becomes
    /// visible, never what an access finds.
    ///
    /// # Errors
    /// The range reaches outside the object; [`Error::NoMemory`] when more would
    /// be pinned than may be, or too many ranges have advice.
    pub fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> Result<(), Error> {
        let mut argument = uapi::ObjectAdvise {
            handle: self.handle,
            advice: advice.code(),
            offset,
            size: bytes,
        };
        kernel::call(&self.device.file, &mut argument)
    }

    /// Waits until no list that was submitted before writes the object (or, with
    /// `readers`, uses it), at most `limit` if there is one.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    pub fn wait(&self, readers: bool, limit: Option<Duration>) -> Result<(), Error> {
        let mut argument = uapi::ObjectWait {
            handle: self.handle,
            flags: if readers { uapi::WAIT_FOR_READERS } else { 0 },
            timeout_ns: kernel::deadline(limit),
        };
        kernel::call(&self.device.file, &mut argument)
    }

    /// Maps the whole object to read and write.
    ///
    /// # Errors
    /// The kernel refused, or the object is larger than the address space.
    pub fn map(&self) -> Result<Mapping, Error> {
        let bytes = usize::try_from(self.bytes).map_err(|_| Error::OutOfRange {
            offset: 0,
            bytes: self.bytes,
            available: usize::MAX as u64,
        })?;
        let start = kernel::map(&self.device.file, self.mmap_offset, bytes)?;
        Ok(Mapping::new(start, bytes))
    }

    /// A dense tensor of `shape`, the last dimension contiguous, whose first
    /// element is `offset` bytes into the object.
    ///
    /// # Errors
    /// It reaches outside the object, is not aligned to its elements, or has no
    /// or too many dimensions.
    pub fn tensor(&self, data_type: DataType, offset: u64, shape: &[u32]) -> Result<Tensor, Error> {
        let tensor = Tensor::dense(self.device_address, data_type, offset, shape)?;
        let bytes = tensor.elements() * data_type.bytes();
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(tensor),
            _ => Err(Error::OutOfRange {
                offset,
                bytes,
                available: self.bytes,
            }),
        }
    }

    /// `bytes` bytes from `offset` on, as transfers take them.
    ///
    /// # Errors
    /// They reach outside the object, or there are none or more than 2^32 - 1.
    pub fn byte_range(&self, offset: u64, bytes: u64) -> Result<Tensor, Error> {
        let length = u32::try_from(bytes).map_err(|_| Error::OutOfRange {
            offset,
            bytes,
            available: u64::from(u32::MAX),
        })?;
        self.tensor(DataType::U8, offset, &[length])
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let mut argument = uapi::GemClose {
            handle: self.handle,
            pad: 0,
        };
        // A handle of this file can always be closed; when the kernel refuses
        // all the same, the object goes with the context.
        let _ = kernel::call(&self.device.file, &mut argument);
    }
}
