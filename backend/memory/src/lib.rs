// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device memory of the card as a state machine: frames, objects, the page
//! table, and the windows of the aperture.
//!
//! [`Manager`] decides; its owner moves bytes, talks to the driver and tells
//! the manager what has come of it. The card owns one with real memory behind
//! it, the benchmark one with none: both run this code.
//!
//! This crate must never touch a byte of device memory, start a thread, read a
//! clock (times are passed in) or know how the driver is reached.

mod class;
pub mod clock;
mod frames;
mod hash;
mod home;
mod lru;
mod manager;
mod page_table;
mod ranges;
mod replacement;
mod units;
mod window;

pub use class::{Class, Weights};
pub use clock::{Clock, SystemClock, VirtualClock};
pub use lru::Lru;
pub use manager::{
    Access, Action, Advice, Config, ConfigError, ContextReport, Counters, FaultAnswer,
    FillPriority, HomeCopy, HomePart, HomeRun, Manager, Mapped, MemoryError, NotMoved, Piece, Pin,
    PinError, Refused, RelocationId, Segment, WindowReport,
};
pub use replacement::Replacement;
pub use units::{
    ApertureOffset, ContextId, DeviceAddress, Frame, Frames, Nanos, ObjectId, PAGE_SHIFT,
    PageNumber, PhysicalOffset, Slot, WindowRef,
};
pub use window::WindowState;
