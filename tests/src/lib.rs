// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the end-to-end tests share: a guest that boots with cards, and a
//! debugger's end of QEMU.
//!
//! The tests themselves are in `tests/tests`, one file for each side of the
//! contract. They reach the card as a user does, through a booted guest, and
//! know nothing of its insides.

// A test stops at the first surprise, and so does what only tests use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod debugger;
pub mod fixture;
pub mod guest_memory;
pub mod misbehaviour;

pub use fixture::{Builder, TestGuest};
pub use guest_memory::GuestMemory;
