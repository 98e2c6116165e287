// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decoding with a paged KV cache: each token appends its key and value in
//! every layer and reads those of all tokens before it. Blocks of tokens come
//! from a fragmented pool; a session that ends gives its blocks back and a new
//! one begins with its prompt. The weights are read layer by layer.

use clap::Args;
use fastrand::Rng;

use super::{Kernel, Layout, Step, Steps, check_entries, endless, random, read, write};

/// Sizes of a decoder that serves a few sessions.
#[derive(Args, Clone, Debug)]
pub struct Attention {
    /// Sessions at one time, one stream each; one more reads the weights.
    #[arg(long, default_value_t = Attention::default().sessions, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub sessions: u64,
    /// Layers.
    #[arg(long, default_value_t = Attention::default().layers, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub layers: u64,
    /// Bytes of a token's key, or value, in one layer.
    #[arg(long, default_value_t = Attention::default().key_bytes, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub key_bytes: u64,
    /// Tokens of a block.
    #[arg(long, default_value_t = Attention::default().block, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub block: u64,
    /// Tokens of a session, at most.
    #[arg(long, default_value_t = Attention::default().context, value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    pub context: u64,
    /// Bytes of a layer's weights.
    #[arg(long, default_value_t = Attention::default().weight_bytes, value_parser = clap::value_parser!(u64).range(1..=1 << 36))]
    pub weight_bytes: u64,
}

impl Default for Attention {
    fn default() -> Self {
        Self {
            sessions: 4,
            layers: 4,
            key_bytes: 1024,
            block: 16,
            context: 256,
            weight_bytes: 1 << 20,
        }
    }
}

/// One session after the other in the same part of the pool.
struct Session {
    sizes: Attention,
    /// Of each layer, its keys and its values.
    pools: Vec<[u64; 2]>,
    /// Blocks of the pool, in the order in which tokens fill them.
    blocks: Vec<u64>,
    tokens: u64,
    end: u64,
    random: Rng,
}

impl Session {
    /// Runs over the cache of one layer, block by block.
    fn cache(&self, pool: u64, tokens: u64) -> impl Iterator<Item = (u64, u64)> {
        let (block, key_bytes) = (self.sizes.block, self.sizes.key_bytes);
        let used = tokens.div_ceil(block);
        (0..used).zip(&self.blocks).map(move |(index, place)| {
            let filled = block.min(tokens - index * block);
            (pool + place * block * key_bytes, filled * key_bytes)
        })
    }

    /// A new session: its prompt is computed and written.
    fn begin(&mut self, steps: &mut Vec<Step>) {
        self.random.shuffle(&mut self.blocks);
        let half = self.sizes.context / 2;
        self.tokens = self.random.u64(1..=half);
        self.end = self.random.u64(half..=self.sizes.context);
        for pools in &self.pools {
            for &pool in pools {
                for (offset, bytes) in self.cache(pool, self.tokens) {
                    write(steps, offset, bytes);
                }
            }
        }
    }

    /// One more token.
    fn decode(&mut self, steps: &mut Vec<Step>) {
        let (block, key_bytes) = (self.sizes.block, self.sizes.key_bytes);
        let within = self.tokens % block * key_bytes;
        let place = self.blocks.get((self.tokens / block) as usize).copied();
        let append = place.unwrap_or(0) * block * key_bytes + within;
        self.tokens += 1;
        for pools in &self.pools {
            for pool in pools {
                write(steps, pool + append, key_bytes);
            }
            for &pool in pools {
                for (offset, bytes) in self.cache(pool, self.tokens) {
                    read(steps, offset, bytes);
                }
            }
        }
    }
}

impl Kernel for Attention {
    fn streams(&self, layout: &mut Layout, seed: u64) -> Result<Vec<Steps>, String> {
        let blocks = self.context.div_ceil(self.block);
        let pool = self.sessions * blocks;
        let block_bytes = self.block * self.key_bytes;
        check_entries(pool)?;
        let mut weights = Vec::new();
        let mut pools = Vec::new();
        for _ in 0..self.layers {
            weights.push(layout.place(1, self.weight_bytes)?);
        }
        for _ in 0..self.layers {
            pools.push([
                layout.place(pool, block_bytes)?,
                layout.place(pool, block_bytes)?,
            ]);
        }
        let mut places: Vec<u64> = (0..pool).collect();
        random(seed, 0).shuffle(&mut places);
        let (bytes, mut layer) = (self.weight_bytes, 0);
        let mut streams = vec![endless(move |steps| {
            read(steps, weights.get(layer).copied().unwrap_or(0), bytes);
            layer = (layer + 1) % weights.len();
        })];
        for (number, own) in (1..).zip(places.chunks(blocks as usize)) {
            let mut session = Session {
                sizes: self.clone(),
                pools: pools.clone(),
                blocks: own.to_vec(),
                tokens: 0,
                end: 0,
                random: random(seed, number),
            };
            streams.push(endless(move |steps| {
                if session.tokens >= session.end {
                    session.begin(steps);
                } else {
                    session.decode(steps);
                }
            }));
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accesses, footprint, sequential};
    use super::*;

    const ONE: Attention = Attention {
        sessions: 1,
        layers: 1,
        key_bytes: 4096,
        block: 1,
        context: 64,
        weight_bytes: 1 << 20,
    };

    #[test]
    fn every_token_is_appended_once_and_then_read_for_every_later_one() {
        let mut layout = Layout::default();
        let mut streams = ONE.streams(&mut layout, 5).unwrap();
        let mut steps = streams.remove(1);
        let mut written: Vec<u64> = Vec::new();
        // The prompt's keys and values.
        let first_read = loop {
            let step = steps.next().unwrap();
            if !step.write {
                break step;
            }
            written.push(step.offset);
        };
        let tokens = written.len() / 2;
        let mut reads = vec![first_read];
        reads.extend(steps.by_ref().take(2 * tokens - 1));
        assert!(reads.iter().all(|step| !step.write));
        let mut read: Vec<u64> = reads.iter().map(|step| step.offset).collect();
        read.sort_unstable();
        written.sort_unstable();
        assert_eq!(read, written, "all keys and values, each once");
        assert!(
            steps.next().unwrap().write,
            "then the next token is appended"
        );
    }

    #[test]
    fn the_weights_are_one_sequential_stream() {
        let records = accesses(&Attention::default(), 1, 20_000);
        assert!(sequential(&records, 0) > 0.95);
    }

    #[test]
    fn blocks_lie_apart_and_the_footprint_is_bounded() {
        let sizes = Attention::default();
        let records = accesses(&sizes, 1, 50_000);
        let most = sizes.layers * (sizes.weight_bytes + 2 * 4 * 256 * 1024);
        assert!(footprint(&records).len() as u64 <= most >> 12);
        assert!(footprint(&records).len() as u64 > (most >> 12) / 3);
        assert!(sequential(&records, 1) < 0.5);
    }
}
