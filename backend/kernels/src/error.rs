// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a kernel does not run, or stopped.

use thiserror::Error;

/// Why a shape and strides are not a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// There are no dimensions, more than [`crate::MAX_RANK`], or not as many
    /// strides as dimensions.
    #[error("a layout has 1 to 6 dimensions with one stride each")]
    Rank,
    /// A dimension has no elements.
    #[error("dimension {axis} has no elements")]
    Empty {
        /// The dimension.
        axis: usize,
    },
    /// A stride is not a multiple of the element's size.
    #[error("the stride of dimension {axis} is not a multiple of the element's size")]
    Stride {
        /// The dimension.
        axis: usize,
    },
    /// The elements span more than an address space, or are more than can be
    /// counted.
    #[error("the layout is larger than an address space")]
    Size,
}

/// Why operands or parameters do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// Operands that must have one shape differ.
    #[error("the operands differ in shape")]
    Mismatch,
    /// An operand does not have the rank that the kernel works on.
    #[error("an operand has rank {rank}, the kernel needs {needed}")]
    Rank {
        /// Its rank.
        rank: usize,
        /// What the kernel needs.
        needed: usize,
    },
    /// A parameter is outside its range.
    #[error("{parameter} is out of its range")]
    Parameter {
        /// Name of the parameter.
        parameter: &'static str,
    },
    /// Channels cannot be divided into groups as the weights say.
    #[error("channels, groups and weights do not fit together")]
    Groups,
    /// The destination does not have the extent that follows from the source.
    #[error("the destination's {dimension} does not follow from the source")]
    Extent {
        /// Name of the dimension.
        dimension: &'static str,
    },
}

/// How a kernel ended when it did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KernelError {
    /// Nothing was written: the operands do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The kernel was cancelled; the destination is partly written.
    #[error("the kernel was cancelled")]
    Cancelled,
    /// An index is not that of a row; rows before it are written.
    #[error("index {index} at position {position} is not that of a row")]
    Index {
        /// Where it stands among the indices.
        position: u64,
        /// What was found there.
        index: i32,
    },
    /// A matrix is not positive definite; some of its columns are factors already.
    #[error("column {column} has no positive pivot")]
    NotPositive {
        /// The first column without.
        column: u64,
    },
    /// Nothing was written: source and destination of a copy overlap in a way
    /// that needs more private memory than [`crate::copy::MAX_STAGED_BYTES`].
    #[error("an overlapping copy of {bytes} bytes cannot be staged")]
    Staging {
        /// Bytes that would have to be staged.
        bytes: u64,
    },
}
