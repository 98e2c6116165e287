// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pointers of the caller: null is an error, anything else is what `augur.h`
//! says it is.

use std::slice;

use crate::error::Failure;

const NULL: Failure = Failure::Argument("a pointer that may not be NULL is NULL");

/// What a pointer points to.
///
/// # Safety
/// It is NULL, or points to a T that nobody changes for `'a`.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or(NULL)
}

/// What a pointer points to, to be changed.
///
/// # Safety
/// It is NULL, or points to a T that nobody else uses for `'a`.
pub(crate) unsafe fn reference_mut<'a, T>(pointer: *mut T) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or(NULL)
}

/// Writes a result to where the caller wants it.
///
/// # Safety
/// It is NULL, or there is room for a T.
pub(crate) unsafe fn give<T>(to: *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() {
        return Err(NULL);
    }
    // SAFETY: the caller's promise; what was there is not dropped, as it may
    // never have been anything.
    unsafe { to.write(value) };
    Ok(())
}

/// Hands a value to the caller, who owns it from now on.
///
/// # Safety
/// As [`give`].
pub(crate) unsafe fn give_handle<T>(to: *mut *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() {
        return Err(NULL);
    }
    // SAFETY: the caller's promise.
    unsafe { give(to, Box::into_raw(Box::new(value))) }
}

/// Takes back what [`give_handle`] gave, or nothing for NULL.
///
/// # Safety
/// It is NULL, or a handle that was given and not taken back.
pub(crate) unsafe fn take_handle<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// `count` elements, none for a count of zero.
///
/// # Safety
/// There are as many, and nobody changes them for `'a`.
pub(crate) unsafe fn elements<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Failure> {
    match (count, first.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(NULL),
        // SAFETY: the caller's promise.
        _ => Ok(unsafe { slice::from_raw_parts(first, count) }),
    }
}

/// `count` elements to be changed, none for a count of zero.
///
/// # Safety
/// There are as many, and nobody else uses them for `'a`.
pub(crate) unsafe fn elements_mut<'a, T>(
    first: *mut T,
    count: usize,
) -> Result<&'a mut [T], Failure> {
    match (count, first.is_null()) {
        (0, _) => Ok(&mut []),
        (_, true) => Err(NULL),
        // SAFETY: the caller's promise.
        _ => Ok(unsafe { slice::from_raw_parts_mut(first, count) }),
    }
}
