// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of the card's process, without QEMU: a vhost-user front end
//! with its own guest memory and a driver's side of the virtqueues drives the
//! real daemon over a real socket.
//!
//! `life` is what a good driver does, `stops` what happens to it when the
//! virtual machine stops or reboots, `watch` how few kicks it needs. `ring`, `card`, `lists` and `socket` are hostile;
//! every test there ends with a good driver being served.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod fixture;

mod card;
mod life;
mod lists;
mod process;
mod ring;
mod socket;
mod stops;
mod watch;
