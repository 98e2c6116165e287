// SPDX-License-Identifier: MIT OR Apache-2.0
//! Submissions: command lists with their transfers, one descriptor chain each.
//!
//! Readable part: a [`SubmitHeader`], `list_bytes` of commands
//! ([`crate::command`]), then `transfer_count` [`Transfer`]s. Writable part: a
//! [`SubmitStatus`]. The chain is used when the list has ended.

/// Readable bytes of one submission.
pub const MAX_SUBMIT_BYTES: u32 = 1 << 20;
/// Bytes of one transfer.
pub const MAX_TRANSFER_BYTES: u64 = 1 << 30;
/// Segments in one page of a segment table.
pub const SEGMENTS_PER_TABLE_PAGE: usize = 255;

wire_structures! {
    /// Start of a submission.
    pub struct SubmitHeader("augur_submit_header") {
        /// Context id.
        pub context: u32,
        /// Zero.
        pub flags: u32,
        /// Bytes of the command list that follows, a multiple of 8.
        pub list_bytes: u32,
        /// Commands in the list.
        pub command_count: u32,
        /// Transfers behind the list.
        pub transfer_count: u32,
        /// Number that the driver gives the list for LIST_CANCEL; any.
        pub number: u32,
    }

    /// Guest memory that a transfer command reads or writes.
    pub struct Transfer("augur_transfer") {
        /// Guest address of the first page of the segment table; a multiple of AUGUR_PAGE_BYTES.
        pub segment_table: u64,
        /// Bytes that the segments cover together, at most AUGUR_MAX_TRANSFER_BYTES.
        pub bytes: u64,
    }

    /// A run of guest memory.
    pub struct Segment("augur_segment") {
        /// Guest address, any alignment.
        pub address: u64,
        /// Bytes, not zero.
        pub bytes: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Start of a page of a segment table; `count` entries of struct
    /// augur_segment follow. The card copies a page before it checks it.
    pub struct SegmentTablePage("augur_segment_table_page") {
        /// Guest address of the next page; 0 on the last.
        pub next: u64,
        /// Segments in this page, 1 to AUGUR_SEGMENTS_PER_TABLE_PAGE.
        pub count: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// How a command list ended.
    pub struct SubmitStatus("augur_submit_status") {
        /// AUGUR_STATUS_*.
        pub status: u32,
        /// Index of the first command that failed or was not executed; the number of commands when there is none.
        pub failed_command: u32,
        /// Card clock when the first command started, nanoseconds.
        pub started_ns: u64,
        /// Card clock when the last command ended, nanoseconds.
        pub finished_ns: u64,
    }
}
