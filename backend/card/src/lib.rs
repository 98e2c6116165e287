// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Augur card: contexts, objects and windows as the driver sees them,
//! command lists, DMA channels, compute engines, events, reset.
//!
//! A transport makes a [`Card`], gives it guest memory ([`GuestMemory`]) and a
//! way to reach the driver ([`Host`], [`ListDone`]), and passes on what stands
//! in its queues. Everything that comes from the guest is checked here, once,
//! and becomes a type that cannot be wrong.
//!
//! This crate must never know of virtqueues, vhost, sockets or processes.

mod background;
mod batch;
mod cancel;
mod card;
mod command;
mod compute;
mod config;
mod control;
mod copy;
mod counters;
mod cut;
mod device_memory;
mod dispatch;
mod divide;
mod dma;
mod ends;
mod events;
mod footprint;
mod guest;
mod header;
mod hints;
mod host;
mod kernel;
mod list;
pub mod log_limit;
mod moves;
mod operand;
mod operation;
mod placement;
mod power;
mod prediction;
mod program;
mod residence;
mod schedule;
mod shared;
mod status;
mod submit;
mod thread_time;
mod transfer;
mod usage;

pub use augur_predictor::ModelError;
pub use augur_scheduler::policy::{Policy, UnknownPolicy};
pub use card::{Card, CardError};
pub use config::{CardConfig, ConfigError, DmaOrder, PredictorMode, UnknownPredictorMode};
pub use guest::{GuestAccess, GuestMemory};
pub use host::{Host, ListDone};
pub use power::PowerConfig;
pub use thread_time::thread_time;
