// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur trace import`: others' traces as the project's own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::summary;
use crate::exit::Failure;
use crate::progress::Step;
use crate::size::Size;
use crate::trace::Output;
use crate::trace::import::{
    Columns, Format, InputError, Merged, Recent, Settings, Source, open_source,
};

/// Convert a trace of another format.
///
/// Reads as a stream, with bounded memory; inputs may be zstd-compressed, and
/// `-` is standard input. OUT is complete or not there: on a wrong line the
/// command names input, line and reason, writes nothing and exits with 2.
///
/// A program's own accesses, without a file in between:
///
///   valgrind --tool=lackey --trace-mem=yes --log-fd=9 PROGRAM 9>&1 >/dev/null |
///     augur trace import --from lackey --accesses 100000 -o OUT.csv.zst -
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// What the inputs are.
    #[arg(long, value_enum)]
    from: Format,
    /// Files to read. Several become several streams that start together.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The trace to write; compressed if it ends in .zst.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Stop after this many accesses.
    #[arg(long, value_name = "N")]
    accesses: Option<u64>,
    /// Leave out the first accesses (counted after --recent).
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    /// Reduce accesses to touches of 4 KiB pages and leave out those of the N
    /// pages touched last, as a translation buffer of N entries would; 0 keeps
    /// accesses as they are [default: 1 for lackey, else 0].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1024))]
    recent: Option<u16>,
    /// Time between accesses (those left by --recent) where the source has no
    /// clock.
    #[arg(long, value_name = "NS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    interval_ns: u64,
    /// Distance between the address spaces of several inputs, such as 1T; 0:
    /// they share one.
    #[arg(long, value_name = "SIZE", default_value = "0")]
    apart: Size,
    /// csv: what its columns are, if its first line does not say: time_ns,
    /// time_100ns, time_us, time_ms or time_s; stream; op (r, w, read, write);
    /// offset, page or sector; bytes, pages or sectors; - for something else.
    #[arg(long, value_name = "NAME,…")]
    columns: Option<Columns>,
    /// csv: what stands between columns.
    #[arg(long, default_value_t = ',')]
    delimiter: char,
    /// mooncake: bytes of a block of the KV cache.
    #[arg(long, value_name = "SIZE", default_value = "64K")]
    block: Size,
    /// mooncake: seed of the places that blocks get.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Records between two looks at the clock.
const BEAT: u64 = 1 << 14;

impl Arguments {
    /// Imports.
    ///
    /// # Errors
    /// An input that cannot be used, or an output that cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = Settings {
            interval_ns: self.interval_ns,
            columns: self.columns.clone(),
            delimiter: self.delimiter,
            block_bytes: self.block.0,
            seed: self.seed,
        };
        let unusable = |error: InputError| Failure::input(error.to_string());
        let recent = self
            .recent
            .unwrap_or(u16::from(self.from == Format::Lackey));
        let interval = (!self.from.has_clock()).then_some(self.interval_ns);
        let mut sources: Vec<(String, Box<dyn Source>)> = Vec::new();
        for path in &self.inputs {
            let name = path.display().to_string();
            match open_source(path, self.from, &settings) {
                Ok(source) if recent == 0 => sources.push((name, source)),
                Ok(source) => {
                    let recent = Recent::new(source, recent.into(), interval);
                    sources.push((name, Box::new(recent)));
                }
                Err(error) => return Err(unusable(InputError { input: name, error }).into()),
            }
        }
        let mut merged = Merged::new(sources, self.apart.0).map_err(unusable)?;
        let writing = || format!("cannot write {}", self.output.display());
        let mut output = Output::create(&self.output)?;
        let limit = self.accesses.unwrap_or(u64::MAX);
        let mut step = Step::new("import");
        let mut read = 0_u64;
        while output.totals().accesses < limit
            && let Some(record) = merged.next_record().map_err(unusable)?
        {
            read += 1;
            if read > self.skip {
                output.push(&record).with_context(writing)?;
            }
            if read.is_multiple_of(BEAT) {
                step.beat(|| format!("{} accesses written", output.totals().accesses));
            }
        }
        if output.totals().accesses == 0 {
            return Err(Failure::input(if read == 0 {
                "the input has no accesses".to_owned()
            } else {
                format!("--skip {} leaves nothing of {read} accesses", self.skip)
            })
            .into());
        }
        let totals = output.finish()?;
        step.finish(true);
        println!("{}: {}", self.output.display(), summary(&totals));
        Ok(ExitCode::SUCCESS)
    }
}
