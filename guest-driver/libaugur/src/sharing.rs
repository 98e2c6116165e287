// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects shared by dma-buf.

use std::ffi::c_int;
use std::os::fd::{BorrowedFd, IntoRawFd};

use augur_client::{Device, SharedBuffer};

use crate::device::MappableObject;
use crate::error::{Failure, returned};
use crate::pointers::{give, give_handle, reference, take_handle};

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_share(
    object: *const MappableObject,
    descriptor: *mut c_int,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(object) }.and_then(|object| {
        if descriptor.is_null() {
            return Err(Failure::Argument("there is no room for the descriptor"));
        }
        let shared = object.object.share()?.into_raw_fd();
        // SAFETY: `descriptor` is where the caller wants it.
        unsafe { give(descriptor, shared) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_buffer_import(
    device: *const Device,
    descriptor: c_int,
    buffer: *mut *mut SharedBuffer,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| {
        if descriptor < 0 {
            return Err(Failure::Argument("a descriptor is not negative"));
        }
        // SAFETY: the caller keeps it open during this call.
        let imported = device.import(unsafe { BorrowedFd::borrow_raw(descriptor) })?;
        // SAFETY: `buffer` is where the caller wants the handle.
        unsafe { give_handle(buffer, imported) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_buffer_destroy(buffer: *mut SharedBuffer) {
    // SAFETY: a handle of the caller, who gives it up.
    unsafe { take_handle(buffer) };
}

/// See `augur.h`; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_buffer_bytes(buffer: *const SharedBuffer) -> u64 {
    // SAFETY: a handle of the caller.
    unsafe { reference(buffer) }.map_or(0, SharedBuffer::bytes)
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_buffer_copy_to(
    buffer: *const SharedBuffer,
    offset: u64,
    object: *const MappableObject,
    object_offset: u64,
    bytes: u64,
) -> c_int {
    // SAFETY: handles of the caller.
    let both = unsafe { reference(buffer).and_then(|buffer| Ok((buffer, reference(object)?))) };
    returned(both.and_then(|(buffer, object)| {
        Ok(buffer.copy_to(offset, &object.object, object_offset, bytes)?)
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_buffer_copy_from(
    buffer: *const SharedBuffer,
    offset: u64,
    object: *const MappableObject,
    object_offset: u64,
    bytes: u64,
) -> c_int {
    // SAFETY: handles of the caller.
    let both = unsafe { reference(buffer).and_then(|buffer| Ok((buffer, reference(object)?))) };
    returned(both.and_then(|(buffer, object)| {
        Ok(buffer.copy_from(offset, &object.object, object_offset, bytes)?)
    }))
}
