// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predicts which pages a guest touches next, and learns from what it did.
//!
//! A pure library: observations and times go in, pages to map ahead come out.
//! It must never do I/O, start a thread, read a clock, or know how a page is
//! mapped or how the driver is reached. All state has a configured bound.

mod bandit;
pub mod baseline;
mod candidate;
mod config;
mod decision;
mod depth;
mod duration;
mod evidence;
mod expert;
mod features;
mod ghost;
mod history;
mod key;
mod label;
mod learner;
mod mixer;
mod model;
mod network;
mod observation;
mod predictor;
mod proposal;
mod record;
mod region;
mod returns;
mod scorer;
mod table;

pub use config::{Config, Mode};
pub use decision::Costs;
pub use duration::Durations;
pub use learner::Learner;
pub use model::{Model, ModelError, ModelInfo};
pub use network::{Lesson, Network, Trainer, TrainingError};
pub use observation::{Observation, Origin, Prefetcher, Presence, Residency, Stream};
pub use predictor::Predictor;
pub use region::Region;
pub use returns::Returns;
