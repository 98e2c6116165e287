// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shape and byte strides of a view: where its elements lie relative to the
//! first one. Knows nothing of memory.

use std::marker::PhantomData;

use crate::{Element, LayoutError};

/// Dimensions of a view at most.
pub const MAX_RANK: usize = 6;

/// Where the elements of a view lie: element (i0, i1, …) is Σ iₐ·strideₐ bytes
/// behind the first.
///
/// Strides may be zero (a source that is repeated) and in any order. Every
/// element lies at most `isize::MAX` bytes behind the first, and the elements
/// can be counted in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout<T> {
    rank: usize,
    /// One behind the last dimension.
    shape: [u64; MAX_RANK],
    /// Bytes; zero behind the last dimension and where a dimension has one
    /// element, so that a stride that is never taken cannot matter.
    stride: [u64; MAX_RANK],
    element: PhantomData<T>,
}

impl<T: Element> Layout<T> {
    /// Checks a shape and its strides (bytes between neighbours).
    pub fn new(shape: &[u32], strides: &[u64]) -> Result<Self, LayoutError> {
        if shape.is_empty() || shape.len() > MAX_RANK || shape.len() != strides.len() {
            return Err(LayoutError::Rank);
        }
        let mut layout = Self {
            rank: shape.len(),
            shape: [1; MAX_RANK],
            stride: [0; MAX_RANK],
            element: PhantomData,
        };
        let mut bytes = T::BYTES;
        let mut elements = 1u64;
        let axes = layout.shape.iter_mut().zip(&mut layout.stride);
        for (axis, ((own_length, own_stride), (&length, &stride))) in
            axes.zip(shape.iter().zip(strides)).enumerate()
        {
            let length = u64::from(length);
            if length == 0 {
                return Err(LayoutError::Empty { axis });
            }
            if !stride.is_multiple_of(T::BYTES) {
                return Err(LayoutError::Stride { axis });
            }
            *own_length = length;
            if length > 1 {
                *own_stride = stride;
                let span = stride.checked_mul(length - 1);
                bytes = span
                    .and_then(|span| bytes.checked_add(span))
                    .filter(|&bytes| bytes <= isize::MAX as u64)
                    .ok_or(LayoutError::Size)?;
                elements = elements.checked_mul(length).ok_or(LayoutError::Size)?;
            }
        }
        Ok(layout)
    }

    /// A dense row-major layout of `shape`.
    pub fn dense(shape: &[u32]) -> Result<Self, LayoutError> {
        let mut strides = [0; MAX_RANK];
        let mut bytes = T::BYTES;
        if shape.len() > MAX_RANK {
            return Err(LayoutError::Rank);
        }
        for (stride, &length) in strides.iter_mut().zip(shape).rev() {
            *stride = bytes;
            bytes = bytes
                .checked_mul(u64::from(length))
                .ok_or(LayoutError::Size)?;
        }
        Self::new(shape, strides.get(..shape.len()).ok_or(LayoutError::Rank)?)
    }

    /// Number of dimensions, 1 to [`MAX_RANK`].
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Elements of each dimension, 1 behind the last.
    pub fn shape(&self) -> [u64; MAX_RANK] {
        self.shape
    }

    /// Bytes between neighbours in each dimension; zero where there are none.
    pub fn strides(&self) -> [u64; MAX_RANK] {
        self.stride
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Bytes from the first byte of the first element to behind the last byte
    /// of the last: what must be valid memory behind a view's address.
    pub fn span_bytes(&self) -> u64 {
        let last = self.shape.iter().zip(&self.stride);
        T::BYTES
            + last
                .map(|(&length, &stride)| (length - 1) * stride)
                .sum::<u64>()
    }

    /// The same places for elements of another type; `None` when these have another
    /// size.
    pub fn retyped<U: Element>(&self) -> Option<Layout<U>> {
        (T::BYTES == U::BYTES).then_some(Layout {
            rank: self.rank,
            shape: self.shape,
            stride: self.stride,
            element: PhantomData,
        })
    }

    /// Whether every element lies right behind the one before it, in the order of
    /// the dimensions.
    pub(crate) fn is_dense(&self) -> bool {
        let mut bytes = T::BYTES;
        let axes = self.shape.iter().zip(&self.stride).rev();
        for (&length, &stride) in axes.filter(|(length, _)| **length > 1) {
            if stride != bytes {
                return false;
            }
            // Cannot overflow: the last element is in range.
            bytes *= length;
        }
        true
    }

    /// Whether both have the same rank and shape.
    pub fn same_shape<U: Element>(&self, other: &Layout<U>) -> bool {
        self.rank == other.rank && self.shape == other.shape
    }

    /// The same elements with the dimensions in another order; `order` is a
    /// permutation of all [`MAX_RANK`] dimensions. The rank becomes
    /// [`MAX_RANK`].
    pub(crate) fn permuted(&self, order: [usize; MAX_RANK]) -> Self {
        assert!(
            (0..MAX_RANK).all(|axis| order.contains(&axis)),
            "not a permutation: {order:?}"
        );
        Self {
            rank: MAX_RANK,
            shape: order.map(|axis| self.shape[axis]),
            stride: order.map(|axis| self.stride[axis]),
            element: PhantomData,
        }
    }

    /// Whether [`Self::merged`] is possible.
    pub(crate) fn can_merge(&self, axis: usize) -> bool {
        let (outer, inner) = (axis, axis + 1);
        self.shape[outer] == 1
            || if self.shape[inner] == 1 {
                true
            } else {
                // Cannot overflow: the inner dimension's last element is in range.
                (self.shape[inner] - 1) * self.stride[inner] + self.stride[inner]
                    == self.stride[outer]
            }
    }

    /// The same elements in the same order with dimension `axis` merged into
    /// the one behind it; `axis` is left with one element.
    pub(crate) fn merged(&self, axis: usize) -> Self {
        assert!(self.can_merge(axis), "dimension {axis} cannot be merged");
        let (outer, inner) = (axis, axis + 1);
        let mut merged = *self;
        if self.shape[inner] == 1 {
            merged.stride[inner] = self.stride[outer];
        }
        merged.shape[inner] = self.shape[outer] * self.shape[inner];
        merged.shape[outer] = 1;
        merged.stride[outer] = 0;
        merged
    }

    /// The layout of `count` elements of dimension `axis`.
    pub(crate) fn narrowed(&self, axis: usize, count: u64) -> Self {
        assert!(
            count >= 1 && count <= self.shape[axis],
            "narrowed beyond its shape"
        );
        let mut narrowed = *self;
        narrowed.shape[axis] = count;
        narrowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_layouts_are_refused_without_overflow() {
        let size = Err(LayoutError::Size);
        assert_eq!(Layout::<u8>::new(&[], &[]), Err(LayoutError::Rank));
        assert_eq!(Layout::<u8>::new(&[1; 7], &[1; 7]), Err(LayoutError::Rank));
        assert_eq!(Layout::<u8>::new(&[1, 1], &[1]), Err(LayoutError::Rank));
        assert_eq!(
            Layout::<u8>::new(&[3, 0], &[1, 1]),
            Err(LayoutError::Empty { axis: 1 })
        );
        assert_eq!(
            Layout::<f32>::new(&[3], &[6]),
            Err(LayoutError::Stride { axis: 0 })
        );
        assert_eq!(Layout::<u8>::new(&[3], &[u64::MAX]), size);
        assert_eq!(
            Layout::<u8>::new(&[2, 2], &[u64::MAX / 2, u64::MAX / 2]),
            size
        );
        assert_eq!(Layout::<u8>::new(&[u32::MAX; 6], &[0; 6]), size);
        assert_eq!(Layout::<u8>::dense(&[u32::MAX; 6]), size);
    }

    #[test]
    fn a_stride_that_is_never_taken_does_not_matter() {
        let layout = Layout::<u8>::new(&[1, 5], &[u64::MAX, 2]).unwrap();
        assert_eq!(layout.span_bytes(), 9);
        assert_eq!(layout.strides()[0], 0);
    }

    #[test]
    fn merging_keeps_every_element_in_order() {
        let layout = Layout::<u8>::new(&[2, 3, 4, 1, 1, 1], &[100, 8, 2, 0, 0, 0]).unwrap();
        assert!(!layout.can_merge(0));
        let merged = layout.merged(1);
        assert_eq!(merged.shape(), [2, 1, 12, 1, 1, 1]);
        assert_eq!(merged.strides(), [100, 0, 2, 0, 0, 0]);
    }
}
