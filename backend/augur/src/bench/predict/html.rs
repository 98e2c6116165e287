// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result of `augur bench predict` as a page: what each policy removes on
//! each trace, what degrees do, accuracy against coverage, and all figures.

use super::Line;
use crate::plot::{Axes, Page, SERIES, Table};

/// Policies that are compared by name, and their classes of colour.
const NAMED: [(&str, &str); 4] = [
    ("augur", "s0"),
    ("classic", "s2"),
    ("min", "s4"),
    ("clairvoyant", "s5"),
];
/// The class of the best baseline.
const BEST: &str = "s1";

/// What one trace came to.
struct Trace<'a> {
    name: &'a str,
    lines: Vec<&'a Line>,
}

impl<'a> Trace<'a> {
    fn named(&self, policy: &str) -> Option<&'a Line> {
        let mut lines = self.lines.iter();
        lines
            .find(|line| line.policy == policy && line.degree.is_none())
            .copied()
    }

    /// The best baseline at its best degree, in hindsight.
    fn best(&self) -> Option<&'a Line> {
        let baselines = self.lines.iter().filter(|line| line.degree.is_some());
        baselines
            .max_by(|a, b| a.stall_removed.total_cmp(&b.stall_removed))
            .copied()
    }
}

fn traces(lines: &[Line]) -> Vec<Trace<'_>> {
    let mut traces: Vec<Trace> = Vec::new();
    for line in lines {
        match traces.iter_mut().find(|trace| trace.name == line.trace) {
            Some(trace) => trace.lines.push(line),
            None => traces.push(Trace {
                name: &line.trace,
                lines: vec![line],
            }),
        }
    }
    traces
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

fn with_degree(line: &Line) -> String {
    match line.degree {
        Some(degree) => format!("{}/{degree}", line.policy),
        None => line.policy.to_owned(),
    }
}

/// The page of these lines, which were made with `settings`.
pub fn page(lines: &[Line], settings: &str) -> Page {
    let traces = traces(lines);
    let mut page = Page::new("Augur: prediction on access traces");
    page.text(settings);
    page.text(
        "Stall removed is 1 − stall ÷ stall of demand faults with LRU. \"Best\" is the best baseline on that trace \
         at its best degree, picked in hindsight.",
    );
    overview(&mut page, &traces);
    summary(&mut page, &traces);
    sweeps(&mut page, &traces);
    scatter(&mut page, &traces);
    everything(&mut page, lines);
    page
}

fn overview(page: &mut Page, traces: &[Trace]) {
    page.heading("Stall removed, by trace");
    let baseline = [(BEST, "best baseline in hindsight")];
    page.legend(
        baseline
            .into_iter()
            .chain(NAMED.map(|(name, class)| (class, name))),
    );
    let shown = traces.iter().flat_map(|trace| {
        let named = NAMED.iter().filter_map(|(name, _)| trace.named(name));
        named.chain(trace.best())
    });
    let lowest = shown.map(|line| line.stall_removed).fold(0.0, f64::min);
    let height = 60.0 + 24.0 * traces.len() as f64;
    let rows = traces.len() as f64;
    let mut axes = Axes::new(
        (1040.0, height),
        210.0,
        (100.0 * lowest.max(-1.0), 100.0),
        (0.0, rows),
    );
    axes.x_ticks(8, |value| format!("{value:.0}"));
    axes.x_title("stall removed, %");
    for (index, trace) in traces.iter().enumerate() {
        let y = rows - index as f64 - 0.5;
        axes.y_tick(
            y,
            trace.name.trim_end_matches(".zst").trim_end_matches(".csv"),
            "label",
        );
        // What is below the scale stands at its edge.
        let place = |line: &Line| 100.0 * line.stall_removed.max(-1.0);
        if let (Some(best), Some(augur)) = (trace.best(), trace.named("augur")) {
            axes.line("thin", &[(place(best), y), (place(augur), y)]);
        }
        let named = NAMED
            .iter()
            .rev()
            .filter_map(|(name, class)| trace.named(name).map(|line| (*class, line)));
        for (class, line) in trace
            .best()
            .map(|line| (BEST, line))
            .into_iter()
            .chain(named)
        {
            let title = format!("{}: {} %", with_degree(line), percent(line.stall_removed));
            axes.mark(class, (place(line), y), 5.0, &title);
        }
    }
    page.figure(&axes.finish("stall removed by trace and policy"), "");
}

fn summary(page: &mut Page, traces: &[Trace]) {
    let mut table = Table::new(&[
        "trace",
        "best baseline",
        "best",
        "classic",
        "augur",
        "augur − best",
        "accuracy",
        "coverage",
        "clairvoyant",
    ]);
    let mut gains = Vec::new();
    for trace in traces {
        let removed =
            |line: Option<&Line>| line.map_or("-".into(), |line| percent(line.stall_removed));
        let (best, augur) = (trace.best(), trace.named("augur"));
        let gain = best
            .zip(augur)
            .map(|(best, augur)| augur.stall_removed - best.stall_removed);
        gains.extend(gain);
        table.row([
            (trace.name.to_owned(), ""),
            (best.map_or("-".into(), with_degree), ""),
            (removed(best), ""),
            (removed(trace.named("classic")), ""),
            (removed(augur), ""),
            signed(gain),
            (
                augur
                    .and_then(|line| line.accuracy)
                    .map_or("-".into(), percent),
                "",
            ),
            (augur.map_or("-".into(), |line| percent(line.coverage)), ""),
            (removed(trace.named("clairvoyant")), ""),
        ]);
    }
    if !gains.is_empty() {
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        let worst = gains.iter().copied().fold(f64::INFINITY, f64::min);
        for (name, gain) in [("mean", mean), ("worst", worst)] {
            let blank = || (String::new(), "");
            let mut row = vec![(name.to_owned(), ""), blank(), blank(), blank(), blank()];
            row.push(signed(Some(gain)));
            row.extend([blank(), blank(), blank()]);
            table.row(row);
        }
    }
    page.table(&table, None);
}

/// A gain in points, losses in another colour.
fn signed(gain: Option<f64>) -> (String, &'static str) {
    match gain {
        Some(gain) if gain < 0.0 => (format!("{:+.2}", 100.0 * gain), "bad"),
        Some(gain) => (format!("{:+.2}", 100.0 * gain), "good"),
        None => ("-".into(), ""),
    }
}

fn sweeps(page: &mut Page, traces: &[Trace]) {
    let mut policies: Vec<&str> = Vec::new();
    for line in traces.iter().flat_map(|trace| &trace.lines) {
        if line.degree.is_some() && !policies.contains(&line.policy) {
            policies.push(line.policy);
        }
    }
    if policies.is_empty() {
        return;
    }
    page.heading("Baselines, by degree");
    let class = |index: usize| SERIES[index % SERIES.len()];
    page.legend(
        policies
            .iter()
            .enumerate()
            .map(|(index, name)| (class(index), *name)),
    );
    let mut figures = Vec::new();
    for trace in traces {
        let swept = trace.lines.iter().filter(|line| line.degree.is_some());
        let lowest = swept
            .map(|line| line.stall_removed)
            .fold(0.0, f64::min)
            .max(-1.0);
        let mut axes = Axes::new((340.0, 220.0), 44.0, (0.0, 5.0), (100.0 * lowest, 100.0));
        axes.y_ticks(4, |value| format!("{value:.0}"));
        for power in 0..=5 {
            axes.x_tick(f64::from(power), &(1_u32 << power).to_string());
        }
        axes.x_title("degree");
        for (index, policy) in policies.iter().enumerate() {
            let own = trace.lines.iter().filter(|line| line.policy == *policy);
            let mut points: Vec<(f64, f64)> = own
                .filter_map(|line| {
                    let removed = 100.0 * line.stall_removed.max(-1.0);
                    line.degree
                        .map(|degree| (f64::from(degree.max(1)).log2().min(5.0), removed))
                })
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            axes.line(class(index), &points);
        }
        if let Some(augur) = trace.named("augur") {
            let y = 100.0 * augur.stall_removed.max(-1.0);
            axes.line("thin reference", &[(0.0, y), (5.0, y)]);
        }
        figures.push((axes.finish(trace.name), trace.name.to_owned()));
    }
    page.figures(&figures);
    page.text("Stall removed in %, from −100 up; dashed: augur.");
}

fn scatter(page: &mut Page, traces: &[Trace]) {
    page.heading("Accuracy against coverage");
    page.legend([
        (BEST, "best baseline in hindsight"),
        ("s0", "augur"),
        ("s2", "classic"),
    ]);
    let mut axes = Axes::new((1040.0, 360.0), 50.0, (-20.0, 100.0), (0.0, 100.0));
    axes.x_ticks(8, |value| format!("{value:.0}"));
    axes.y_ticks(5, |value| format!("{value:.0}"));
    axes.x_title("faults covered, % (−20 and below at the edge)");
    for trace in traces {
        let shown = [
            (BEST, trace.best()),
            ("s2", trace.named("classic")),
            ("s0", trace.named("augur")),
        ];
        for (class, line) in shown {
            let Some((line, accuracy)) = line.and_then(|line| Some((line, line.accuracy?))) else {
                continue;
            };
            let at = (100.0 * line.coverage.max(-0.2), 100.0 * accuracy);
            axes.mark(
                class,
                at,
                4.5,
                &format!("{}: {}", trace.name, with_degree(line)),
            );
        }
    }
    page.figure(
        &axes.finish("accuracy against coverage"),
        "Upwards: used of what was mapped ahead, %. One mark for each trace.",
    );
}

fn everything(page: &mut Page, lines: &[Line]) {
    page.heading("All figures");
    let mut table = Table::new(&[
        "trace",
        "policy",
        "stall removed %",
        "faults",
        "late",
        "stall ms",
        "accuracy %",
        "coverage %",
        "moved MiB",
        "wasted MiB",
    ]);
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    for line in lines {
        let loss = if line.stall_removed < 0.0 { "bad" } else { "" };
        table.row([
            (line.trace.clone(), ""),
            (with_degree(line), ""),
            (percent(line.stall_removed), loss),
            (line.faults.to_string(), ""),
            (line.late.to_string(), ""),
            (format!("{:.1}", line.stall_ns as f64 / 1e6), ""),
            (line.accuracy.map_or("-".into(), percent), ""),
            (percent(line.coverage), ""),
            (mib(line.moved_bytes), ""),
            (mib(line.wasted_bytes), ""),
        ]);
    }
    page.table(&table, Some("every policy on every trace"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(trace: &str, policy: &'static str, degree: Option<u32>, removed: f64) -> Line {
        Line {
            trace: trace.to_owned(),
            policy,
            degree,
            accesses: 10,
            footprint_bytes: 4096,
            aperture_bytes: 4096,
            faults: 1,
            late: 0,
            stall_ns: 1,
            stall_removed: removed,
            accuracy: Some(0.5),
            coverage: removed,
            moved_bytes: 0,
            wasted_bytes: 0,
            infer_ns_p50: None,
            infer_ns_p99: None,
            model_bytes: None,
        }
    }

    #[test]
    fn the_best_is_picked_in_hindsight_and_losses_stand_out() {
        let lines = [
            line("a", "next4", Some(1), 0.1),
            line("a", "leap", Some(8), 0.6),
            line("a", "augur", None, 0.5),
            line("b", "next4", Some(4), -3.0),
            line("b", "augur", None, 0.25),
        ];
        let html = page(&lines, "settings").finish();
        assert!(html.contains("<td class=\"\">leap/8<td class=\"\">60.00"));
        assert!(html.contains("<td class=\"bad\">-10.00"));
        assert!(html.contains("<td class=\"good\">+325.00"));
        assert!(html.contains("<td class=\"good\">+157.50"), "the mean");
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    #[test]
    fn a_page_of_nothing_is_a_page() {
        assert!(page(&[], "").finish().ends_with("</html>\n"));
    }
}
