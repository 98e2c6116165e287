// SPDX-License-Identifier: MIT OR Apache-2.0
//! All kernels in turns, each with its default sizes and its own memory: what a
//! device sees whose users come and go. A kernel that comes back goes on where
//! it stopped; in every third phase two run at the same time.

use clap::Args;

use super::{
    Attention, Conv, Embedding, Gemm, Kernel, Layout, Phases, Plan, Pointer, Ring, numbered, random,
};

/// Kernels lie apart.
const APART: u64 = 1 << 30;

/// How long the turns are.
#[derive(Args, Clone, Debug)]
pub struct Mixed {
    /// Accesses of a phase.
    #[arg(long, default_value_t = Mixed::default().phase, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub phase: u64,
}

impl Default for Mixed {
    fn default() -> Self {
        Self { phase: 5_000 }
    }
}

impl Mixed {
    /// The mixture's accesses.
    ///
    /// # Errors
    /// Never with the sizes that the kernels have.
    pub fn plan(&self, seed: u64) -> Result<Plan, String> {
        let kernels: [&dyn Kernel; 6] = [
            &Conv::default(),
            &Gemm::default(),
            &Attention::default(),
            &Embedding::default(),
            &Ring::default(),
            &Pointer::default(),
        ];
        let mut layout = Layout::default();
        let mut streams = Vec::new();
        for (number, kernel) in kernels.iter().enumerate() {
            layout.align(APART);
            streams.extend(numbered(number, kernel.streams(&mut layout, seed)?));
        }
        Ok(Plan {
            streams,
            phases: Some(Phases {
                length: self.phase,
                left: 0,
                number: 0,
                kernels: kernels.len(),
                running: Vec::new(),
                random: random(seed, u64::MAX),
            }),
            now_ns: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn phases_differ_and_every_third_has_two_kernels() {
        let records: Vec<_> = Mixed { phase: 1000 }
            .plan(1)
            .unwrap()
            .take(12_000)
            .collect();
        let running: Vec<BTreeSet<u64>> = records
            .chunks(1000)
            .map(|phase| phase.iter().map(|it| it.offset / APART).collect())
            .collect();
        let counts: Vec<usize> = running.iter().map(BTreeSet::len).collect();
        assert_eq!(counts, [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2]);
        assert!(running.windows(2).all(|pair| pair[0].is_disjoint(&pair[1])));
        let all: BTreeSet<u64> = running.into_iter().flatten().collect();
        assert_eq!(all.len(), 6);
    }
}
