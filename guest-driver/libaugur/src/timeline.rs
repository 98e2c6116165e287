// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timelines, and lists that wait for their points and pass them.

use std::ffi::c_int;

use augur_client::{Device, Order, Point, Timeline};

use crate::device::{limit, submit_lists};
use crate::error::{Failure, returned};
use crate::list::List;
use crate::pointers::{elements, give, give_handle, reference, take_handle};

/// `struct augur_point`.
#[repr(C)]
pub struct TimelinePoint {
    timeline: *const Timeline,
    value: u64,
}

/// The points that C describes.
///
/// # Safety
/// There are `count` of them, with handles of the caller that live for `'a`.
unsafe fn points<'a>(first: *const TimelinePoint, count: u32) -> Result<Vec<Point<'a>>, Failure> {
    // SAFETY: the caller's promise.
    unsafe { elements(first, count as usize) }?
        .iter()
        // SAFETY: the caller's promise.
        .map(|point| Ok(unsafe { reference(point.timeline) }?.at(point.value)))
        .collect()
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_timeline_create(
    device: *const Device,
    timeline: *mut *mut Timeline,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| {
        // SAFETY: `timeline` is where the caller wants the handle.
        unsafe { give_handle(timeline, device.create_timeline()?) }
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_timeline_destroy(timeline: *mut Timeline) {
    // SAFETY: a handle of the caller, who gives it up.
    unsafe { take_handle(timeline) };
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_timeline_pass(timeline: *const Timeline, value: u64) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(timeline) }.and_then(|timeline| Ok(timeline.at(value).pass()?)))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_timeline_wait(
    timeline: *const Timeline,
    value: u64,
    timeout_ns: i64,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(
        unsafe { reference(timeline) }
            .and_then(|timeline| Ok(timeline.at(value).wait(limit(timeout_ns))?)),
    )
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_submit_ordered(
    device: *const Device,
    queue: u32,
    lists: *const *const List,
    count: u32,
    after: *const TimelinePoint,
    after_count: u32,
    passes: *const TimelinePoint,
    pass_count: u32,
    fence: *mut u64,
) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference(device) }.and_then(|device| {
        // SAFETY: as many points of the caller, and handles of lists; `fence` is where
        // the caller wants it.
        unsafe {
            let order = Order {
                after: &points(after, after_count)?,
                passes: &points(passes, pass_count)?,
            };
            give(fence, submit_lists(device, queue, lists, count, &order)?)
        }
    }))
}
