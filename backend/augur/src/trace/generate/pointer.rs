// SPDX-License-Identifier: MIT OR Apache-2.0
//! A chase of pointers through nodes in random order, round and round: no two
//! neighbours in time are neighbours in memory, but each round is like the one
//! before.

use clap::Args;

use super::{Kernel, Layout, Step, Steps, check_entries, endless, random};

/// Nodes that are followed at a time.
const HOPS: usize = 64;

/// Sizes of the list.
#[derive(Args, Clone, Debug)]
pub struct Pointer {
    /// Nodes of a list.
    #[arg(long, default_value_t = Pointer::default().nodes, value_parser = clap::value_parser!(u64).range(2..=1 << 24))]
    pub nodes: u64,
    /// Bytes from one node to the next in memory; its first 64 are read.
    #[arg(long, default_value_t = Pointer::default().node_bytes, value_parser = clap::value_parser!(u64).range(64..=1 << 20))]
    pub node_bytes: u64,
    /// Lists, one stream each.
    #[arg(long, default_value_t = Pointer::default().streams, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub streams: u64,
}

impl Default for Pointer {
    fn default() -> Self {
        Self {
            nodes: 8192,
            node_bytes: 2048,
            streams: 1,
        }
    }
}

impl Kernel for Pointer {
    fn streams(&self, layout: &mut Layout, seed: u64) -> Result<Vec<Steps>, String> {
        check_entries(self.streams * self.nodes)?;
        let mut streams = Vec::new();
        for stream in 0..self.streams {
            let base = layout.place(self.nodes, self.node_bytes)?;
            let mut order: Vec<u64> = (0..self.nodes).collect();
            random(seed, stream).shuffle(&mut order);
            let node_bytes = self.node_bytes;
            let mut at = 0;
            streams.push(endless(move |steps| {
                for _ in 0..HOPS {
                    let node = order.get(at).copied().unwrap_or(0);
                    steps.push(Step {
                        write: false,
                        offset: base + node * node_bytes,
                        bytes: 64,
                    });
                    at = (at + 1) % order.len();
                }
            }));
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accesses, sequential};
    use super::*;

    #[test]
    fn each_round_visits_every_node_once_in_the_same_order() {
        let records = accesses(&Pointer::default(), 1, 2 * 8192);
        let offsets: Vec<u64> = records.iter().map(|it| it.offset).collect();
        assert_eq!(offsets[..8192], offsets[8192..]);
        let mut nodes = offsets[..8192].to_vec();
        nodes.sort_unstable();
        assert!(
            nodes
                .iter()
                .zip(0..)
                .all(|(offset, node)| *offset == node * 2048)
        );
    }

    #[test]
    fn neighbours_in_time_are_not_neighbours_in_memory() {
        let records = accesses(&Pointer::default(), 1, 8192);
        let near = records
            .windows(2)
            .filter(|pair| pair[0].offset.abs_diff(pair[1].offset) <= 4096)
            .count();
        assert!(near < 20, "{near}");
        assert!(sequential(&records, 0) < 0.01);
    }
}
