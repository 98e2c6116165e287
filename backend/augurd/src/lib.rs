// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's process: carries the card of `augur-card` over vhost-user to
//! QEMU.
//!
//! In the order of a request's way: `socket` waits for QEMU, `relay` passes its messages on
//! and has `ring_addresses` look at them first, `transport`
//! answers them and starts and stops the `ring`s, `serve` is woken by a
//! guest's kick (or by a `doorbell`, or looks for itself: `lookout`) and takes a `chain` from a
//! `queue`, `requests` hands its bytes to the card and writes the answer; `front_end` asks QEMU
//! for what only QEMU can do.
//!
//! Nothing here knows what a request means; nothing below this crate knows
//! vhost, virtio or a socket.

pub mod arguments;
pub mod daemon;
pub mod learned;
#[cfg(feature = "misbehave")]
pub mod misbehaviour;
pub mod socket;
pub mod trace_socket;

mod chain;
mod doorbell;
mod front_end;
mod lookout;
mod queue;
mod relay;
mod requests;
mod ring;
mod ring_addresses;
mod serve;
mod transport;

pub use daemon::{Daemon, DaemonError};
