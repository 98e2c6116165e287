// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schedule as a page: what each engine and the link did over time under
//! each unit of tracking, and how finely memory was tracked.

use augur_scheduler::simulate::Run;

use super::report::Row;
use crate::plot::{Axes, Page, SERIES, Table, cells};

/// Cells across a chart.
const COLUMNS: usize = 900;
/// Cells of one bar, of which the last is a gap.
const BAR: usize = 8;

/// One policy's figures and its run on the modelled card.
pub struct Picture {
    /// The figures.
    pub row: Row,
    /// The run.
    pub run: Run,
}

/// The page of a workload on `engines` engines, under each policy.
pub fn page(pictures: &[Picture], engines: usize) -> Page {
    let name = pictures.first().map_or("", |it| it.row.workload.as_str());
    let mut page = Page::new(&format!("Augur: the schedule of {name}"));
    let longest = pictures
        .iter()
        .map(|it| it.row.makespan_ns)
        .max()
        .unwrap_or(0);
    figures(&mut page, pictures);
    page.heading("Engines over time");
    page.text(
        "All charts have one scale of modelled time. Pale: busy for a part of the time in a cell.",
    );
    page.legend([
        ("s0", "an engine computes"),
        ("s1", "bytes wait for or pass the link"),
    ]);
    for picture in pictures {
        let row = &picture.row;
        let caption = format!(
            "{}: {:.3} ms, {:.2} × the lower bound",
            row.policy,
            row.makespan_ns as f64 / 1e6,
            row.makespan_ns as f64 / row.lower_bound_ns.max(1) as f64
        );
        page.figure(&gantt(&picture.run, engines, longest), &caption);
    }
    granularity(&mut page, pictures, longest);
    page
}

fn figures(page: &mut Page, pictures: &[Picture]) {
    let mut table = Table::new(&[
        "unit of tracking",
        "instructions",
        "edges",
        "critical path ms",
        "makespan ms",
        "× bound",
        "moved MB",
        "× compulsory",
        "splits",
        "merges",
    ]);
    let best = pictures.iter().map(|it| it.row.makespan_ns).min();
    for Picture { row, .. } in pictures {
        let ratio = |part: u64, whole: u64| format!("{:.2}", part as f64 / whole.max(1) as f64);
        let fastest = if Some(row.makespan_ns) == best {
            "good"
        } else {
            ""
        };
        table.row([
            (row.policy.clone(), ""),
            (row.instructions.to_string(), ""),
            (row.edges.to_string(), ""),
            (format!("{:.3}", row.critical_path_ns as f64 / 1e6), ""),
            (format!("{:.3}", row.makespan_ns as f64 / 1e6), fastest),
            (ratio(row.makespan_ns, row.lower_bound_ns), ""),
            (format!("{:.1}", row.moved_bytes as f64 / 1e6), ""),
            (ratio(row.moved_bytes, row.compulsory_bytes), ""),
            (row.splits.to_string(), ""),
            (row.merges.to_string(), ""),
        ]);
    }
    page.table(&table, None);
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

/// Engines, and below them the link, over `longest` nanoseconds.
fn gantt(run: &Run, engines: usize, longest: u64) -> String {
    let mut busy = vec![vec![0.0; COLUMNS]; engines + 1];
    for span in &run.spans {
        if let Some(cells) = busy.get_mut(span.engine) {
            cover(cells, span.start.0, span.end.0, longest);
        }
    }
    for transfer in &run.transfers {
        if let Some(cells) = busy.get_mut(engines) {
            cover(cells, transfer.asked.0, transfer.end.0, longest);
        }
    }
    let rows = busy.len();
    let height = 50.0 + (16.0 * rows as f64).min(420.0);
    let mut axes = Axes::new(
        (1040.0, height),
        80.0,
        (0.0, longest.max(1) as f64 / 1e6),
        (0.0, rows as f64),
    );
    let grid = (COLUMNS, rows * BAR);
    for (shade, opacity) in [(1, 0.3), (2, 0.6), (3, 1.0)] {
        for (class, from, to) in [("s0", 0, engines), ("s1", engines, rows)] {
            let mut path = String::new();
            for (row, busy) in busy.iter().enumerate().take(to).skip(from) {
                bars(&mut path, row * BAR, busy, shade);
            }
            axes.grid(class, opacity, grid, &path);
        }
    }
    axes.x_ticks(8, |value| format!("{value}"));
    axes.x_title("modelled time, ms");
    let every = rows.div_ceil(16);
    for row in (0..rows).filter(|row| row % every == 0 || row + 1 == rows) {
        let y = axes.y.at((rows - row) as f64 - 0.5) + 4.0;
        let name = if row == engines {
            "link".to_owned()
        } else {
            format!("engine {row}")
        };
        axes.label(72.0, y, "end", &name);
    }
    axes.finish("engines over time")
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

fn granularity(page: &mut Page, pictures: &[Picture], longest: u64) {
    let most = pictures.iter().flat_map(|it| &it.run.tracking);
    let most = most.map(|it| it.cells).max().unwrap_or(0);
    page.heading("Granularity over time");
    let class = |index: usize| SERIES[index % SERIES.len()];
    page.legend(
        pictures
            .iter()
            .enumerate()
            .map(|(index, it)| (class(index), it.row.policy.as_str())),
    );
    let power = (most.max(1) as f64).log10().max(1.0);
    let mut axes = Axes::new(
        (1040.0, 260.0),
        80.0,
        (0.0, longest.max(1) as f64 / 1e6),
        (0.0, power),
    );
    axes.x_ticks(8, |value| format!("{value}"));
    for step in 0..=power as i32 {
        axes.y_tick(
            f64::from(step),
            &10_u64.pow(step.unsigned_abs()).to_string(),
            "",
        );
    }
    axes.x_title("modelled time, ms");
    for (index, picture) in pictures.iter().enumerate() {
        let entries = &picture.run.tracking;
        let every = entries.len().div_ceil(COLUMNS).max(1);
        let sampled = entries.iter().step_by(every).chain(entries.last());
        let points: Vec<(f64, f64)> = sampled
            .map(|it| (it.at.0 as f64 / 1e6, (it.cells.max(1) as f64).log10()))
            .collect();
        axes.line(class(index), &points);
    }
    page.figure(
        &axes.finish("units tracked over time"),
        "Units of memory that are tracked when a batch has been analysed, logarithmic.",
    );
}

#[cfg(test)]
mod tests {
    use augur_scheduler::policy::Policy;
    use augur_scheduler::profile::Profile;
    use augur_scheduler::simulate::{Setup, simulate};
    use augur_scheduler::workload::Workload;

    use super::*;

    fn run(engines: usize) -> Run {
        let program = "resnet-block"
            .parse::<Workload>()
            .unwrap()
            .program()
            .unwrap();
        let setup = Setup {
            policy: Policy::Exact,
            engines,
            dma_engines: 2,
            profile: Profile::default(),
        };
        simulate(&program, setup).unwrap()
    }

    #[test]
    fn the_chart_is_as_busy_as_the_engines_were() {
        let run = run(2);
        let mut busy = vec![0.0; COLUMNS];
        for span in run.spans.iter().filter(|span| span.engine == 1) {
            cover(&mut busy, span.start.0, span.end.0, run.makespan.0);
        }
        let drawn: f64 = busy.iter().sum();
        let own = run.spans.iter().filter(|span| span.engine == 1);
        let worked: u64 = own.map(|span| span.end.0 - span.start.0).sum();
        let expected = worked as f64 / run.makespan.0 as f64 * COLUMNS as f64;
        assert!(
            (drawn - expected).abs() < 0.01 * expected,
            "{drawn} {expected}"
        );
        assert!(busy.iter().all(|share| *share < 1.001), "one at a time");
    }

    #[test]
    fn every_engine_and_the_link_have_a_bar() {
        let run = run(3);
        let svg = gantt(&run, 3, run.makespan.0);
        for name in ["engine 0", "engine 2", "link"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(svg.contains("class=\"s0\"") && svg.contains("class=\"s1\""));
    }
}
