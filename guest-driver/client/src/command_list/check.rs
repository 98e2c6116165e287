// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several commands ask of their tensors.

use augur_abi::DataType;

use crate::error::Error;
use crate::tensor::Tensor;

pub(super) fn want(holds: bool, message: impl FnOnce() -> String) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Shape(message()))
    }
}

pub(super) fn same_bytes(tensor: &Tensor, bytes: usize) -> Result<(), Error> {
    want(tensor.elements() == bytes as u64, || {
        format!(
            "a transfer of {bytes} bytes does not fit a tensor of {} elements",
            tensor.elements()
        )
    })
}

pub(super) fn same_type_and_shape(
    name: &str,
    first: &Tensor,
    second: &Tensor,
) -> Result<(), Error> {
    want(
        first.data_type() == second.data_type() && first.shape() == second.shape(),
        || {
            format!(
                "{name}: {:?} {:?} and {:?} {:?} differ",
                first.data_type(),
                first.shape(),
                second.data_type(),
                second.shape()
            )
        },
    )
}

pub(super) fn byte_or_float(name: &str, tensor: &Tensor) -> Result<(), Error> {
    want(
        matches!(tensor.data_type(), DataType::U8 | DataType::F32),
        || format!("{name} takes u8 or f32, not {:?}", tensor.data_type()),
    )
}

pub(super) fn all_floats(name: &str, tensors: &[&Tensor]) -> Result<(), Error> {
    let other = tensors
        .iter()
        .find(|tensor| tensor.data_type() != DataType::F32);
    match other {
        None => Ok(()),
        Some(tensor) => Err(Error::Shape(format!(
            "{name} takes f32, not {:?}",
            tensor.data_type()
        ))),
    }
}

pub(super) fn dimension(name: &str, tensor: &Tensor, axis: usize) -> Result<u32, Error> {
    want(axis < tensor.shape().len(), || {
        format!(
            "{name}: there is no dimension {axis} in {:?}",
            tensor.shape()
        )
    })?;
    u32::try_from(axis).map_err(|_| Error::Shape(format!("{name}: dimension {axis}")))
}
