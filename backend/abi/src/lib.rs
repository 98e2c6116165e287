// SPDX-License-Identifier: MIT OR Apache-2.0
//! The wire format between the Augur card and its driver: the one source of
//! truth for every layout, command, event and status code.
//!
//! The C header (`guest-driver/include/augur_card_abi.h`) and the tables of
//! `docs/datasheet.md` are generated from the declarations here (see
//! [`describe`]); a test fails when they differ. All integers are
//! little-endian; every structure is a multiple of eight bytes with explicit
//! padding that must be zero.
//!
//! This crate must never know how the structures travel (virtio, sockets,
//! memory maps) nor what the card does with them.
#![no_std]

#[cfg(not(target_endian = "little"))]
compile_error!("the wire format is little-endian and read in place");

#[macro_use]
mod declare;

pub mod command;
pub mod config;
pub mod control;
pub mod describe;
pub mod event;
pub mod header;
pub mod predict;
pub mod status;
pub mod submit;
pub mod touch;

pub use command::{
    CommandHeader, Conv2dParams, DataType, ElementwiseParams, FillParams, MatmulParams, Opcode,
    Operand, ResampleParams, TransferParams,
};
pub use config::Config;
pub use event::{Event, EventKind};
pub use header::{CardState, MapHeader};
pub use status::Status;

/// The version of this wire format. The major part changes when an existing
/// field changes meaning; the minor part when something is added.
pub const ABI_MAJOR: u16 = 1;
/// See [`ABI_MAJOR`].
pub const ABI_MINOR: u16 = 2;

/// Bytes of a frame, and of the guest's pages.
pub const PAGE_BYTES: u64 = 4096;
