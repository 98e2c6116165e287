// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory shared by dma-buf: objects with other programs and other cards, and
//! buffers of guest memory with this card.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::device::Device;
use crate::error::Error;
use crate::kernel;
use crate::object::Object;
use crate::uapi;

/// A dma-buf that was imported: device memory of another context or card, which
/// is copied from and to, or guest memory (udmabuf, the system heap), which
/// transfers use in place ([`crate::CommandList::lend_buffer`]). Dropping it
/// leaves the dma-buf alone.
#[derive(Debug)]
pub struct SharedBuffer {
    device: Device,
    handle: u32,
    bytes: u64,
}

impl Object {
    /// A dma-buf of the object, which others map (shared only) or import. The
    /// memory lives as long as it is open anywhere.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn share(&self) -> Result<OwnedFd, Error> {
        let mut argument = uapi::PrimeHandle {
            handle: self.handle(),
            flags: uapi::PRIME_CLOSE_ON_EXEC | uapi::PRIME_READ_WRITE,
            ..Default::default()
        };
        kernel::call(&self.device().file, &mut argument)?;
        // SAFETY: a new descriptor, which nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(argument.fd) })
    }
}

impl Device {
    /// Imports a dma-buf that is not of this context.
    ///
    /// # Errors
    /// Its memory cannot be used by the card.
    pub fn import(&self, buffer: BorrowedFd<'_>) -> Result<SharedBuffer, Error> {
        let mut argument = uapi::PrimeFd {
            fd: buffer.as_raw_fd(),
            ..Default::default()
        };
        kernel::call(&self.file, &mut argument)?;
        let mut information = uapi::ObjectInfo {
            handle: argument.handle,
            ..Default::default()
        };
        kernel::call(&self.file, &mut information)?;
        Ok(SharedBuffer {
            device: self.clone(),
            handle: argument.handle,
            bytes: information.size,
        })
    }
}

impl SharedBuffer {
    /// Bytes of the buffer.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// GEM handle, valid in this context only.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// Copies device memory of another context or card to an object of this one,
    /// and returns when that is done.
    ///
    /// # Errors
    /// A range reaches outside, the buffer is guest memory, a signal came, or a
    /// card failed.
    pub fn copy_to(
        &self,
        offset: u64,
        object: &Object,
        object_offset: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        self.copy(uapi::ObjectCopy {
            source: self.handle,
            destination: object.handle(),
            source_offset: offset,
            destination_offset: object_offset,
            size: bytes,
            ..Default::default()
        })
    }

    /// The other way round.
    ///
    /// # Errors
    /// As [`SharedBuffer::copy_to`]; or the buffer was shared to be read only.
    pub fn copy_from(
        &self,
        offset: u64,
        object: &Object,
        object_offset: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        self.copy(uapi::ObjectCopy {
            source: object.handle(),
            destination: self.handle,
            source_offset: object_offset,
            destination_offset: offset,
            size: bytes,
            ..Default::default()
        })
    }

    fn copy(&self, mut argument: uapi::ObjectCopy) -> Result<(), Error> {
        kernel::call(&self.device.file, &mut argument)
    }
}

impl Drop for SharedBuffer {
    fn drop(&mut self) {
        let mut argument = uapi::GemClose {
            handle: self.handle,
            pad: 0,
        };
        // As for objects: what the kernel refuses goes with the open file.
        let _ = kernel::call(&self.device.file, &mut argument);
    }
}
