// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predicts which pages a guest touches next, and learns from what it did.
//!
//! A pure library: observations and times go in, pages to map ahead come out.
//! It must never do I/O, start a thread, read a clock, or know how a page is
//! mapped or how the driver is reached. All state has a configured bound.

pub mod baseline;
mod decision;
mod evidence;
mod expert;
mod history;
mod label;
mod mixer;
mod observation;
mod predictor;
mod proposal;
mod table;

pub use decision::Costs;
pub use observation::{Observation, Origin, Prefetcher, Residency, Stream};
pub use predictor::{Config, Mode, Predictor};
