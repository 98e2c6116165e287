// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transfers each way, by size.

use std::fmt;

use augur_client::units::Bytes;
use augur_client::{CommandList, Device, Error, Object};
use serde::Serialize;

use crate::samples::{Quantiles, timed};

/// Sizes from a page on; the largest is an argument.
const SMALLEST: u64 = 4 << 10;
/// Bytes that are moved for each size, at least once.
const MOVED: u64 = 256 << 20;
/// Most transfers of a size.
const MOST: u64 = 500;
/// Sizes from here on are measured on bytes that no cache holds, too.
const WALKED: u64 = 1 << 20;

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
}

/// Transfers of one kind.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Which.
    #[serde(flatten)]
    pub kind: Kind,
    /// Guest wall time of submitting and waiting.
    pub guest: Quantiles,
    /// By the card's clock, from the command's start to its end.
    pub card: Quantiles,
    /// Bytes over the median guest time, per second.
    pub guest_bytes_per_second: u64,
    /// Bytes over the median card time, per second.
    pub card_bytes_per_second: u64,
}

/// Measures sizes from a page to `largest`, each four times the one before.
///
/// # Errors
/// The card failed.
pub fn measure(device: &Device, largest: u64) -> Result<Vec<Figure>, Error> {
    let largest = largest.max(SMALLEST);
    let object = device.create_object(largest)?;
    let mut memory = vec![1_u8; usize::try_from(largest).unwrap_or(0)];
    let mut figures = Vec::new();
    let sizes = std::iter::successors(Some(SMALLEST), |size| Some(size * 4));
    for bytes in sizes.take_while(|&bytes| bytes <= largest) {
        for walks in [false, true] {
            if walks && (bytes < WALKED || bytes * 2 > largest) {
                continue;
            }
            for direction in ["to card", "from card"] {
                let kind = Kind {
                    direction,
                    bytes,
                    walks,
                };
                figures.push(transfers(device, &object, &mut memory, kind)?);
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
    } = kind;
    let places = if walks { object.bytes() / bytes } else { 1 };
    let (mut guest, mut in_card) = (Vec::new(), Vec::new());
    for turn in 0..(MOVED / bytes).clamp(1, MOST) {
        let start = turn % places * bytes;
        let card = object.byte_range(start, bytes)?;
        let part = &mut memory[start as usize..][..bytes as usize];
        let mut list = CommandList::new();
        if direction == "to card" {
            list.upload(&card, part)?;
        } else {
            list.download(part, &card)?;
        }
        let (completion, nanos) = timed(|| device.run(&list))?;
        guest.push(nanos);
        in_card.push(completion.nanos());
    }
    let (guest, card) = (Quantiles::of(guest), Quantiles::of(in_card));
    let per_second = |nanos: u64| (bytes * 1_000_000_000).checked_div(nanos).unwrap_or(0);
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
            "{:<10} {:>8} {:<5} median {:>9.1} us   p99 {:>9.1} us   {:>9}/s   in the card {:>9}/s",
            self.kind.direction,
            Bytes(self.kind.bytes).to_string(),
            if self.kind.walks { "walks" } else { "" },
            self.guest.median_ns as f64 * 1e-3,
            self.guest.p99_ns as f64 * 1e-3,
            Bytes(self.guest_bytes_per_second).to_string(),
            Bytes(self.card_bytes_per_second).to_string()
        )
    }
}
