// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transfers each way, by size.

use std::fmt;

use augur_client::units::Bytes;
use augur_client::{CommandList, Device, Error};
use serde::Serialize;

use crate::samples::{Quantiles, timed};

/// Sizes from a page on; the largest is an argument.
const SMALLEST: u64 = 4 << 10;
/// Bytes that are moved for each size, at least once.
const MOVED: u64 = 256 << 20;
/// Most transfers of a size.
const MOST: u64 = 500;

/// Transfers of one size in one direction.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// `to card` or `from card`.
    pub direction: &'static str,
    /// Bytes of a transfer.
    pub bytes: u64,
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
    let object = device.create_object(largest.max(SMALLEST))?;
    let mut memory = vec![1_u8; usize::try_from(largest.max(SMALLEST)).unwrap_or(0)];
    let mut figures = Vec::new();
    let mut bytes = SMALLEST;
    while bytes <= largest.max(SMALLEST) {
        let card = object.byte_range(0, bytes)?;
        let part = &mut memory[..bytes as usize];
        for direction in ["to card", "from card"] {
            let (mut guest, mut in_card) = (Vec::new(), Vec::new());
            for _ in 0..(MOVED / bytes).clamp(1, MOST) {
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
            figures.push(Figure::of(
                direction,
                bytes,
                Quantiles::of(guest),
                Quantiles::of(in_card),
            ));
        }
        bytes *= 4;
    }
    Ok(figures)
}

impl Figure {
    fn of(direction: &'static str, bytes: u64, guest: Quantiles, card: Quantiles) -> Self {
        let per_second = |nanos: u64| (bytes * 1_000_000_000).checked_div(nanos).unwrap_or(0);
        Self {
            direction,
            bytes,
            guest,
            card,
            guest_bytes_per_second: per_second(guest.median_ns),
            card_bytes_per_second: per_second(card.median_ns),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10} {:>8}       median {:>9.1} us   p99 {:>9.1} us   {:>9}/s   in the card {:>9}/s",
            self.direction,
            Bytes(self.bytes).to_string(),
            self.guest.median_ns as f64 * 1e-3,
            self.guest.p99_ns as f64 * 1e-3,
            Bytes(self.guest_bytes_per_second).to_string(),
            Bytes(self.card_bytes_per_second).to_string()
        )
    }
}
