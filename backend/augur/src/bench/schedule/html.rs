// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schedule as a page: what each engine and the link did over time under
//! each unit of tracking, and how finely memory was tracked.

use augur_scheduler::simulate::Run;

use super::report::Row;
use crate::plot::{Axes, COLUMNS, Page, SERIES, Table, Worker, gantt};

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
        page.figure(&chart(&picture.run, engines, longest), &caption);
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

/// Engines, and below them the link, over `longest` nanoseconds.
fn chart(run: &Run, engines: usize, longest: u64) -> String {
    let mut workers: Vec<Worker> = (0..engines)
        .map(|engine| Worker {
            name: format!("engine {engine}"),
            class: "s0",
            spans: Vec::new(),
        })
        .collect();
    for span in &run.spans {
        if let Some(worker) = workers.get_mut(span.engine) {
            worker.spans.push((span.start.0, span.end.0));
        }
    }
    let moves = run.transfers.iter();
    workers.push(Worker {
        name: "link".to_owned(),
        class: "s1",
        spans: moves.map(|it| (it.asked.0, it.end.0)).collect(),
    });
    gantt(&workers, longest, "modelled time, ms")
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
    fn every_engine_and_the_link_have_a_bar() {
        let run = run(3);
        let svg = chart(&run, 3, run.makespan.0);
        for name in ["engine 0", "engine 2", "link"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(svg.contains("class=\"s0\"") && svg.contains("class=\"s1\""));
    }
}
