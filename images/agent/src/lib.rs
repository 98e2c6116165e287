// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host and the program in the guest say to each other.
//!
//! Both ends share one byte stream, a virtio-serial port named
//! [`PORT_NAME`]. It knows commands, their output and files; it knows
//! nothing of the card, of QEMU, or of what the commands do.
//!
//! The stream has no beginning: a guest that reboots starts to speak in the
//! middle of what its predecessor said. So the host opens a conversation with
//! [`Message::Hello`] and a fresh nonce, the guest answers with
//! [`Message::Ready`] and the same nonce, and both throw away everything
//! before these two (see [`frame::Reader::synchronize`]).

pub mod frame;
pub mod message;

pub use frame::{FrameError, Reader};
pub use message::{Message, MessageError, Nonce};

/// The name of the virtio-serial port, which both ends look for.
pub const PORT_NAME: &str = "augur.agent";

/// The largest payload of one frame, in bytes; longer output is cut up.
pub const LARGEST_PAYLOAD: usize = 64 * 1024;
