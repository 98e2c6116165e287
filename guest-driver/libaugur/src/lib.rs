// SPDX-License-Identifier: MIT OR Apache-2.0
//! `libaugur`: the guest library for C, and for whoever calls C.
//!
//! `include/augur.h` documents every function and is the only contract; a test
//! compiles it and compares structures and names. Nothing is decided here:
//! pointers become references (`pointers`), errors become numbers with
//! a message (`error`), and `augur_client` does the rest. It must never
//! call the driver itself.
#![allow(
    clippy::missing_safety_doc,
    reason = "the contract is C's: pointers are what augur.h says they are"
)]

mod device;
mod error;
mod list;
mod pointers;
mod sharing;
mod timeline;
