// SPDX-License-Identifier: MIT OR Apache-2.0
//! dst = value.

use std::sync::atomic::AtomicBool;

use crate::blocks::{Blocks, block_elements, simplify};
use crate::{Element, KernelError, View, cancel};

/// Sets every element of `destination` to `value`. Any shape will do.
pub fn run<T: Element>(
    destination: View<T>,
    value: T,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let [destination] = simplify([destination]);
    let values = vec![value; block_elements::<T>()];
    for block in Blocks::new(destination.shape(), values.len()) {
        cancel::check(cancelled)?;
        destination.store(
            &block.start,
            block.rows,
            block.columns,
            &values[..block.elements()],
        );
    }
    Ok(())
}
