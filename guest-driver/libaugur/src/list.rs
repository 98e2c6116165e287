// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lists: each function adds one command.

use std::ffi::{c_int, c_void};

use augur_abi::Operand;
use augur_client::{CommandList, Convolution, ReduceKind, Tensor};

use crate::error::{Failure, returned};
use crate::pointers::{elements, elements_mut, give_handle, reference, reference_mut, take_handle};

/// `struct augur_list`. It borrows memory for ever: the caller has promised to
/// keep that until the list has ended.
#[derive(Default)]
pub struct List(CommandList<'static>);

impl List {
    /// The commands.
    pub(crate) fn commands(&self) -> &CommandList<'static> {
        &self.0
    }
}

/// `struct augur_convolution`.
#[repr(C)]
pub struct ConvolutionParameters {
    stride_y: u16,
    stride_x: u16,
    pad_top: u16,
    pad_bottom: u16,
    pad_left: u16,
    pad_right: u16,
    groups: u16,
    shift: u16,
    repeat_edge: u8,
    absolute: u8,
    reserved: u16,
    bias: u32,
}

/// The tensor that a `struct augur_tensor` describes.
///
/// # Safety
/// It is NULL, or points to one.
unsafe fn tensor(pointer: *const Operand) -> Result<Tensor, Failure> {
    // SAFETY: the caller's promise.
    let operand = unsafe { reference(pointer) }?;
    Ok(Tensor::of_operand(*operand)?)
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_create(list: *mut *mut List) -> c_int {
    // SAFETY: `list` is where the caller wants the handle.
    returned(unsafe { give_handle(list, List::default()) })
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_destroy(list: *mut List) {
    // SAFETY: a handle of the caller, who gives it up.
    unsafe { take_handle(list) };
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_clear(list: *mut List) -> c_int {
    // SAFETY: a handle of the caller.
    returned(unsafe { reference_mut(list) }.map(|list| *list = List::default()))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_upload(
    list: *mut List,
    to: *const Operand,
    from: *const c_void,
    bytes: usize,
) -> c_int {
    // SAFETY: a handle and memory of the caller, who keeps the memory as it is
    // until the list has ended.
    returned(unsafe { reference_mut(list) }.and_then(|list| {
        // SAFETY: as above.
        let (to, from) = unsafe { (tensor(to)?, elements(from.cast::<u8>(), bytes)?) };
        Ok(list.0.upload(&to, from)?)
    }))
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_download(
    list: *mut List,
    to: *mut c_void,
    bytes: usize,
    from: *const Operand,
) -> c_int {
    // SAFETY: a handle and memory of the caller, who leaves the memory alone
    // until the list has ended.
    returned(unsafe { reference_mut(list) }.and_then(|list| {
        // SAFETY: as above.
        let (to, from) = unsafe { (elements_mut(to.cast::<u8>(), bytes)?, tensor(from)?) };
        Ok(list.0.download(to, &from)?)
    }))
}

/// Adds a command on tensors to a list.
///
/// # Safety
/// The list is NULL or a handle of the caller; each tensor is NULL or points to
/// a `struct augur_tensor`.
unsafe fn add<const COUNT: usize>(
    list: *mut List,
    tensors: [*const Operand; COUNT],
    command: impl FnOnce(&mut CommandList<'static>, &[Tensor; COUNT]) -> Result<(), Failure>,
) -> c_int {
    let checked = || {
        // SAFETY: the caller's promise.
        let list = unsafe { reference_mut(list) }?;
        let mut views = Vec::with_capacity(COUNT);
        for pointer in tensors {
            // SAFETY: the caller's promise.
            views.push(unsafe { tensor(pointer) }?);
        }
        let views = views
            .try_into()
            .map_err(|_| Failure::Argument("too few tensors"))?;
        command(&mut list.0, &views)
    };
    returned(checked())
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_copy(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(
            list,
            [to, from],
            |list, [to, from]| Ok(list.copy(to, from)?),
        )
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_fill(list: *mut List, to: *const Operand, value: u64) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe { add(list, [to], |list, [to]| Ok(list.fill(to, value)?)) }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_add(
    list: *mut List,
    to: *const Operand,
    a: *const Operand,
    b: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe { add(list, [to, a, b], |list, [to, a, b]| Ok(list.add(to, a, b)?)) }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_multiply(
    list: *mut List,
    to: *const Operand,
    a: *const Operand,
    b: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, a, b], |list, [to, a, b]| {
            Ok(list.multiply(to, a, b)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_relu(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(
            list,
            [to, from],
            |list, [to, from]| Ok(list.relu(to, from)?),
        )
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_scale(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
    scale: f32,
    bias: f32,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, from], |list, [to, from]| {
            Ok(list.scale(to, from, scale, bias)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_matmul(
    list: *mut List,
    to: *const Operand,
    a: *const Operand,
    b: *const Operand,
    accumulate: c_int,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, a, b], |list, [to, a, b]| {
            Ok(list.matmul(to, a, b, accumulate != 0)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_matmul_subtract(
    list: *mut List,
    to: *const Operand,
    a: *const Operand,
    b: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, a, b], |list, [to, a, b]| {
            Ok(list.matmul_subtract(to, a, b)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_cholesky(list: *mut List, matrix: *const Operand) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe { add(list, [matrix], |list, [matrix]| Ok(list.cholesky(matrix)?)) }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_triangular_solve(
    list: *mut List,
    x: *const Operand,
    l: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(
            list,
            [x, l],
            |list, [x, l]| Ok(list.triangular_solve(x, l)?),
        )
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_conv2d(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
    weights: *const Operand,
    convolution: *const ConvolutionParameters,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, from, weights], |list, [to, from, weights]| {
            let convolution = reference(convolution)?;
            Ok(list.conv2d(to, from, weights, &convolution.checked()?)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_resample(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
    factor: u32,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, from], |list, [to, from]| {
            Ok(list.resample(to, from, factor)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_reduce(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
    axis: u32,
    reduction: c_int,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, from], |list, [to, from]| {
            let kind = u32::try_from(reduction)
                .ok()
                .and_then(ReduceKind::from_code);
            let kind = kind.ok_or(Failure::Argument("there is no such reduction"))?;
            Ok(list.reduce(to, from, axis as usize, kind)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_softmax(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
    axis: u32,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, from], |list, [to, from]| {
            Ok(list.softmax(to, from, axis as usize)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_layer_norm(
    list: *mut List,
    to: *const Operand,
    from: *const Operand,
    scale: *const Operand,
    bias: *const Operand,
    axis: u32,
    epsilon: f32,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(
            list,
            [to, from, scale, bias],
            |list, [to, from, scale, bias]| {
                Ok(list.layer_norm(to, from, scale, bias, axis as usize, epsilon)?)
            },
        )
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_gather(
    list: *mut List,
    to: *const Operand,
    table: *const Operand,
    indices: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(list, [to, table, indices], |list, [to, table, indices]| {
            Ok(list.gather(to, table, indices)?)
        })
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn augur_list_scatter(
    list: *mut List,
    table: *const Operand,
    from: *const Operand,
    indices: *const Operand,
) -> c_int {
    // SAFETY: `augur.h` says what the pointers are.
    unsafe {
        add(
            list,
            [table, from, indices],
            |list, [table, from, indices]| Ok(list.scatter(table, from, indices)?),
        )
    }
}

impl ConvolutionParameters {
    fn checked(&self) -> Result<Convolution, Failure> {
        if self.reserved != 0 {
            return Err(Failure::Argument("a reserved field is not zero"));
        }
        Ok(Convolution {
            stride: [self.stride_y, self.stride_x],
            pad_rows: [self.pad_top, self.pad_bottom],
            pad_columns: [self.pad_left, self.pad_right],
            repeat_edge: self.repeat_edge != 0,
            groups: self.groups,
            shift: self.shift,
            absolute: self.absolute != 0,
            bias: self.bias,
        })
    }
}
