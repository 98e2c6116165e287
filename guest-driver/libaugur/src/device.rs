// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices, objects and the running of lists.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use augur_abi::{DataType, Operand};
use augur_client::{
    Advice, Completion, Device, Error, Mapping, Object, Order, Priority, Submission,
};

use crate::error::{Failure, returned};
use crate::list::List;
use crate::pointers::{elements, give, give_handle, reference, reference_mut, take_handle};

/// `struct augur_object`.
pub struct MappableObject {
    pub(crate) object: Object,
    mapping: Option<Mapping>,
}

/// `struct augur_information`.
#[repr(C)]
pub struct Information {
    memory_bytes: u64,
    usable_bytes: u64,
    aperture_bytes: u64,
    compute_engines: u32,
    dma_channels: u32,
    submit_queues: u32,
    context: u32,
}

/// `struct augur_completion`.
#[repr(C)]
pub struct Times {
    started_ns: u64,
    finished_ns: u64,
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_open(path: *const c_char, device: *mut *mut Device) -> c_int {
    let open = || -> Result<Device, Error> {
        if path.is_null() {
            return Device::open_first();
        }
        // SAFETY: a string of the caller that ends with a zero byte.
        let path = unsafe { CStr::from_ptr(path) };
        Device::open(Path::new(OsStr::from_bytes(path.to_bytes())))
    };
    let result = open().map_err(Failure::from);
    // SAFETY: `device` is where the caller wants the handle.
    returned(result.and_then(|opened| unsafe { give_handle(device, opened) }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_close(device: *mut Device) {
    // SAFETY: a handle of the caller, who gives it up.
    unsafe { take_handle(device) };
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_query(
    device: *const Device,
    information: *mut Information,
) -> c_int {
    // SAFETY: a handle of the caller, and room for the answer.
    returned(unsafe { reference(device) }.and_then(|device| {
        let known = device.information();
        let answer = Information {
            memory_bytes: known.memory_bytes,
            usable_bytes: known.usable_bytes,
            aperture_bytes: known.aperture_bytes,
            compute_engines: known.compute_engines,
            dma_channels: known.dma_channels,
            submit_queues: known.submit_queues,
            context: known.context,
        };
        // SAFETY: as above.
        unsafe { give(information, answer) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_set_priority(device: *const Device, priority: c_int) -> c_int {
    let code = u32::try_from(priority).ok().and_then(Priority::from_code);
    let priority = code.ok_or(Failure::Argument("there is no such priority"));
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| Ok(device.set_priority(priority?)?)))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_create(
    device: *const Device,
    bytes: u64,
    object: *mut *mut MappableObject,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| {
        let created = MappableObject {
            object: device.create_object(bytes)?,
            mapping: None,
        };
        // SAFETY: `object` is where the caller wants the handle.
        unsafe { give_handle(object, created) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_destroy(object: *mut MappableObject) {
    // SAFETY: a handle of the caller, who gives it up.
    unsafe { take_handle(object) };
}

/// See `augur.h`; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_bytes(object: *const MappableObject) -> u64 {
    // SAFETY: a handle of the caller.
    unsafe { reference(object) }.map_or(0, |object| object.object.bytes())
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_advise(
    object: *const MappableObject,
    offset: u64,
    bytes: u64,
    advice: c_int,
) -> c_int {
    let code = u32::try_from(advice).ok().and_then(Advice::from_code);
    let advice = code.ok_or(Failure::Argument("there is no such advice"));
    // SAFETY: a handle of the caller.
    returned(
        unsafe { reference(object) }
            .and_then(|object| Ok(object.object.advise(offset, bytes, advice?)?)),
    )
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_wait(
    object: *const MappableObject,
    readers: c_int,
    timeout_ns: i64,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(
        unsafe { reference(object) }
            .and_then(|object| Ok(object.object.wait(readers != 0, limit(timeout_ns))?)),
    )
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_map(
    object: *mut MappableObject,
    address: *mut *mut c_void,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference_mut(object) }.and_then(|object| {
        let mapping = match object.mapping.take() {
            Some(mapping) => mapping,
            None => object.object.map()?,
        };
        let start = object.mapping.insert(mapping).as_ptr();
        // SAFETY: `address` is where the caller wants it.
        unsafe { give(address, start.cast()) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_object_tensor(
    object: *const MappableObject,
    data_type: c_int,
    offset: u64,
    rank: u32,
    shape: *const u32,
    tensor: *mut Operand,
) -> c_int {
    let code = u8::try_from(data_type).ok().and_then(DataType::from_code);
    let data_type = code.ok_or(Failure::Argument("there is no such element type"));
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(object) }.and_then(|object| {
        // SAFETY: `rank` extents of the caller, who does not change them now.
        let shape = unsafe { elements(shape, rank as usize) }?;
        let made = object.object.tensor(data_type?, offset, shape)?;
        // SAFETY: `tensor` is where the caller wants it.
        unsafe { give(tensor, made.operand()) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_submit(
    device: *const Device,
    queue: u32,
    list: *const List,
    fence: *mut u64,
) -> c_int {
    // SAFETY: handles of the caller.
    let both = unsafe { reference(device).and_then(|device| Ok((device, reference(list)?))) };
    returned(both.and_then(|(device, list)| {
        let submission = device.submit(queue, list.commands())?;
        // SAFETY: `fence` is where the caller wants it.
        unsafe { give(fence, submission.fence()) }
    }))
}

/// Submits lists that C has handles of. Return: the first one's fence.
///
/// # Safety
/// `lists` points to `count` handles of the caller.
pub(crate) unsafe fn submit_lists(
    device: &Device,
    queue: u32,
    lists: *const *const List,
    count: u32,
    order: &Order<'_>,
) -> Result<u64, Failure> {
    // SAFETY: the caller's promise.
    let lists = unsafe { elements(lists, count as usize) }?
        .iter()
        // SAFETY: the caller's promise.
        .map(|&list| Ok(unsafe { reference(list) }?.commands().clone()))
        .collect::<Result<Vec<_>, Failure>>()?;
    device
        .submit_lists(queue, &lists, order)?
        .first()
        .map(Submission::fence)
        .ok_or(Failure::Argument("there is no list to submit"))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_submit_lists(
    device: *const Device,
    queue: u32,
    lists: *const *const List,
    count: u32,
    fence: *mut u64,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| {
        // SAFETY: `count` handles of the caller.
        let first = unsafe { submit_lists(device, queue, lists, count, &Order::default()) }?;
        // SAFETY: `fence` is where the caller wants it.
        unsafe { give(fence, first) }
    }))
}

/// A time limit as C has it: negative is none.
pub(crate) fn limit(timeout_ns: i64) -> Option<Duration> {
    u64::try_from(timeout_ns).ok().map(Duration::from_nanos)
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_wait(
    device: *const Device,
    fence: u64,
    timeout_ns: i64,
    completion: *mut Times,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| {
        let Completion {
            started_ns,
            finished_ns,
        } = device.submission(fence).wait(limit(timeout_ns))?;
        if completion.is_null() {
            return Ok(());
        }
        let times = Times {
            started_ns,
            finished_ns,
        };
        // SAFETY: `completion` is where the caller wants it.
        unsafe { give(completion, times) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_run(device: *const Device, list: *const List) -> c_int {
    // SAFETY: handles of the caller.
    let both = unsafe { reference(device).and_then(|device| Ok((device, reference(list)?))) };
    returned(both.and_then(|(device, list)| {
        device.run(list.commands())?;
        Ok(())
    }))
}
