// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access traces: reading and writing the CSV format, importing others,
//! generating synthetic ones.
//!
//! A trace is a list of [`Record`]s in order of time, in a CSV file of
//! `time_ns,stream,op,offset,bytes`, plain or zstd-compressed. Nothing here
//! knows of the card or of a policy.

mod csv;
pub mod generate;
pub mod import;
mod lines;
mod output;
mod summary;

pub use csv::{Recorded, read};
pub use lines::ReadError;
pub use output::{Output, Totals};
pub use summary::Summary;

/// The first line of a trace.
const HEADER: &str = "time_ns,stream,op,offset,bytes";
/// log2 of the bytes of a page.
const PAGE_SHIFT: u32 = 12;
/// Offsets lie below this.
const ADDRESS_SPACE: u64 = 1 << 48;
/// Bytes of one access, at most.
const MAX_ACCESS: u64 = 1 << 30;

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since the start of the trace.
    pub time_ns: u64,
    /// Who made it: a thread, a queue, a session.
    pub stream: u32,
    /// Whether it wrote.
    pub write: bool,
    /// The first byte.
    pub offset: u64,
    /// How many bytes, at least one.
    pub bytes: u64,
}

impl Record {
    /// The 4 KiB pages that the access touches, in order.
    pub fn pages(&self) -> std::ops::RangeInclusive<u64> {
        let last = self.offset + (self.bytes.max(1) - 1);
        (self.offset >> PAGE_SHIFT)..=(last >> PAGE_SHIFT)
    }
}
