// SPDX-License-Identifier: MIT OR Apache-2.0
//! Orders the card's instructions on the regions of memory they touch.
//!
//! Command lists name strided ranges of tensors.  This crate finds which of
//! them truly conflict, keeps the graph of who waits for whom, chooses which
//! ready instruction an engine takes next, and adapts the granularity at which
//! it tracks memory to the way the memory is used.
//!
//! It is a library without threads, input or output: the caller hands it
//! checked instructions and the current time, takes work from it and tells it
//! what became of the work.  It must never know a transport, a file, or whose
//! clock it runs on; the same code runs in the card and in the benchmark.

pub mod analyser;
mod attributes;
pub mod bounds;
mod cells;
pub mod clock;
mod context;
mod diophantine;
pub mod division;
mod flying;
pub mod granularity;
pub mod graph;
mod grid;
mod grouping;
mod history;
mod levels;
pub mod list;
pub mod overlap;
pub mod placement;
pub mod policy;
mod pool;
pub mod profile;
mod readers;
mod ready;
mod recent;
pub mod region;
mod replay;
mod ring;
pub mod scheduler;
pub mod simulate;
pub mod sizes;
mod slots;
mod spaces;
pub mod totals;
mod tracker;
pub mod workload;
