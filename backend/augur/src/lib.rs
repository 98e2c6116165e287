// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host command `augur` as a library, so that the tests that boot guests
//! build and boot them exactly as the command does.
//!
//! Each subcommand is one module below [`commands`]. Nothing outside
//! [`bench`](mod@bench) speaks to the card itself: `augurd` is started as a process, and the
//! guest is reached through QEMU.

pub mod bench;
pub mod build;
pub mod card_process;
pub mod commands;
pub mod debug;
pub mod exit;
pub mod guest;
pub mod output_file;
pub mod plan;
pub mod plot;
pub mod progress;
pub mod project;
pub mod recording;
pub mod report;
pub mod run_folder;
pub mod size;
pub mod trace;
