// SPDX-License-Identifier: MIT OR Apache-2.0
//! A block device beside the card: how another device outside QEMU moves the
//! same bytes into the same guest.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use augur_client::units::Bytes;
use serde::Serialize;

use crate::samples::{Quantiles, timed};

/// Sizes from a page on, each four times the one before.
const SMALLEST: usize = 4 << 10;
/// The largest size.
const LARGEST: usize = 4 << 20;
/// Bytes that are read for each size.
const MOVED: usize = 256 << 20;
/// Most reads of a size.
const MOST: usize = 500;
/// Reading past the page cache wants buffers that start at a block.
const BLOCK: usize = 4 << 10;

/// Reads of one size.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Bytes of a read.
    pub bytes: u64,
    /// Guest wall time of a read.
    pub guest: Quantiles,
    /// Bytes over the median guest time, per second.
    pub guest_bytes_per_second: u64,
}

/// Reads the start of a block device again and again, past the page cache.
///
/// # Errors
/// The device cannot be opened or read, or is smaller than the largest read.
pub fn measure(device: &Path) -> io::Result<Vec<Figure>> {
    let device = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(device)?;
    let mut memory = vec![1_u8; LARGEST + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    let aligned = memory.get_mut(start..).unwrap_or_default();
    let sizes = std::iter::successors(Some(SMALLEST), |size| Some(size * 4));
    sizes
        .take_while(|&size| size <= LARGEST)
        .map(|size| read(&device, aligned.get_mut(..size).unwrap_or_default()))
        .collect()
}

fn read(device: &File, into: &mut [u8]) -> io::Result<Figure> {
    let mut guest = Vec::new();
    for _ in 0..(MOVED / into.len().max(1)).clamp(1, MOST) {
        guest.push(timed(|| device.read_exact_at(into, 0))?.1);
    }
    let guest = Quantiles::of(guest);
    let bytes = into.len() as u64;
    Ok(Figure {
        bytes,
        guest,
        guest_bytes_per_second: (bytes * 1_000_000_000)
            .checked_div(guest.median_ns)
            .unwrap_or(0),
    })
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "peer, read {:>8}       median {:>9.1} us   p99 {:>9.1} us   {:>9}/s",
            Bytes(self.bytes).to_string(),
            self.guest.median_ns as f64 * 1e-3,
            self.guest.p99_ns as f64 * 1e-3,
            Bytes(self.guest_bytes_per_second).to_string()
        )
    }
}
