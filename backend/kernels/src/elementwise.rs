// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic on elements of the same index: add, multiply, relu, scale.
//!
//! A destination may be one of the sources, element for element: a block is
//! read before it is written.

use std::sync::atomic::AtomicBool;

use pulp::Arch;

use crate::blocks::{Blocks, block_elements, simplify};
use crate::{Element, KernelError, Layout, ShapeError, View, cancel};

/// Checks the shapes of a kernel with one source.
pub fn check_unary<T: Element>(
    destination: &Layout<T>,
    source: &Layout<T>,
) -> Result<(), ShapeError> {
    if !destination.same_shape(source) {
        return Err(ShapeError::Mismatch);
    }
    Ok(())
}

/// Checks the shapes of a kernel with two sources.
pub fn check_binary<T: Element>(
    destination: &Layout<T>,
    a: &Layout<T>,
    b: &Layout<T>,
) -> Result<(), ShapeError> {
    check_unary(destination, a)?;
    check_unary(destination, b)
}

/// dst = a + b, at most 255.
pub fn add_u8(
    destination: View<u8>,
    a: View<u8>,
    b: View<u8>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    binary(destination, a, b, cancelled, u8::saturating_add)
}

/// dst = a + b.
pub fn add_f32(
    destination: View<f32>,
    a: View<f32>,
    b: View<f32>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    binary(destination, a, b, cancelled, |a, b| a + b)
}

/// dst = a · b, at most 255.
pub fn multiply_u8(
    destination: View<u8>,
    a: View<u8>,
    b: View<u8>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    binary(destination, a, b, cancelled, |a, b| {
        (u16::from(a) * u16::from(b)).min(255) as u8
    })
}

/// dst = a · b.
pub fn multiply_f32(
    destination: View<f32>,
    a: View<f32>,
    b: View<f32>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    binary(destination, a, b, cancelled, |a, b| a * b)
}

/// dst = max(a, 0); a NaN stays one.
pub fn relu_f32(
    destination: View<f32>,
    source: View<f32>,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    unary(destination, source, cancelled, |a| {
        if a < 0.0 { 0.0 } else { a }
    })
}

/// dst = a · scale + bias, rounded after each of the two.
pub fn scale_f32(
    destination: View<f32>,
    source: View<f32>,
    scale: f32,
    bias: f32,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    unary(destination, source, cancelled, |a| a * scale + bias)
}

/// As many as a block has, or the view if it is smaller.
fn buffer_elements<T: Element>(view: &View<T>) -> usize {
    let elements = usize::try_from(view.layout().elements());
    block_elements::<T>().min(elements.unwrap_or(usize::MAX))
}

/// Where everything is adjacent nothing goes through buffers, which a small command
/// would wait for longer than for its arithmetic.
fn dense<T: Element, const N: usize>(
    destination: View<T>,
    sources: [View<T>; N],
    cancelled: &AtomicBool,
    function: impl Fn([T; N]) -> T + Copy,
) -> Result<(), KernelError> {
    let count = destination.layout().elements();
    let step = block_elements::<T>() as u64;
    let mut start = 0;
    while start < count {
        cancel::check(cancelled)?;
        let end = count.min(start + step);
        Arch::new().dispatch(
            #[inline(always)]
            || destination.fill_from(sources.each_ref(), start..end, function),
        );
        start = end;
    }
    Ok(())
}

fn unary<T: Element>(
    destination: View<T>,
    source: View<T>,
    cancelled: &AtomicBool,
    function: impl Fn(T) -> T + Copy,
) -> Result<(), KernelError> {
    check_unary(destination.layout(), source.layout())?;
    if destination.layout().is_dense() && source.layout().is_dense() {
        return dense(destination, [source], cancelled, |[a]| function(a));
    }
    let [destination, source] = simplify([destination, source]);
    let mut buffer = vec![T::default(); buffer_elements(&destination)];
    for block in Blocks::new(destination.shape(), buffer.len()) {
        cancel::check(cancelled)?;
        let values = &mut buffer[..block.elements()];
        source.load(&block.start, block.rows, block.columns, values);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                values
                    .iter_mut()
                    .for_each(|value| *value = function(*value))
            },
        );
        destination.store(&block.start, block.rows, block.columns, values);
    }
    Ok(())
}

fn binary<T: Element>(
    destination: View<T>,
    a: View<T>,
    b: View<T>,
    cancelled: &AtomicBool,
    function: impl Fn(T, T) -> T + Copy,
) -> Result<(), KernelError> {
    check_binary(destination.layout(), a.layout(), b.layout())?;
    let all = [destination, a, b];
    if all.iter().all(|view| view.layout().is_dense()) {
        return dense(destination, [a, b], cancelled, |[a, b]| function(a, b));
    }
    let [destination, a, b] = simplify(all);
    let elements = buffer_elements(&destination);
    let mut buffers = [vec![T::default(); elements], vec![T::default(); elements]];
    for block in Blocks::new(destination.shape(), elements) {
        cancel::check(cancelled)?;
        let [left, right] = &mut buffers;
        let (left, right) = (
            &mut left[..block.elements()],
            &mut right[..block.elements()],
        );
        a.load(&block.start, block.rows, block.columns, left);
        b.load(&block.start, block.rows, block.columns, right);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (left, right) in left.iter_mut().zip(right.iter()) {
                    *left = function(*left, *right);
                }
            },
        );
        destination.store(&block.start, block.rows, block.columns, left);
    }
    Ok(())
}
