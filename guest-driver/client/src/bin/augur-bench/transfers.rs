// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transfers each way, by size.

use std::fmt;

use augur_client::units::Bytes;
use augur_client::{CommandList, Device, Error, Object};
use serde::Serialize;

use crate::memory::{Memory, Place};
use crate::samples::{Quantiles, timed};

/// Sizes from a page on; the largest is an argument.
const SMALLEST: u64 = 4 << 10;
/// Bytes that are moved for each size, at least once.
const MOVED: u64 = 256 << 20;
/// Most transfers of a size.
const MOST: u64 = 500;
/// Sizes from here on are measured on bytes that no cache holds, too, and several in a list.
const LARGE: u64 = 1 << 20;
/// Where memory of the C library's `malloc` begins behind a page when it is large.
const ALLOCATED: u64 = 16;
/// Transfers of a list of several.
const SEVERAL: u64 = 16;

/// What is moved from where to where.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kind {
    /// `to card` or `from card`.
    pub direction: &'static str,
    /// Bytes of a transfer.
    pub bytes: u64,
    /// Each transfer moves the bytes behind those of the one before, through all of
    /// the largest size; otherwise the same bytes again and again, which small ones
    /// find in caches.
    pub walks: bool,
    /// Transfers of a list: with one, the card rests while the program gets the next ready.
    pub in_a_list: u64,
    /// Where the program's memory begins, in bytes behind the start of a page: zero for
    /// memory in huge pages, otherwise it is where `malloc` has it.
    pub behind_a_page: u64,
}

/// Transfers of one kind.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Which.
    #[serde(flatten)]
    pub kind: Kind,
    /// Guest wall time of submitting a list and waiting.
    pub guest: Quantiles,
    /// By the card's clock, from the first command's start to the last one's end.
    pub card: Quantiles,
    /// Bytes of a list over the median guest time, per second.
    pub guest_bytes_per_second: u64,
    /// Bytes of a list over the median card time, per second.
    pub card_bytes_per_second: u64,
}

/// Measures sizes from a page to `largest`, each four times the one before.
///
/// # Errors
/// The card failed.
pub fn measure(device: &Device, largest: u64) -> Result<Vec<Figure>, Error> {
    let largest = largest.max(SMALLEST);
    let object = device.create_object(largest)?;
    let mut memory = Memory::new(largest as usize);
    let mut figures = Vec::new();
    let sizes = std::iter::successors(Some(SMALLEST), |size| Some(size * 4));
    for bytes in sizes.take_while(|&bytes| bytes <= largest) {
        for (in_a_list, walks, behind_a_page) in [
            (1, false, 0),
            (1, false, ALLOCATED),
            (1, true, 0),
            (SEVERAL, false, 0),
            (SEVERAL, true, 0),
        ] {
            let special = walks || in_a_list > 1 || behind_a_page > 0;
            if special && (bytes < LARGE || bytes * in_a_list * 2 > largest) {
                continue;
            }
            for direction in ["to card", "from card"] {
                let kind = Kind {
                    direction,
                    bytes,
                    walks,
                    in_a_list,
                    behind_a_page,
                };
                let place = match behind_a_page {
                    0 => Place::Huge,
                    behind => Place::Behind(behind as usize),
                };
                let memory = memory.at(place, largest as usize);
                figures.push(transfers(device, &object, memory, kind)?);
            }
        }
    }
    Ok(figures)
}

/// Transfers of one kind between `object` and `memory`, which is as large.
fn transfers(
    device: &Device,
    object: &Object,
    memory: &mut [u8],
    kind: Kind,
) -> Result<Figure, Error> {
    let Kind {
        direction,
        bytes,
        walks,
        in_a_list,
        ..
    } = kind;
    let places = if walks { object.bytes() / bytes } else { 1 };
    let (mut guest, mut in_card) = (Vec::new(), Vec::new());
    for turn in 0..(MOVED / bytes / in_a_list).clamp(1, MOST) {
        let first = turn * in_a_list % places * bytes;
        let lent = if walks { bytes * in_a_list } else { bytes };
        let lent = &mut memory[first as usize..][..lent as usize];
        let mut list = CommandList::new();
        let offsets = (0..in_a_list).map(|turn| if walks { turn * bytes } else { 0 });
        if direction == "to card" {
            let lent = list.lend(lent)?;
            for offset in offsets {
                list.transfer_in(&object.byte_range(first + offset, bytes)?, lent, offset)?;
            }
        } else {
            let lent = list.lend_mut(lent)?;
            for offset in offsets {
                list.transfer_out(lent, offset, &object.byte_range(first + offset, bytes)?)?;
            }
        }
        let (completion, nanos) = timed(|| device.run(&list))?;
        guest.push(nanos);
        in_card.push(completion.nanos());
    }
    let (guest, card) = (Quantiles::of(guest), Quantiles::of(in_card));
    let moved = bytes * in_a_list;
    let per_second = |nanos: u64| (moved * 1_000_000_000).checked_div(nanos).unwrap_or(0);
    Ok(Figure {
        kind,
        guest,
        card,
        guest_bytes_per_second: per_second(guest.median_ns),
        card_bytes_per_second: per_second(card.median_ns),
    })
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10} {:>8} {:<5} {:<3} {:>2} in a list, median {:>9.1} us   p99 {:>9.1} us   {:>9}/s   in the card {:>9}/s",
            self.kind.direction,
            Bytes(self.kind.bytes).to_string(),
            if self.kind.walks { "walks" } else { "" },
            match self.kind.behind_a_page {
                0 => String::new(),
                behind => format!("+{behind}"),
            },
            self.kind.in_a_list,
            self.guest.median_ns as f64 * 1e-3,
            self.guest.p99_ns as f64 * 1e-3,
            Bytes(self.guest_bytes_per_second).to_string(),
            Bytes(self.card_bytes_per_second).to_string()
        )
    }
}
