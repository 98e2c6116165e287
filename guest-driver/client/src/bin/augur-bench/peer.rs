// SPDX-License-Identifier: MIT OR Apache-2.0
//! A block device beside the card: how another device outside QEMU moves the
//! same bytes into the same guest, by turns with the card.

use std::error::Error;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use augur_client::units::Bytes;
use augur_client::{CommandList, Device, Object};
use serde::Serialize;

use crate::memory::{Memory, Place};
use crate::samples::{Quantiles, timed};

/// Sizes from a page on, each four times the one before.
const SMALLEST: usize = 4 << 10;
/// The largest size.
const LARGEST: usize = 4 << 20;
/// Bytes that are read for each size, and moved from the card, if that is not too often.
const MOVED: usize = 256 << 20;
/// Most reads of a size, and transfers, but for the least of a turn.
const MOST: usize = 500;
/// Sizes from here on are moved in memory of both kinds.
const LARGE: usize = 1 << 20;

/// Times that the two devices change places for each size: what else goes on in the
/// machine meets both.
const TURNS: usize = 8;
/// Reads of a turn, and transfers, at least: the first ones after the other device's turn
/// take several times as long as those behind them, on either.
const EACH: usize = 24;

/// Reads of one size from the peer, and transfers of that size from the card.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Bytes of a read, and of a transfer.
    pub bytes: u64,
    /// Whether the memory of both lies in huge pages; otherwise it begins at the first
    /// page of what `malloc` gives, for reading past the page cache wants whole blocks.
    pub in_huge_pages: bool,
    /// Guest wall time of a read.
    pub guest: Quantiles,
    /// Bytes over the median guest time, per second.
    pub guest_bytes_per_second: u64,
    /// Guest wall time of a transfer, a list with nothing else, into the same memory.
    pub card: Quantiles,
    /// Bytes over its median, per second.
    pub card_bytes_per_second: u64,
}

/// Reads the start of a block device again and again, past the page cache, and by turns
/// with that the start of an object of the card.
///
/// # Errors
/// The device cannot be opened or read, or is smaller than the largest read; the card
/// failed.
pub fn measure(peer: &Path, card: &Device) -> Result<Vec<Figure>, Box<dyn Error>> {
    let peer = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(peer)
        .map_err(|error| format!("{}: {error}", peer.display()))?;
    let object = card.create_object(LARGEST as u64)?;
    let mut memory = Memory::new(LARGEST);
    let mut figures = Vec::new();
    let sizes = std::iter::successors(Some(SMALLEST), |size| Some(size * 4));
    for size in sizes.take_while(|&size| size <= LARGEST) {
        for place in [Place::Huge, Place::Behind(0)] {
            if place == Place::Huge || size >= LARGE {
                figures.push(by_turns(&peer, card, &object, &mut memory, size, place)?);
            }
        }
    }
    Ok(figures)
}

fn by_turns(
    peer: &File,
    card: &Device,
    object: &Object,
    memory: &mut Memory,
    size: usize,
    place: Place,
) -> Result<Figure, Box<dyn Error>> {
    let into = memory.at(place, size);
    let bytes = into.len() as u64;
    let (mut reads, mut transfers) = (Vec::new(), Vec::new());
    let each = (MOVED / into.len().max(1))
        .min(MOST)
        .div_ceil(TURNS)
        .max(EACH);
    for _ in 0..TURNS {
        for _ in 0..each {
            reads.push(timed(|| peer.read_exact_at(into, 0))?.1);
        }
        for _ in 0..each {
            let mut list = CommandList::new();
            let lent = list.lend_mut(into)?;
            list.transfer_out(lent, 0, &object.byte_range(0, bytes)?)?;
            transfers.push(timed(|| card.run(&list))?.1);
        }
    }
    let (guest, card) = (Quantiles::of(reads), Quantiles::of(transfers));
    let per_second = |nanos: u64| (bytes * 1_000_000_000).checked_div(nanos).unwrap_or(0);
    Ok(Figure {
        bytes,
        in_huge_pages: place == Place::Huge,
        guest,
        guest_bytes_per_second: per_second(guest.median_ns),
        card,
        card_bytes_per_second: per_second(card.median_ns),
    })
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "peer, read {:>8} {:<5} median {:>9.1} us   p99 {:>9.1} us   {:>9}/s   by turns, the card {:>9.1} us",
            Bytes(self.bytes).to_string(),
            if self.in_huge_pages { "" } else { "small" },
            self.guest.median_ns as f64 * 1e-3,
            self.guest.p99_ns as f64 * 1e-3,
            Bytes(self.guest_bytes_per_second).to_string(),
            self.card.median_ns as f64 * 1e-3
        )
    }
}
