// SPDX-License-Identifier: MIT OR Apache-2.0
//! A trace, made ready for simulation: streams, think times, page numbers.

use std::collections::HashMap;

use augur_memory::{Nanos, PageNumber};

use crate::trace::Record;

/// Gaps between the accesses of a stream are clamped to this range, in ns.
const GAP: (u64, u64) = (500, 10_000);
/// Time between two pages of one access.
pub const PAGE_STEP: Nanos = Nanos(500);

/// One access of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Time since the end of the stream's previous access.
    pub gap: Nanos,
    /// The first of its touches in [`Workload::touches`].
    pub first_touch: u32,
    /// How many touches.
    pub touches: u32,
    /// Whether it writes.
    pub write: bool,
}

/// The accesses of one stream, in order.
#[derive(Clone, Debug)]
pub struct StreamAccesses {
    /// When the first access may start.
    pub start: Nanos,
    /// All of them.
    pub accesses: Vec<Access>,
}

/// A trace as streams of page touches. Pages are numbered densely in order of
/// first appearance, so that simulations can keep state for each in an array.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The streams.
    pub streams: Vec<StreamAccesses>,
    /// The dense page number of each touch of each access.
    pub touches: Vec<u32>,
    /// The page of each dense number.
    pub pages: Vec<PageNumber>,
}

impl Workload {
    /// Prepares a trace.
    pub fn new(records: &[Record]) -> Self {
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut stream_numbers: HashMap<u32, usize> = HashMap::new();
        let mut workload = Self {
            streams: Vec::new(),
            touches: Vec::new(),
            pages: Vec::new(),
        };
        let mut last_times: Vec<u64> = Vec::new();
        let start = records.first().map_or(0, |record| record.time_ns);
        for record in records {
            let stream = *stream_numbers.entry(record.stream).or_insert_with(|| {
                workload.streams.push(StreamAccesses {
                    start: Nanos(record.time_ns - start),
                    accesses: Vec::new(),
                });
                last_times.push(record.time_ns);
                workload.streams.len() - 1
            });
            let gap = (record.time_ns - last_times[stream]).clamp(GAP.0, GAP.1);
            last_times[stream] = record.time_ns;
            let first_touch = workload.touches.len() as u32;
            for page in record.pages() {
                let number = *numbers.entry(page).or_insert_with(|| {
                    workload.pages.push(PageNumber(page));
                    workload.pages.len() as u32 - 1
                });
                workload.touches.push(number);
            }
            let first = workload.streams[stream].accesses.is_empty();
            workload.streams[stream].accesses.push(Access {
                gap: Nanos(if first { 0 } else { gap }),
                first_touch,
                touches: workload.touches.len() as u32 - first_touch,
                write: record.write,
            });
        }
        workload
    }

    /// The order in which pages would be touched if nothing ever stalled: the
    /// future that the oracles know.
    pub fn unstalled_order(&self) -> Vec<u32> {
        let mut heap = std::collections::BinaryHeap::new();
        for (index, stream) in self.streams.iter().enumerate() {
            heap.push(std::cmp::Reverse((stream.start, index, 0_usize, 0_u32)));
        }
        let mut order = Vec::with_capacity(self.touches.len());
        while let Some(std::cmp::Reverse((time, index, access, touch))) = heap.pop() {
            let accesses = &self.streams[index].accesses;
            let current = &accesses[access];
            order.push(self.touches[(current.first_touch + touch) as usize]);
            if touch + 1 < current.touches {
                heap.push(std::cmp::Reverse((
                    time + PAGE_STEP,
                    index,
                    access,
                    touch + 1,
                )));
            } else if let Some(next) = accesses.get(access + 1) {
                heap.push(std::cmp::Reverse((time + next.gap, index, access + 1, 0)));
            }
        }
        order
    }
}
