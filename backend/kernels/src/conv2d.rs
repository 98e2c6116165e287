// SPDX-License-Identifier: MIT OR Apache-2.0
//! dst(n,y,x,o) from src(n,y,x,i) and weights(ky,kx,i/groups,o):
//! cross-correlation of NHWC images.
//!
//! u8, with weights of i16: the sum of products wraps in i32; then, in this
//! order and all wrapping, its magnitude if `absolute`, plus `bias`, plus
//! half of 2^shift, an arithmetic shift right by `shift`; then it is clamped
//! to 0…255. f32: the sum, its magnitude if `absolute`, plus `bias`.
//!
//! One channel per group, which is what image filters are, is computed by
//! sliding over rows ([`depthwise`]); everything else as a product of
//! matrices ([`columns`]). Both use bounded private memory whatever the shapes.

mod arithmetic;
mod columns;
mod depthwise;
mod source;

use std::sync::atomic::AtomicBool;

use arithmetic::{Arithmetic, Bytes, Floats};

use crate::{Element, KernelError, Layout, ShapeError, View};

/// Bits that a sum may be shifted right by.
pub const MAX_SHIFT: u16 = 24;

/// Where the kernel is laid over the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Rows between two outputs, not zero.
    pub stride_y: u16,
    /// Columns between two outputs, not zero.
    pub stride_x: u16,
    /// Rows of padding above.
    pub pad_top: u16,
    /// Rows of padding below.
    pub pad_bottom: u16,
    /// Columns of padding on the left.
    pub pad_left: u16,
    /// Columns of padding on the right.
    pub pad_right: u16,
    /// Channel groups, not zero.
    pub groups: u16,
    /// Pad by repeating the edge, not with zeros.
    pub repeat_edge: bool,
}

/// What happens to a sum of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishU8 {
    /// Take the magnitude.
    pub absolute: bool,
    /// Added.
    pub bias: i32,
    /// Bits shifted right with rounding, at most [`MAX_SHIFT`].
    pub shift: u16,
}

/// What happens to a sum of floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FinishF32 {
    /// Take the magnitude.
    pub absolute: bool,
    /// Added.
    pub bias: f32,
}

/// Checks shapes and geometry.
pub fn check<S: Element, W: Element>(
    destination: &Layout<S>,
    source: &Layout<S>,
    weights: &Layout<W>,
    geometry: &Geometry,
) -> Result<(), ShapeError> {
    for rank in [destination.rank(), source.rank(), weights.rank()] {
        if rank != 4 {
            return Err(ShapeError::Rank { rank, needed: 4 });
        }
    }
    for (parameter, value) in [
        ("stride_y", geometry.stride_y),
        ("stride_x", geometry.stride_x),
        ("groups", geometry.groups),
    ] {
        if value == 0 {
            return Err(ShapeError::Parameter { parameter });
        }
    }
    // Lengths are below 2³² and the other numbers below 2¹⁶: sums and products
    // of two of them fit into 64 bits.
    let [images, height, width, outputs, ..] = destination.shape();
    let [source_images, source_height, source_width, inputs, ..] = source.shape();
    let [kernel_height, kernel_width, depth, kernel_outputs, ..] = weights.shape();
    let groups = u64::from(geometry.groups);
    if kernel_outputs != outputs || depth * groups != inputs || !outputs.is_multiple_of(groups) {
        return Err(ShapeError::Groups);
    }
    if images != source_images {
        return Err(ShapeError::Extent {
            dimension: "number of images",
        });
    }
    let extent = |length: u64, before: u16, after: u16, kernel: u64, stride: u16| {
        let padded = length + u64::from(before) + u64::from(after);
        padded
            .checked_sub(kernel)
            .map(|room| room / u64::from(stride) + 1)
    };
    let Geometry {
        pad_top,
        pad_bottom,
        pad_left,
        pad_right,
        stride_y,
        stride_x,
        ..
    } = *geometry;
    if extent(source_height, pad_top, pad_bottom, kernel_height, stride_y) != Some(height) {
        return Err(ShapeError::Extent {
            dimension: "height",
        });
    }
    if extent(source_width, pad_left, pad_right, kernel_width, stride_x) != Some(width) {
        return Err(ShapeError::Extent { dimension: "width" });
    }
    Ok(())
}

/// Checks shapes, geometry and the shift of a convolution of bytes.
pub fn check_u8(
    destination: &Layout<u8>,
    source: &Layout<u8>,
    weights: &Layout<i16>,
    geometry: &Geometry,
    finish: &FinishU8,
) -> Result<(), ShapeError> {
    if finish.shift > MAX_SHIFT {
        return Err(ShapeError::Parameter { parameter: "shift" });
    }
    check(destination, source, weights, geometry)
}

/// Convolution of bytes: exact, as the module's head defines it.
pub fn run_u8(
    destination: View<u8>,
    source: View<u8>,
    weights: View<i16>,
    geometry: &Geometry,
    finish: &FinishU8,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check_u8(
        destination.layout(),
        source.layout(),
        weights.layout(),
        geometry,
        finish,
    )?;
    run(
        &Bytes(*finish),
        destination,
        source,
        weights,
        geometry,
        cancelled,
    )
}

/// Convolution of floats. Sums are taken in an unspecified order: the error
/// is at most (n + 2)·2⁻²⁴·(Σ|products| + |bias|), to first order, for n
/// products.
pub fn run_f32(
    destination: View<f32>,
    source: View<f32>,
    weights: View<f32>,
    geometry: &Geometry,
    finish: &FinishF32,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    check(
        destination.layout(),
        source.layout(),
        weights.layout(),
        geometry,
    )?;
    run(
        &Floats(*finish),
        destination,
        source,
        weights,
        geometry,
        cancelled,
    )
}

fn run<A: Arithmetic>(
    arithmetic: &A,
    destination: View<A::Value>,
    source: View<A::Value>,
    weights: View<A::Weight>,
    geometry: &Geometry,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    match depthwise::Plan::new(&destination, &source, &weights, geometry) {
        Some(plan) => plan.run(
            arithmetic,
            destination,
            source,
            weights,
            geometry,
            cancelled,
        ),
        None => columns::run(
            arithmetic,
            destination,
            source,
            weights,
            geometry,
            cancelled,
        ),
    }
}
