// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building what a guest is made of, each part from a recipe below `images/`
//! or from the sources, and again only when an input changes.
//!
//! Nothing here boots anything.

pub mod cache;
pub mod cpio;
pub mod driver;
pub mod initramfs;
pub mod peer;
pub mod programs;
pub mod task_systems;
pub mod tool_root;
