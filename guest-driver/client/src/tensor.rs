// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tensors: typed, strided views of device memory.

use std::ops::Range;

use augur_abi::command::MAX_RANK;
use augur_abi::{DataType, Operand};

use crate::error::Error;

/// A view of part of an object: element `(i0, i1, …)` is at
/// `address + i0 * stride0 + i1 * stride1 + …`. Views may overlap; a view of an
/// object that was freed is refused by the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    operand: Operand,
}

impl Tensor {
    /// A dense tensor at `object_address + offset`, the last dimension
    /// contiguous. Whether there is an object is the card's to check;
    /// [`crate::Object::tensor`] checks that it lies in one.
    ///
    /// # Errors
    /// It is not aligned to its elements, overflows, or has no or too many
    /// dimensions.
    pub fn dense(
        object_address: u64,
        data_type: DataType,
        offset: u64,
        shape: &[u32],
    ) -> Result<Self, Error> {
        let rank = match u8::try_from(shape.len()) {
            Ok(rank) if rank > 0 && shape.len() <= MAX_RANK => rank,
            _ => {
                return Err(Error::Shape(format!(
                    "a tensor has 1 to {MAX_RANK} dimensions, not {}",
                    shape.len()
                )));
            }
        };
        if shape.contains(&0) {
            return Err(Error::Shape(format!("shape {shape:?} has no elements")));
        }
        if !offset.is_multiple_of(data_type.bytes()) {
            return Err(Error::Shape(format!(
                "byte {offset} is not a multiple of the {} bytes of an element",
                data_type.bytes()
            )));
        }
        let overflow = || Error::Shape(format!("shape {shape:?} overflows"));
        let mut operand = Operand {
            address: object_address.checked_add(offset).ok_or_else(overflow)?,
            data_type: data_type.code(),
            rank,
            ..Default::default()
        };
        let mut stride = data_type.bytes();
        let dimensions = operand.shape.iter_mut().zip(&mut operand.stride);
        for ((extent, step), &wanted) in dimensions.take(shape.len()).zip(shape) {
            *extent = wanted;
            *step = 0;
        }
        for dimension in (0..shape.len()).rev() {
            operand.stride[dimension] = stride;
            stride = stride
                .checked_mul(u64::from(shape[dimension]))
                .ok_or_else(overflow)?;
        }
        Ok(Self { operand })
    }

    /// The view that an operand describes, as other languages write it. Whether
    /// it lies in an object is the card's to check.
    ///
    /// # Errors
    /// Its type, rank or padding is wrong.
    pub fn of_operand(operand: Operand) -> Result<Self, Error> {
        let rank = usize::from(operand.rank);
        let unused = |rank: usize| {
            let shape = operand.shape.iter().skip(rank).all(|&extent| extent == 0);
            shape && operand.stride.iter().skip(rank).all(|&stride| stride == 0)
        };
        let shape = operand.shape.get(..rank).unwrap_or_default();
        let good = DataType::from_code(operand.data_type).is_some()
            && !shape.is_empty()
            && !shape.contains(&0)
            && unused(rank)
            && operand.reserved == [0; 6];
        if good {
            Ok(Self { operand })
        } else {
            Err(Error::Shape(format!("no tensor: {operand:?}")))
        }
    }

    /// The view as the card takes it.
    pub fn operand(&self) -> Operand {
        self.operand
    }

    /// Type of the elements.
    pub fn data_type(&self) -> DataType {
        // Set from a DataType and never changed.
        DataType::from_code(self.operand.data_type).unwrap_or(DataType::U8)
    }

    /// Elements of each dimension.
    pub fn shape(&self) -> &[u32] {
        &self.operand.shape[..usize::from(self.operand.rank)]
    }

    /// Bytes between neighbours in each dimension.
    pub fn strides(&self) -> &[u64] {
        &self.operand.stride[..usize::from(self.operand.rank)]
    }

    /// Device address of the first element.
    pub fn device_address(&self) -> u64 {
        self.operand.address
    }

    /// Elements of the view.
    pub fn elements(&self) -> u64 {
        self.shape()
            .iter()
            .map(|&extent| u64::from(extent))
            .product()
    }

    /// Whether elements follow each other without gaps, the last dimension
    /// fastest.
    pub fn is_dense(&self) -> bool {
        let mut expected = self.data_type().bytes();
        for (&extent, &stride) in self.shape().iter().zip(self.strides()).rev() {
            if stride != expected {
                return false;
            }
            expected = expected.saturating_mul(u64::from(extent));
        }
        true
    }

    /// The elements of `range` in one dimension.
    ///
    /// # Errors
    /// There is no such dimension, or the range is empty or outside it.
    pub fn slice(&self, dimension: usize, range: Range<u32>) -> Result<Self, Error> {
        let extent = self.extent(dimension)?;
        if range.is_empty() || range.end > extent {
            return Err(Error::Shape(format!(
                "elements {range:?} do not lie in dimension {dimension}, which has {extent}"
            )));
        }
        let mut view = *self;
        view.operand.address += u64::from(range.start) * self.operand.stride[dimension];
        view.operand.shape[dimension] = range.end - range.start;
        Ok(view)
    }

    /// Every `step`-th element of one dimension, beginning with the first.
    ///
    /// # Errors
    /// There is no such dimension, or `step` is zero.
    pub fn every(&self, dimension: usize, step: u32) -> Result<Self, Error> {
        let extent = self.extent(dimension)?;
        if step == 0 {
            return Err(Error::Shape("a step of zero never ends".into()));
        }
        let mut view = *self;
        view.operand.shape[dimension] = extent.div_ceil(step);
        view.operand.stride[dimension] *= u64::from(step);
        Ok(view)
    }

    /// The view with two dimensions exchanged.
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn transpose(&self, first: usize, second: usize) -> Result<Self, Error> {
        self.extent(first)?;
        self.extent(second)?;
        let mut view = *self;
        view.operand.shape.swap(first, second);
        view.operand.stride.swap(first, second);
        Ok(view)
    }

    fn extent(&self, dimension: usize) -> Result<u32, Error> {
        self.shape().get(dimension).copied().ok_or_else(|| {
            Error::Shape(format!(
                "there is no dimension {dimension} in shape {:?}",
                self.shape()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(shape: &[u32]) -> Tensor {
        Tensor::dense(0x1000, DataType::I16, 4, shape).expect("a good shape")
    }

    #[test]
    fn dense_strides_grow_from_the_last_dimension() {
        let tensor = dense(&[2, 3, 5]);
        assert_eq!(tensor.device_address(), 0x1004);
        assert_eq!(tensor.shape(), [2, 3, 5]);
        assert_eq!(tensor.strides(), [30, 10, 2]);
        assert_eq!(tensor.elements(), 30);
        assert!(tensor.is_dense());
        assert_eq!(tensor.operand().shape, [2, 3, 5, 0, 0, 0]);
        assert_eq!(tensor.operand().stride, [30, 10, 2, 0, 0, 0]);
    }

    #[test]
    fn views_move_the_address_and_keep_the_strides() {
        let tensor = dense(&[4, 6]);
        let view = tensor.slice(0, 1..3).expect("inside").slice(1, 2..6);
        let view = view.expect("inside").every(1, 3).expect("a step");
        assert_eq!(view.device_address(), 0x1004 + 12 + 4);
        assert_eq!(view.shape(), [2, 2]);
        assert_eq!(view.strides(), [12, 6]);
        assert!(!view.is_dense());
        let turned = tensor.transpose(0, 1).expect("two dimensions");
        assert_eq!(
            (turned.shape(), turned.strides()),
            (&[6, 4][..], &[2, 12][..])
        );
    }

    #[test]
    fn operands_are_checked_before_they_are_tensors() {
        let good = dense(&[4, 6]).operand();
        assert_eq!(
            Tensor::of_operand(good).map(|made| made.operand()).ok(),
            Some(good)
        );
        let mut bad = [good; 5];
        bad[0].data_type = 0;
        bad[1].rank = 7;
        bad[2].rank = 1;
        bad[3].shape[1] = 0;
        bad[4].reserved[5] = 1;
        for operand in bad {
            assert!(Tensor::of_operand(operand).is_err(), "{operand:?}");
        }
    }

    #[test]
    fn bad_views_are_refused() {
        let tensor = dense(&[4, 6]);
        assert!(tensor.slice(0, 2..5).is_err());
        assert!(tensor.slice(0, 2..2).is_err());
        assert!(tensor.slice(2, 0..1).is_err());
        assert!(tensor.every(1, 0).is_err());
        assert!(tensor.transpose(0, 2).is_err());
        assert!(Tensor::dense(0, DataType::U8, 0, &[]).is_err());
        assert!(Tensor::dense(0, DataType::U8, 0, &[1; 7]).is_err());
        assert!(Tensor::dense(0, DataType::U8, 0, &[1, 0]).is_err());
        assert!(Tensor::dense(0, DataType::F32, 2, &[1]).is_err());
        assert!(Tensor::dense(0, DataType::F32, 0, &[u32::MAX; 3]).is_err());
    }
}
