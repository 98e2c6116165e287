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
unsafe fn add(
    list: *mut List,
    tensors: &[*const Operand],
    command: impl FnOnce(&mut CommandList<'static>, &[Tensor]) -> Result<(), Failure>,
) -> c_int {
    let checked = || {
        // SAFETY: the caller's promise.
        let list = unsafe { reference_mut(list) }?;
        let views = tensors
            .iter()
            // SAFETY: the caller's promise.
            .map(|&pointer| unsafe { tensor(pointer) })
            .collect::<Result<Vec<_>, _>>()?;
        command(&mut list.0, &views)
    };
    returned(checked())
}

/// Functions that add one command: its tensors, its other parameters, and how the
/// client library calls it.
macro_rules! commands {
    ($(extern "C" fn $name:ident(
        $($tensor:ident),+ $(; $($parameter:ident: $type:ty),+)?
    ) |$list:ident| $call:expr;)+) => {$(
        /// See `augur.h`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            list: *mut List,
            $($tensor: *const Operand,)+
            $($($parameter: $type,)+)?
        ) -> c_int {
            let tensors = [$($tensor),+];
            let command = |$list: &mut CommandList<'static>, tensors: &[Tensor]| {
                let [$($tensor),+] = tensors else {
                    return Err(Failure::Argument("too few tensors"));
                };
                Ok($call?)
            };
            // SAFETY: `augur.h` says what the pointers are.
            unsafe { add(list, &tensors, command) }
        }
    )+};
}

commands! {
    extern "C" fn augur_list_copy(to, from) |list| list.copy(to, from);
    extern "C" fn augur_list_fill(to; value: u64) |list| list.fill(to, value);
    extern "C" fn augur_list_add(to, a, b) |list| list.add(to, a, b);
    extern "C" fn augur_list_multiply(to, a, b) |list| list.multiply(to, a, b);
    extern "C" fn augur_list_relu(to, from) |list| list.relu(to, from);
    extern "C" fn augur_list_scale(to, from; scale: f32, bias: f32)
        |list| list.scale(to, from, scale, bias);
    extern "C" fn augur_list_matmul(to, a, b; accumulate: c_int)
        |list| list.matmul(to, a, b, accumulate != 0);
    extern "C" fn augur_list_matmul_subtract(to, a, b) |list| list.matmul_subtract(to, a, b);
    extern "C" fn augur_list_cholesky(matrix) |list| list.cholesky(matrix);
    extern "C" fn augur_list_triangular_solve(x, l) |list| list.triangular_solve(x, l);
    extern "C" fn augur_list_conv2d(to, from, weights; convolution: *const ConvolutionParameters)
        |list| list.conv2d(to, from, weights, &checked_convolution(convolution)?);
    extern "C" fn augur_list_resample(to, from; factor: u32) |list| list.resample(to, from, factor);
    extern "C" fn augur_list_reduce(to, from; axis: u32, reduction: c_int)
        |list| list.reduce(to, from, axis as usize, checked_reduction(reduction)?);
    extern "C" fn augur_list_softmax(to, from; axis: u32)
        |list| list.softmax(to, from, axis as usize);
    extern "C" fn augur_list_layer_norm(to, from, scale, bias; axis: u32, epsilon: f32)
        |list| list.layer_norm(to, from, scale, bias, axis as usize, epsilon);
    extern "C" fn augur_list_gather(to, table, indices) |list| list.gather(to, table, indices);
    extern "C" fn augur_list_scatter(table, from, indices) |list| list.scatter(table, from, indices);
}

/// The reduction that an `enum augur_reduction` names.
fn checked_reduction(code: c_int) -> Result<ReduceKind, Failure> {
    u32::try_from(code)
        .ok()
        .and_then(ReduceKind::from_code)
        .ok_or(Failure::Argument("there is no such reduction"))
}

/// What a `struct augur_convolution` says.
fn checked_convolution(parameters: *const ConvolutionParameters) -> Result<Convolution, Failure> {
    // SAFETY: `augur.h` says that it is NULL or points to one.
    let parameters = unsafe { reference(parameters) }?;
    if parameters.reserved != 0 {
        return Err(Failure::Argument("a reserved field is not zero"));
    }
    Ok(Convolution {
        stride: [parameters.stride_y, parameters.stride_x],
        pad_rows: [parameters.pad_top, parameters.pad_bottom],
        pad_columns: [parameters.pad_left, parameters.pad_right],
        repeat_edge: parameters.repeat_edge != 0,
        groups: parameters.groups,
        shift: parameters.shift,
        absolute: parameters.absolute != 0,
        bias: parameters.bias,
    })
}
