// SPDX-License-Identifier: MIT OR Apache-2.0
//! Abandoning a kernel between two blocks.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::KernelError;

/// Returns [`KernelError::Cancelled`] when the flag is up. Relaxed: the flag
/// carries no data, and a block more or less makes no difference.
pub(crate) fn check(cancelled: &AtomicBool) -> Result<(), KernelError> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(KernelError::Cancelled);
    }
    Ok(())
}
