// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings of buffers between a device that fills them by DMA and a consumer that
//! follows it: descriptor, buffer, descriptor, and round again.

use clap::Args;

use super::{Kernel, Layout, Steps, endless, random, read, write};

const DESCRIPTOR: u64 = 16;

/// Sizes of the rings.
#[derive(Args, Clone, Debug)]
pub struct Ring {
    /// Rings, with two streams each: who fills and who empties.
    #[arg(long, default_value_t = Ring::default().rings, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub rings: u64,
    /// Buffers of a ring.
    #[arg(long, default_value_t = Ring::default().slots, value_parser = clap::value_parser!(u64).range(2..=1 << 24))]
    pub slots: u64,
    /// Bytes of a buffer; each is filled from a quarter to the whole.
    #[arg(long, default_value_t = Ring::default().slot_bytes, value_parser = clap::value_parser!(u64).range(4..=1 << 30))]
    pub slot_bytes: u64,
    /// Buffers that the consumer is behind.
    #[arg(long, default_value_t = Ring::default().behind, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub behind: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            rings: 2,
            slots: 1024,
            slot_bytes: 16384,
            behind: 64,
        }
    }
}

impl Kernel for Ring {
    fn streams(&self, layout: &mut Layout, seed: u64) -> Result<Vec<Steps>, String> {
        if self.behind >= self.slots {
            return Err(format!(
                "a consumer {} buffers behind meets its producer in a ring of {}",
                self.behind, self.slots
            ));
        }
        let mut streams = Vec::new();
        for ring in 0..self.rings {
            let descriptors = layout.place(self.slots, DESCRIPTOR)?;
            let buffers = layout.place(self.slots, self.slot_bytes)?;
            let slots = self.slots;
            let slot_bytes = self.slot_bytes;
            // Both sides draw the same sizes; what the consumer finds at the
            // start was filled before.
            for (fills, first) in [(true, 0), (false, slots - self.behind)] {
                let mut before = random(seed, 1 << 32 | ring);
                let mut sizes = random(seed, ring);
                let mut slot = first;
                streams.push(endless(move |steps| {
                    let descriptor = descriptors + slot % slots * DESCRIPTOR;
                    let buffer = buffers + slot % slots * slot_bytes;
                    let early = !fills && slot < slots;
                    let drawn = if early { &mut before } else { &mut sizes };
                    let filled = drawn.u64(slot_bytes / 4..=slot_bytes);
                    read(steps, descriptor, DESCRIPTOR);
                    if fills {
                        write(steps, buffer, filled);
                    } else {
                        read(steps, buffer, filled);
                    }
                    write(steps, descriptor, DESCRIPTOR);
                    slot += 1;
                }));
            }
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accesses, footprint};
    use super::*;

    fn buffers(stream: u32) -> Vec<u64> {
        let records = accesses(&Ring::default(), 1, 40_000);
        records
            .iter()
            .filter(|it| it.stream == stream && it.bytes > DESCRIPTOR)
            .map(|it| (it.offset - (2 << 20)) / 16384)
            .collect()
    }

    #[test]
    fn both_sides_go_round_in_order_one_behind_the_other() {
        let (fills, empties) = (buffers(0), buffers(1));
        for side in [&fills, &empties] {
            assert!(side.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 1024));
            assert!(side.len() > 2048, "it wraps");
        }
        assert_eq!((fills[0], empties[0]), (0, 1024 - 64));
    }

    #[test]
    fn what_is_emptied_is_what_was_filled() {
        let side = |stream| {
            let records = accesses(&Ring::default(), 1, 10_000);
            let sizes = records.iter().filter(|it| it.stream == stream);
            let sizes: Vec<u64> = sizes.map(|it| it.bytes).collect();
            sizes
                .split(|bytes| *bytes == DESCRIPTOR)
                .map(|run| run.iter().sum::<u64>())
                .filter(|filled| *filled > 0)
                .collect::<Vec<u64>>()
        };
        let (filled, emptied) = (side(0), side(1));
        assert_eq!(filled[..500], emptied[64..564]);
    }

    #[test]
    fn the_footprint_is_that_of_the_rings() {
        let pages = footprint(&accesses(&Ring::default(), 1, 40_000)).len();
        // A buffer's last quarter pages may stay empty for a few rounds.
        assert!(
            (2 * 1024 * 3..=2 * (1024 * 4 + 4)).contains(&pages),
            "{pages}"
        );
    }

    #[test]
    fn a_consumer_that_meets_its_producer_is_refused() {
        let ring = Ring {
            slots: 8,
            behind: 8,
            ..Ring::default()
        };
        assert!(super::super::Plan::new(&ring, 1).is_err());
    }
}
