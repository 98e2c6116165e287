// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the compute engines of the card execute: arithmetic on strided views
//! of device memory, in place, one thread per kernel.
//!
//! A kernel is a module with a `check`, which validates shapes and parameters
//! without touching memory and without arithmetic that can overflow, and one
//! function per element type that checks again, then computes. Each of them
//! looks at a cancellation flag between blocks of bounded work, so that a huge
//! command can be abandoned.
//!
//! Device memory may change at any moment (a guest can write it), so it is
//! reached only by [`View`], which copies blocks of elements to and from
//! private memory: nothing found in device memory decides which address is
//! touched, save the indices of [`rows`], which are loaded once and checked.
//! What a kernel computes from memory that changes meanwhile is unspecified;
//! that it stays inside its views is not.
//!
//! A destination must not overlap itself, and may overlap a source only for
//! [`copy`] and, if both are the same elements in the same order, for
//! [`elementwise`] and [`normalize`]. Otherwise the values in the destination are unspecified.
//!
//! This crate must never know of commands, queues, contexts, windows or
//! threads: it has memory, shapes and numbers.

mod blocks;
mod cancel;
mod element;
mod error;
mod exponential;
mod integers;
mod lanes;
mod layout;
mod product;
mod view;

pub mod cholesky;
pub mod conv2d;
pub mod copy;
pub mod elementwise;
pub mod fill;
pub mod matmul;
pub mod normalize;
pub mod reduce;
pub mod resample;
pub mod rows;
pub mod triangular;

pub use element::{Bf16, Element};
pub use error::{KernelError, LayoutError, ShapeError};
pub use layout::{Layout, MAX_RANK};
pub use view::View;
