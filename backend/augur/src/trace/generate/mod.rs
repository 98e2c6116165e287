// SPDX-License-Identifier: MIT OR Apache-2.0
//! The access streams of kernels that run on accelerators, made from their
//! loops: one module for each kernel.
//!
//! A kernel is a few streams of endless [`Step`]s; [`Plan`] runs them beside
//! each other on one clock. All of it follows from sizes and a seed.

mod attention;
mod conv;
mod embedding;
mod gemm;
mod mixed;
mod pointer;
mod ring;

use fastrand::Rng;

pub use attention::Attention;
pub use conv::Conv;
pub use embedding::Embedding;
pub use gemm::Gemm;
pub use mixed::Mixed;
pub use pointer::Pointer;
pub use ring::Ring;

use super::{ADDRESS_SPACE, Record};

/// Objects begin at multiples of this.
const ALIGNMENT: u64 = 2 << 20;
/// Longer runs are accessed in pieces of this.
const PIECE: u64 = 16 << 10;
/// Bytes of a 32-bit element.
const F32: u64 = 4;
/// What a byte takes to be used, in units of 1/16 ns: 4 GB/s.
const SIXTEENTHS_OF_NS_PER_BYTE: u64 = 4;
/// What each access takes besides.
const ACCESS_NS: u64 = 500;

/// What one stream does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    write: bool,
    offset: u64,
    bytes: u64,
}

/// The endless steps of one stream.
pub type Steps = Box<dyn Iterator<Item = Step>>;

/// A kernel with its sizes.
pub trait Kernel {
    /// Its streams, with objects that `layout` places.
    ///
    /// # Errors
    /// Why these sizes cannot be.
    fn streams(&self, layout: &mut Layout, seed: u64) -> Result<Vec<Steps>, String>;
}

/// Places objects one after another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    next: u64,
}

impl Layout {
    /// Where an object of `rows` rows of `row_bytes` begins.
    ///
    /// # Errors
    /// When it does not fit into 48 bits of offsets.
    fn place(&mut self, rows: u64, row_bytes: u64) -> Result<u64, String> {
        let start = self.next;
        self.next = rows
            .checked_mul(row_bytes)
            .and_then(|bytes| bytes.checked_add(start))
            .and_then(|end| end.checked_next_multiple_of(ALIGNMENT))
            .filter(|end| *end <= ADDRESS_SPACE)
            .ok_or("these sizes need more than 48 bits of offsets")?;
        Ok(start)
    }

    /// Goes on at a multiple of `bytes`.
    fn align(&mut self, bytes: u64) {
        self.next = self.next.next_multiple_of(bytes);
    }
}

/// Refuses sizes that need more than so many entries of host memory.
fn check_entries(entries: u64) -> Result<(), String> {
    const MOST: u64 = 1 << 26;
    if entries > MOST {
        return Err(format!(
            "these sizes need {entries} entries of this machine's memory, more than {MOST}"
        ));
    }
    Ok(())
}

/// Steps that `refill` gives some at a time, at least one.
fn endless(mut refill: impl FnMut(&mut Vec<Step>) + 'static) -> Steps {
    Box::new((0_u64..).flat_map(move |_| {
        let mut steps = Vec::new();
        refill(&mut steps);
        steps
    }))
}

fn read(steps: &mut Vec<Step>, offset: u64, bytes: u64) {
    span(steps, false, offset, bytes);
}

fn write(steps: &mut Vec<Step>, offset: u64, bytes: u64) {
    span(steps, true, offset, bytes);
}

fn span(steps: &mut Vec<Step>, write: bool, offset: u64, bytes: u64) {
    let end = offset + bytes;
    let mut at = offset;
    while at < end {
        let piece = (end - at).min(PIECE);
        steps.push(Step {
            write,
            offset: at,
            bytes: piece,
        });
        at += piece;
    }
}

/// A random source of its own for each use of one seed.
fn random(seed: u64, stream: u64) -> Rng {
    Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream)
}

struct Stream {
    clock_ns: u64,
    /// Which of the kernels it belongs to.
    kernel: usize,
    steps: Steps,
}

/// Kernels that take turns, if there are several.
struct Phases {
    /// Accesses of a phase.
    length: u64,
    left: u64,
    number: u64,
    kernels: usize,
    running: Vec<usize>,
    random: Rng,
}

impl Phases {
    /// Other kernels than before; two of them in every third phase.
    fn next_phase(&mut self) {
        let mut others: Vec<usize> = (0..self.kernels)
            .filter(|kernel| !self.running.contains(kernel))
            .collect();
        self.random.shuffle(&mut others);
        self.number += 1;
        others.truncate(if self.number.is_multiple_of(3) { 2 } else { 1 });
        self.running = others;
        self.left = self.length;
    }
}

/// The accesses of kernels in order of time, without end.
pub struct Plan {
    streams: Vec<Stream>,
    phases: Option<Phases>,
    now_ns: u64,
}

impl Plan {
    /// One kernel from address 0 on.
    ///
    /// # Errors
    /// Why its sizes cannot be.
    pub fn new(kernel: &dyn Kernel, seed: u64) -> Result<Self, String> {
        let mut layout = Layout::default();
        let streams = kernel.streams(&mut layout, seed)?;
        Ok(Self {
            streams: numbered(0, streams).collect(),
            phases: None,
            now_ns: 0,
        })
    }
}

fn numbered(kernel: usize, streams: Vec<Steps>) -> impl Iterator<Item = Stream> {
    streams.into_iter().map(move |steps| Stream {
        clock_ns: 0,
        kernel,
        steps,
    })
}

impl Iterator for Plan {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if let Some(phases) = &mut self.phases {
            if phases.left == 0 {
                phases.next_phase();
                for stream in &mut self.streams {
                    stream.clock_ns = stream.clock_ns.max(self.now_ns);
                }
            }
            phases.left -= 1;
        }
        let phases = &self.phases;
        let runs = |kernel| {
            phases
                .as_ref()
                .is_none_or(|phases| phases.running.contains(&kernel))
        };
        let (number, stream) = (0..)
            .zip(&mut self.streams)
            .filter(|(_, stream)| runs(stream.kernel))
            .min_by_key(|(_, stream)| stream.clock_ns)?;
        let step = stream.steps.next()?;
        let time_ns = stream.clock_ns;
        self.now_ns = time_ns;
        stream.clock_ns += ACCESS_NS + step.bytes * SIXTEENTHS_OF_NS_PER_BYTE / 16;
        Some(Record {
            time_ns,
            stream: number,
            write: step.write,
            offset: step.offset,
            bytes: step.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The first accesses of a kernel.
    pub(super) fn accesses(kernel: &dyn Kernel, seed: u64, count: usize) -> Vec<Record> {
        Plan::new(kernel, seed).unwrap().take(count).collect()
    }

    /// The distinct pages that accesses touch.
    pub(super) fn footprint(records: &[Record]) -> HashSet<u64> {
        records.iter().flat_map(Record::pages).collect()
    }

    /// The share of a stream's accesses that begin where its previous one ended.
    pub(super) fn sequential(records: &[Record], stream: u32) -> f64 {
        let own: Vec<&Record> = records.iter().filter(|it| it.stream == stream).collect();
        let follows = own
            .windows(2)
            .filter(|pair| pair[0].offset + pair[0].bytes == pair[1].offset)
            .count();
        follows as f64 / (own.len() - 1) as f64
    }

    fn all() -> Vec<Box<dyn Kernel>> {
        vec![
            Box::new(Conv::default()),
            Box::new(Gemm::default()),
            Box::new(Attention::default()),
            Box::new(Embedding::default()),
            Box::new(Ring::default()),
            Box::new(Pointer::default()),
        ]
    }

    /// The accesses of each kernel, the mixture last.
    fn traces(seed: u64) -> Vec<Vec<Record>> {
        let mixed = Mixed::default().plan(seed).unwrap().take(20_000).collect();
        let each = all();
        let each = each
            .iter()
            .map(|kernel| accesses(kernel.as_ref(), seed, 20_000));
        each.chain([mixed]).collect()
    }

    #[test]
    fn a_seed_gives_one_trace_and_time_never_goes_back() {
        let again = traces(3);
        for (records, again) in traces(3).iter().zip(&again) {
            assert_eq!(records, again);
            assert!(records.is_sorted_by_key(|record| record.time_ns));
            assert!(records.iter().all(|it| it.bytes > 0 && it.bytes <= PIECE));
        }
    }

    #[test]
    fn streams_share_the_time_fairly() {
        let records = accesses(&Gemm::default(), 1, 20_000);
        let first = records.iter().filter(|it| it.stream == 0).count();
        assert!(first.abs_diff(records.len() / 2) < records.len() / 20);
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        let gemm = Gemm {
            size: 1 << 23,
            ..Gemm::default()
        };
        let conv = Conv {
            batch: 1 << 16,
            height: 1 << 16,
            width: 1 << 16,
            channels: 1 << 16,
            ..Conv::default()
        };
        let embedding = Embedding {
            tables: 1 << 10,
            rows: 1 << 22,
            ..Embedding::default()
        };
        let why = |kernel: &dyn Kernel| Plan::new(kernel, 1).err().unwrap();
        assert!(why(&gemm).contains("48 bits"));
        assert!(why(&conv).contains("48 bits"));
        assert!(why(&embedding).contains("this machine's memory"));
    }
}
