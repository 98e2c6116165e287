// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of the card's parts as status codes of the wire.

use augur_abi::Status;
use augur_memory::MemoryError;

/// The status that tells of a memory error.
pub(crate) fn status_of(error: MemoryError) -> Status {
    match error {
        MemoryError::NoContext => Status::NoContext,
        MemoryError::ContextFailed => Status::ContextFailed,
        MemoryError::NoObject => Status::NoObject,
        MemoryError::NoMemory => Status::NoMemory,
        MemoryError::Busy => Status::Busy,
        MemoryError::BadSize => Status::Invalid,
    }
}
