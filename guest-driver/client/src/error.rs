// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can go wrong between a program and the card, each with a
//! message that says what to do.

use std::io;
use std::path::PathBuf;

use augur_abi::Status;

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no accelerator device with Augur's driver.
    #[error(
        "no Augur card found below /dev/accel: is augur.ko loaded and the card on QEMU's command line?"
    )]
    NoCard,

    /// The device file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The device file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// The device file belongs to another driver.
    #[error("{path} is not an Augur card: its driver is '{driver}'")]
    OtherDriver {
        /// The device file.
        path: PathBuf,
        /// Name that the driver gives itself.
        driver: String,
    },

    /// The driver speaks another version of the wire format.
    #[error(
        "the card's wire format is version {found}, this program speaks {expected}: build both from the same tree"
    )]
    Version {
        /// Major version of the driver and card.
        found: u16,
        /// Major version of this program.
        expected: u16,
    },

    /// The kernel refused an ioctl.
    #[error("{request} failed: {source}")]
    Kernel {
        /// Name of the ioctl.
        request: &'static str,
        /// Why.
        source: io::Error,
    },

    /// The card cannot use a model; the one before it stays.
    #[error("the card refused the model: {reason}")]
    Model {
        /// What is wrong with it.
        reason: String,
    },

    /// The kernel refused to map an object.
    #[error("mapping {bytes} bytes of an object failed: {source}")]
    Map {
        /// Bytes wanted.
        bytes: usize,
        /// Why.
        source: io::Error,
    },

    /// What futures need cannot be made.
    #[error("futures need a descriptor and a thread: {0}")]
    Futures(io::Error),

    /// Device memory, or a table of the card, is exhausted.
    #[error(
        "{request}: the card's memory is exhausted; close other programs (see augur-smi) or give the card more memory"
    )]
    NoMemory {
        /// Name of the ioctl.
        request: &'static str,
    },

    /// The card was lost: its process is gone or it cannot go on.
    #[error(
        "{request}: the card is lost; nothing will be answered until the virtual machine starts again"
    )]
    CardLost {
        /// Name of the ioctl.
        request: &'static str,
    },

    /// A wait ended before the command list did.
    #[error("the command list has not ended within the time allowed")]
    TimedOut,

    /// The card refused a command list or failed while executing it.
    #[error("command {command} of the list failed: {}", describe(*.status))]
    ListFailed {
        /// How it ended.
        status: Status,
        /// Index of the command; the number of commands when no single one failed.
        command: u32,
    },

    /// The driver answered with a status that this program does not know.
    #[error("the card answered with the unknown status {0}")]
    UnknownStatus(u32),

    /// A range reaches outside the object or the mapping.
    #[error("bytes {offset}..{offset}+{bytes} reach outside the {available} bytes there are")]
    OutOfRange {
        /// First byte.
        offset: u64,
        /// Bytes.
        bytes: u64,
        /// Bytes of the object or mapping.
        available: u64,
    },

    /// A tensor view or a command's operands do not fit together.
    #[error("{0}")]
    Shape(String),

    /// A command list outgrew what the card takes at once.
    #[error("the command list needs {needed} bytes, the card takes {limit} at once: split it")]
    ListTooLong {
        /// Bytes of the list with its transfers.
        needed: u64,
        /// Bytes that the card takes.
        limit: u64,
    },
}

/// What a status means to somebody who wrote the command list.
fn describe(status: Status) -> &'static str {
    match status {
        Status::Ok => "no error",
        Status::Invalid => "malformed command (size, opcode, parameter or padding)",
        Status::NoHello => "the driver has not greeted the card",
        Status::NoContext => "the context does not exist any more",
        Status::NoObject => "a device address does not belong to an object of this context",
        Status::NoMemory => "the card's memory or a table is exhausted",
        Status::BadAddress => "a transfer reaches outside the guest's memory",
        Status::BadOperand => {
            "an operand reaches outside its object, overlaps wrongly, or shapes do not fit together"
        }
        Status::ContextFailed => "the context has failed; open the device again",
        Status::Cancelled => "cancelled because the context ended",
        Status::DeviceError => "the card could not do it; its log on the host says why",
        Status::Busy => "too much is in flight; try again when something has completed",
        Status::Version => "driver and card speak different versions",
        Status::DependencyFailed => "a command of another list, which it depends on, failed",
    }
}

impl Error {
    /// Gives an ioctl's errno its meaning.
    pub(crate) fn from_kernel(request: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EIO | libc::ENODEV) => Error::CardLost { request },
            Some(libc::ENOMEM | libc::ENOSPC) => Error::NoMemory { request },
            Some(libc::ETIME | libc::ETIMEDOUT) => Error::TimedOut,
            _ => Error::Kernel { request, source },
        }
    }

    /// Whether the card asks to be asked again.
    pub fn is_busy(&self) -> bool {
        self.raw_os_error() == Some(libc::EBUSY)
    }

    /// The errno behind the error, if the kernel gave one that has no variant
    /// of its own.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Error::Open { source, .. }
            | Error::Kernel { source, .. }
            | Error::Map { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
