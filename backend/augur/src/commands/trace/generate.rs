// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur trace generate`: access streams of kernels, made from their loops.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::summary;
use crate::exit::Failure;
use crate::progress::Step;
use crate::trace::Output;
use crate::trace::generate::{
    Attention, Conv, Embedding, Gemm, Kernel, Mixed, Plan, Pointer, Ring,
};

/// Make the access stream of a kernel.
///
/// The same sizes and seed give the same file. An access is a run of bytes that
/// a kernel reads or writes at once, of at most 16 KiB; streams are engines,
/// sessions or the two ends of a ring.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    kernel: Choice,
}

#[derive(Debug, Args)]
struct Common {
    /// The trace to write; compressed if it ends in .zst.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Accesses to make.
    #[arg(long, default_value_t = 50_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    accesses: u64,
}

/// A kernel's sizes, and what all have.
#[derive(Debug, Args)]
struct Sized<K: Args> {
    #[command(flatten)]
    sizes: K,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Choice {
    /// A convolution by im2col: rows of input, patches, weights, output.
    Conv(Sized<Conv>),
    /// A tiled matrix product: two-dimensional strides.
    Gemm(Sized<Gemm>),
    /// Decoding with a paged KV cache that grows, beside a stream of weights.
    Attention(Sized<Attention>),
    /// Zipf lookups in embedding tables.
    Embedding(Sized<Embedding>),
    /// Rings of DMA buffers, filled and emptied.
    Ring(Sized<Ring>),
    /// A chase of pointers in random order, round and round.
    Pointer(Sized<Pointer>),
    /// All of these in turns, two of them at a time in every third.
    Mixed(Sized<Mixed>),
}

impl Arguments {
    /// Generates.
    ///
    /// # Errors
    /// Sizes that cannot be, or an output that cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        fn one<K: Args + Kernel>(it: &Sized<K>) -> (Result<Plan, String>, &Common) {
            (Plan::new(&it.sizes, it.common.seed), &it.common)
        }
        let (plan, common) = match &self.kernel {
            Choice::Conv(it) => one(it),
            Choice::Gemm(it) => one(it),
            Choice::Attention(it) => one(it),
            Choice::Embedding(it) => one(it),
            Choice::Ring(it) => one(it),
            Choice::Pointer(it) => one(it),
            Choice::Mixed(it) => (it.sizes.plan(it.common.seed), &it.common),
        };
        let plan = plan.map_err(Failure::input)?;
        let writing = || format!("cannot write {}", common.output.display());
        let mut output = Output::create(&common.output)?;
        let mut step = Step::new("generate");
        for record in plan.take(common.accesses as usize) {
            output.push(&record).with_context(writing)?;
            let made = output.totals().accesses;
            if made.is_multiple_of(1 << 14) {
                step.beat(|| format!("{made} of {} accesses", common.accesses));
            }
        }
        let totals = output.finish()?;
        step.finish(true);
        println!("{}: {}", common.output.display(), summary(&totals));
        Ok(ExitCode::SUCCESS)
    }
}
