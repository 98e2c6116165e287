// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a trace is like, in a few figures.

use std::collections::HashMap;

use serde::Serialize;

use super::{PAGE_SHIFT, Record};

/// The figures of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Accesses.
    pub accesses: u64,
    /// 4 KiB pages touched, each as often as it is.
    pub page_touches: u64,
    /// Different pages, in bytes.
    pub footprint_bytes: u64,
    /// From the first byte touched to the last.
    pub span_bytes: u64,
    /// From the first access to the last.
    pub duration_ns: u64,
    /// Streams.
    pub streams: u64,
    /// Share of the accesses that write.
    pub written: f64,
    /// Share of the accesses that begin where the stream's previous one ended.
    pub sequential: f64,
    /// Share of the pages that are touched once.
    pub touched_once: f64,
    /// Share of the touches that go to the tenth of the pages touched most.
    pub hottest_tenth: f64,
}

impl Summary {
    /// The figures of `records`, which are in order of time.
    pub fn new(records: &[Record]) -> Self {
        let mut touches: HashMap<u64, u64> = HashMap::new();
        let mut ends: HashMap<u32, u64> = HashMap::new();
        let (mut written, mut sequential) = (0_u64, 0_u64);
        for record in records {
            for page in record.pages() {
                *touches.entry(page).or_default() += 1;
            }
            written += u64::from(record.write);
            let end = ends.insert(record.stream, record.offset + record.bytes);
            sequential += u64::from(end == Some(record.offset));
        }
        let mut counts: Vec<u64> = touches.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let page_touches: u64 = counts.iter().sum();
        let hottest: u64 = counts.iter().take(counts.len().div_ceil(10)).sum();
        let once = counts.iter().filter(|count| **count == 1).count();
        let accesses = records.len() as u64;
        let first = records.iter().map(|it| it.offset).min().unwrap_or(0);
        let last = records.iter().map(|it| it.offset + it.bytes).max();
        let time = |record: Option<&Record>| record.map_or(0, |it| it.time_ns);
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        Self {
            accesses,
            page_touches,
            footprint_bytes: (counts.len() as u64) << PAGE_SHIFT,
            span_bytes: last.unwrap_or(first) - first,
            duration_ns: time(records.last()) - time(records.first()),
            streams: ends.len() as u64,
            written: share(written, accesses),
            sequential: share(sequential, accesses),
            touched_once: share(once as u64, counts.len() as u64),
            hottest_tenth: share(hottest, page_touches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_accesses() {
        let record = |time_ns, stream, write, page: u64, pages: u64| Record {
            time_ns,
            stream,
            write,
            offset: page << 12,
            bytes: pages << 12,
        };
        let summary = Summary::new(&[
            record(5, 0, false, 10, 2),
            record(6, 1, false, 10, 1),
            record(7, 0, true, 12, 1),
            record(9, 0, true, 10, 1),
        ]);
        let expected = Summary {
            accesses: 4,
            page_touches: 5,
            footprint_bytes: 3 << 12,
            span_bytes: 3 << 12,
            duration_ns: 4,
            streams: 2,
            written: 0.5,
            sequential: 0.25,
            touched_once: 2.0 / 3.0,
            hottest_tenth: 0.6,
        };
        assert_eq!(summary, expected);
    }
}
