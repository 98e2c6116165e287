// SPDX-License-Identifier: MIT OR Apache-2.0
//! The benchmarks of `augur bench`, one module each.  They run the card's own
//! crates and report, [`card`], [`ahead`], [`network`] and [`tracking`] in real time and in a guest, the others on a
//! virtual clock; what they measure knows nothing of them.

pub mod ahead;
pub mod card;
pub mod divide;
mod driver;
mod job;
pub mod metg;
pub mod network;
pub mod peers;
pub mod place;
pub mod predict;
pub mod priority;
pub mod schedule;
pub mod tracking;
