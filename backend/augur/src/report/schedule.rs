// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schedule that a card has recorded: what its engines and channels did over
//! time, and how finely it tracked memory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::page::escape;
use crate::plot::{Axes, COLUMNS, SERIES, Worker, gantt};

/// Decisions that are shown.
const DECISIONS: usize = 40;

/// A command, from when an engine took it until it had ended.
#[derive(Clone, Debug, Deserialize)]
struct Span {
    unit: String,
    engine: usize,
    list: u32,
    context: u32,
    start_ns: u64,
    end_ns: u64,
}

/// How memory was tracked at one moment.
#[derive(Clone, Debug, Deserialize)]
struct Tracking {
    at_ns: u64,
    regions: u64,
}

/// Why that changed.
#[derive(Clone, Debug, Deserialize)]
struct Decision {
    at_ns: u64,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Span(Span),
    Tracking(Tracking),
    Decision(Decision),
}

/// What a card has recorded.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    spans: Vec<Span>,
    tracking: Vec<Tracking>,
    decisions: Vec<Decision>,
}

/// A recorded schedule with what stands below its picture.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// A short name.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// What was recorded.
    pub schedule: Schedule,
}

impl Schedule {
    /// Reads what a card has written.
    ///
    /// # Errors
    /// When the file is not there or not a schedule.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut schedule = Self::default();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.with_context(|| path.display().to_string())?;
            let parsed = serde_json::from_str(&line)
                .with_context(|| format!("{}:{}", path.display(), number + 1))?;
            match parsed {
                Line::Span(span) => schedule.spans.push(span),
                Line::Tracking(tracking) => schedule.tracking.push(tracking),
                Line::Decision(decision) => schedule.decisions.push(decision),
            }
        }
        Ok(schedule)
    }

    /// The part in which the fastest of the lists with `commands` commands ran.
    pub fn fastest_list(&self, commands: usize) -> Self {
        let mut lists = std::collections::BTreeMap::<_, (usize, u64, u64)>::new();
        for span in &self.spans {
            let entry = lists.entry((span.context, span.list));
            let (count, start, end) = entry.or_insert((0, u64::MAX, 0));
            *count += 1;
            *start = span.start_ns.min(*start);
            *end = span.end_ns.max(*end);
        }
        let whole = lists.into_values().filter(|(count, ..)| *count == commands);
        let Some((_, start, end)) = whole.min_by_key(|(_, start, end)| end - start) else {
            return Self::default();
        };
        let within = |at: u64| (start..=end).contains(&at);
        Self {
            spans: self
                .spans
                .iter()
                .filter(|span| within(span.start_ns))
                .cloned()
                .collect(),
            tracking: self
                .tracking
                .iter()
                .filter(|it| within(it.at_ns))
                .cloned()
                .collect(),
            decisions: self.decisions.clone(),
        }
    }

    fn start(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.start_ns)
            .min()
            .unwrap_or(0)
    }

    fn length(&self) -> u64 {
        let end = self.spans.iter().map(|span| span.end_ns).max();
        end.unwrap_or(0) - self.start()
    }

    /// Engines and channels over `longest` nanoseconds.
    fn chart(&self, longest: u64) -> String {
        let start = self.start();
        let mut workers: Vec<((&str, usize), Worker)> = Vec::new();
        for span in &self.spans {
            let key = (span.unit.as_str(), span.engine);
            let at = workers.partition_point(|(known, _)| *known < key);
            if workers.get(at).is_none_or(|(known, _)| *known != key) {
                let class = if span.unit == "dma" { "s1" } else { "s0" };
                let worker = Worker {
                    name: format!("{} {}", span.unit, span.engine),
                    class,
                    spans: Vec::new(),
                };
                workers.insert(at, (key, worker));
            }
            if let Some((_, worker)) = workers.get_mut(at) {
                worker
                    .spans
                    .push((span.start_ns - start, span.end_ns - start));
            }
        }
        let workers: Vec<Worker> = workers.into_iter().map(|(_, worker)| worker).collect();
        gantt(&workers, longest, "card's own time, ms")
    }
}

/// The schedule of the whole job on one card.
pub fn of_job(schedule: &Schedule) -> String {
    if schedule.spans.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Engines over time</h2><p class=\"quiet\">What the card's compute engines and DMA channels did in this job; \
         pale: busy for a part of the time.</p><figure>{}</figure>",
        schedule.chart(schedule.length())
    )
}

/// One list under several units of tracking, on one scale of time.
pub fn compared(recorded: &[Recorded]) -> String {
    let longest = recorded.iter().map(|it| it.schedule.length()).max();
    let Some(longest) = longest else {
        return String::new();
    };
    let mut html = String::from(
        "<h2>One command list under several units of tracking</h2><p class=\"quiet\">A Cholesky factorisation, \
         tile by tile, the fastest round on each card.</p>",
    );
    for it in recorded {
        html += &format!(
            "<figure>{}<figcaption>{}</figcaption></figure>",
            it.schedule.chart(longest),
            escape(&it.caption)
        );
    }
    html += &granularity(recorded, longest);
    let decided: Vec<&Recorded> = recorded
        .iter()
        .filter(|it| !it.schedule.decisions.is_empty())
        .collect();
    for it in decided {
        let all = it.schedule.decisions.len();
        html += &format!(
            "<details><summary>{}: {all} changes of granularity and why</summary><ul>",
            escape(&it.name)
        );
        for decision in it.schedule.decisions.iter().take(DECISIONS) {
            let at = decision.at_ns as f64 / 1e6;
            html += &format!("<li>{at:.1} ms: {}</li>", escape(&decision.text));
        }
        html += "</ul></details>";
    }
    html
}

fn granularity(recorded: &[Recorded], longest: u64) -> String {
    let all = recorded.iter().flat_map(|it| &it.schedule.tracking);
    let most = all.map(|it| it.regions).max().unwrap_or(0).max(10) as f64;
    let longest = longest.max(1) as f64 / 1e6;
    let mut axes = Axes::new((1040.0, 220.0), 80.0, (0.0, longest), (0.0, most.log10()));
    axes.x_ticks(8, |value| format!("{value}"));
    for power in 0..=most.log10() as i32 {
        axes.y_tick(
            power.into(),
            &10_u64.pow(power.unsigned_abs()).to_string(),
            "",
        );
    }
    axes.x_title("card's own time, ms");
    let mut legend = String::from("<div class=\"legend\">");
    for (index, it) in recorded.iter().enumerate() {
        let class = SERIES[index % SERIES.len()];
        let name = escape(&it.name);
        legend += &format!("<span class=\"{class}\"><i></i><b>{name}</b></span>");
        let start = it.schedule.start();
        let samples = &it.schedule.tracking;
        let every = samples.len().div_ceil(COLUMNS).max(1);
        let points: Vec<(f64, f64)> = samples
            .iter()
            .step_by(every)
            .map(|it| {
                (
                    it.at_ns.saturating_sub(start) as f64 / 1e6,
                    (it.regions.max(1) as f64).log10(),
                )
            })
            .collect();
        axes.line(class, &points);
    }
    format!(
        "<h2>Granularity over time</h2>{legend}</div><figure>{}<figcaption>Regions that the card tracks, \
         logarithmic.</figcaption></figure>",
        axes.finish("regions tracked over time")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"tracking":{"at_ns":90,"context":1,"regions":4,"edges":2,"splits":1,"merges":0}}
{"span":{"unit":"dma","engine":0,"context":1,"list":1,"command":0,"operation":"transfer in","start_ns":10,"end_ns":90}}
{"span":{"unit":"compute","engine":1,"context":1,"list":2,"command":0,"operation":"matmul","start_ns":100,"end_ns":300}}
{"span":{"unit":"compute","engine":0,"context":1,"list":2,"command":1,"operation":"matmul","start_ns":110,"end_ns":310}}
{"decision":{"at_ns":120,"context":1,"text":"object 0x0 is split: <why>"}}
{"span":{"unit":"compute","engine":0,"context":1,"list":3,"command":0,"operation":"matmul","start_ns":400,"end_ns":450}}
{"span":{"unit":"compute","engine":1,"context":1,"list":3,"command":1,"operation":"matmul","start_ns":410,"end_ns":460}}
"#;

    fn schedule() -> Schedule {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), LINES).unwrap();
        Schedule::read(file.path()).unwrap()
    }

    #[test]
    fn the_fastest_list_is_cut_out() {
        let whole = schedule();
        assert_eq!((whole.start(), whole.length()), (10, 450));
        let fastest = whole.fastest_list(2);
        assert_eq!((fastest.start(), fastest.length()), (400, 60));
        assert!(whole.fastest_list(3).spans.is_empty());
    }

    #[test]
    fn engines_channels_and_reasons_are_shown() {
        let html = of_job(&schedule());
        for name in ["compute 0", "compute 1", "dma 0"] {
            assert!(html.contains(name), "{name}");
        }
        let html = compared(&[Recorded {
            name: "exact".into(),
            caption: "a & b".into(),
            schedule: schedule(),
        }]);
        assert!(html.contains("a &amp; b") && html.contains("&lt;why&gt;"));
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"span\":{}}\n").unwrap();
        let error = Schedule::read(file.path()).unwrap_err().to_string();
        assert!(error.ends_with(":1"), "{error}");
    }
}
