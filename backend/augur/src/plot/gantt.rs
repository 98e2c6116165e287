// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several workers did over time, a bar for each.
//!
//! Bars are made of cells, not of one element for each piece of work: there may
//! be a hundred thousand. Pale cells were busy for a part of their time.

use super::{Axes, cells};

/// Cells across a chart.
pub const COLUMNS: usize = 900;
/// Cells of one bar, of which the last is a gap.
const BAR: usize = 8;

/// A worker.
#[derive(Clone, Debug)]
pub struct Worker {
    /// What it is called.
    pub name: String,
    /// Class of its series.
    pub class: &'static str,
    /// When it worked: from and to, in nanoseconds.
    pub spans: Vec<(u64, u64)>,
}

/// The bars of workers over `longest` nanoseconds; `time` says what time is.
pub fn gantt(workers: &[Worker], longest: u64, time: &str) -> String {
    let rows = workers.len();
    let height = 50.0 + (16.0 * rows as f64).min(420.0);
    let mut axes = Axes::new(
        (1040.0, height),
        80.0,
        (0.0, longest.max(1) as f64 / 1e6),
        (0.0, rows as f64),
    );
    let grid = (COLUMNS, rows * BAR);
    for (row, worker) in workers.iter().enumerate() {
        let mut busy = vec![0.0; COLUMNS];
        for &(start, end) in &worker.spans {
            cover(&mut busy, start, end, longest);
        }
        for (shade, opacity) in [(1, 0.3), (2, 0.6), (3, 1.0)] {
            let mut path = String::new();
            bars(&mut path, row * BAR, &busy, shade);
            axes.grid(worker.class, opacity, grid, &path);
        }
    }
    axes.x_ticks(8, |value| format!("{value}"));
    axes.x_title(time);
    let every = rows.div_ceil(16).max(1);
    for (row, worker) in workers.iter().enumerate() {
        if row % every == 0 || row + 1 == rows {
            let y = axes.y.at((rows - row) as f64 - 0.5) + 4.0;
            axes.label(72.0, y, "end", &worker.name);
        }
    }
    axes.finish("workers over time")
}

/// Adds the time from `start` to `end` to the cells that it covers, in cells.
fn cover(busy: &mut [f64], start: u64, end: u64, longest: u64) {
    let scale = busy.len() as f64 / longest.max(1) as f64;
    let (start, end) = (start as f64 * scale, end as f64 * scale);
    for (index, cell) in (0..).zip(busy).skip(start as usize) {
        let (left, right) = (f64::from(index), f64::from(index) + 1.0);
        if left >= end {
            break;
        }
        *cell += end.min(right) - start.max(left);
    }
}

/// The runs of cells whose share of busy time has this shade, as a bar.
fn bars(path: &mut String, top: usize, busy: &[f64], shade: u32) {
    let shade_of = |share: &f64| match *share {
        share if share <= 0.005 => 0,
        share if share < 0.34 => 1,
        share if share < 0.67 => 2,
        _ => 3,
    };
    let mut start = None;
    for x in 0..=busy.len() {
        let here = busy.get(x).is_some_and(|share| shade_of(share) == shade);
        match (here, start) {
            (true, None) => start = Some(x),
            (false, Some(first)) => {
                for y in top..top + BAR - 1 {
                    cells(path, first, y, x - first);
                }
                start = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_busy_as_its_worker_was() {
        let spans = [(0, 700), (900, 1_350), (1_350, 4_000), (9_001, 9_003)];
        let mut busy = vec![0.0; COLUMNS];
        for (start, end) in spans {
            cover(&mut busy, start, end, 10_000);
        }
        let drawn: f64 = busy.iter().sum();
        let worked: u64 = spans.iter().map(|(start, end)| end - start).sum();
        let expected = worked as f64 / 10_000.0 * COLUMNS as f64;
        assert!((drawn - expected).abs() < 1e-6, "{drawn} {expected}");
        assert!(busy.iter().all(|share| *share < 1.001), "one at a time");
    }

    #[test]
    fn every_worker_has_a_name_and_a_bar() {
        let worker = |name: &str, class, spans| Worker {
            name: name.to_owned(),
            class,
            spans,
        };
        let svg = gantt(
            &[
                worker("engine 0", "s0", vec![(0, 5)]),
                worker("link", "s1", vec![(5, 10)]),
                worker("idle", "s2", vec![]),
            ],
            10,
            "time, ms",
        );
        for name in ["engine 0", "link", "idle", "time, ms"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(svg.contains("class=\"s0\"") && svg.contains("class=\"s1\""));
        assert!(!svg.contains("class=\"s2\""), "nothing to draw");
    }
}
