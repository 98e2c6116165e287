// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds QEMU, builds its command line, boots a guest, and talks to it over
//! QMP and to the agent inside it.
//!
//! It knows QEMU and processes. It does not know how a kernel, an initramfs
//! or a card process comes to be: it is given paths and sockets. That the
//! device behind a socket is an Augur card matters here only for its virtio
//! id and the number of its queues.

pub mod accelerator;
pub mod agent;
pub mod command_line;
mod error;
pub mod locate;
pub mod machine;
pub mod process;
pub mod qmp;
pub mod quote;
pub mod serial;
pub mod sockets;
pub mod terminal;

pub use accelerator::Accelerator;
pub use command_line::{Card, Configuration, Console};
pub use error::Error;
pub use locate::Qemu;
pub use machine::Machine;
