// SPDX-License-Identifier: MIT OR Apache-2.0
//! What jobs took with each way of mapping, side by side: the table, and what the
//! report draws. Knows nothing of guests and cards.

use std::time::Duration;

use augur_card::PredictorMode;
use serde::Deserialize;

use super::APERTURE;
use crate::report::{Mapping, MappingSample};
use crate::size::Size;

/// What one kind of job took on one card, as the guest's program prints it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Figure {
    job: String,
    bytes: u64,
    demand_faults: u64,
    elapsed_ns: u64,
    maps_ahead: u64,
    ahead_used: u64,
    wrong: u64,
    rounds: Vec<Round>,
    timeline: Vec<MappingSample>,
}

/// One of several rounds of the same work.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Round {
    wall_ns: u64,
    aperture_ns: u64,
}

impl Figure {
    /// The middle one of the rounds' times.
    fn round_ns(&self, of: impl Fn(&Round) -> u64) -> u64 {
        let mut times: Vec<u64> = self.rounds.iter().map(of).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    fn wall_ns(&self) -> u64 {
        self.round_ns(|round| round.wall_ns)
    }

    /// Bytes through the aperture in a second.
    fn rate(&self) -> f64 {
        let bytes = self.bytes as f64 / self.rounds.len().max(1) as f64;
        bytes * 1e9 / self.round_ns(|round| round.aperture_ns).max(1) as f64
    }
}

/// A way of mapping, and what it gave.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub mode: PredictorMode,
    pub window: Size,
    pub figures: Vec<Figure>,
    /// Processor time of the card's threads that predict and learn.
    pub learning: Duration,
}

impl Row {
    fn sum(&self, of: impl Fn(&Figure) -> u64) -> u64 {
        self.figures.iter().map(of).sum()
    }

    /// A round of each job.
    fn wall_ns(&self) -> u64 {
        self.sum(Figure::wall_ns)
    }

    fn demand_faults(&self) -> u64 {
        self.sum(|figure| figure.demand_faults)
    }
}

/// All ways of mapping side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub(super) rows: Vec<Row>,
}

impl Comparison {
    /// Whether every result was what DMA downloads.
    pub fn all_right(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.sum(|figure| figure.wrong) == 0)
    }

    /// The demand window with which mapping on demand took the least time.
    fn best_on_demand(&self) -> Option<&Row> {
        self.rows
            .iter()
            .filter(|row| row.mode == PredictorMode::Off)
            .min_by_key(|row| row.wall_ns())
    }

    /// The aperture over time with the best window on demand and with each predictor,
    /// for the report.
    pub fn recorded(&self) -> Vec<Mapping> {
        let ahead = self.rows.iter();
        let ahead = ahead.filter(|row| row.mode != PredictorMode::Off);
        let rows = self.best_on_demand().into_iter().chain(ahead);
        rows.map(|row| Mapping {
            caption: format!(
                "{}, demand windows of {}: {} demand faults, {:.0} ms a round",
                row.mode,
                row.window,
                row.demand_faults(),
                row.wall_ns() as f64 * 1e-6
            ),
            jobs: row
                .figures
                .iter()
                .map(|figure| (figure.job.clone(), figure.timeline.clone()))
                .collect(),
        })
        .collect()
    }

    /// The table, with what it says in a sentence for each predictor.
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let jobs: Vec<&str> = self.rows.first().map_or(Vec::new(), |row| {
            row.figures
                .iter()
                .map(|figure| figure.job.as_str())
                .collect()
        });
        let moved = self
            .rows
            .first()
            .map_or(0, |row| row.sum(|figure| figure.bytes))
            >> 20;
        let mut text = format!(
            "mapping ahead of use: {moved} MiB for each row through an aperture of {APERTURE}\n\
             {:<9}{:>7}",
            "predictor", "window"
        );
        for job in &jobs {
            let _ = write!(
                text,
                " |{:>15}{:>10}{:>7}",
                format!("{job}: faults"),
                "ms/round",
                "GB/s"
            );
        }
        text += " | mapped ahead   used learning   of all\n";
        let best = self.best_on_demand();
        for row in &self.rows {
            let _ = write!(text, "{:<9}{:>7}", row.mode.name(), row.window.to_string());
            for figure in &row.figures {
                let _ = write!(
                    text,
                    " |{:>15}{:>10.1}{:>7.2}",
                    figure.demand_faults,
                    figure.wall_ns() as f64 * 1e-6,
                    figure.rate() * 1e-9
                );
            }
            let mapped = row.sum(|figure| figure.maps_ahead);
            let used = row.sum(|figure| figure.ahead_used);
            let share = if mapped == 0 {
                "-".to_owned()
            } else {
                format!("{:.0} %", used as f64 / mapped as f64 * 100.0)
            };
            let mark = if best.is_some_and(|best| best.window == row.window)
                && row.mode == PredictorMode::Off
            {
                "  best on demand"
            } else {
                ""
            };
            // Of one processor: of the jobs' time, and of all that was done on the card.
            // Comparisons with downloads are no part of the first, but the threads work
            // then too, so that it is too much rather than too little.
            let learning = row.learning.as_nanos() as f64 * 100.0;
            let wall = |figure: &Figure| figure.rounds.iter().map(|round| round.wall_ns).sum();
            let of_jobs = learning / row.sum(wall).max(1) as f64;
            let of_all = learning / row.sum(|figure| figure.elapsed_ns).max(1) as f64;
            let _ = writeln!(
                text,
                " |{mapped:>13}{share:>7}{of_jobs:>7.1} %{of_all:>7.1} %{mark}"
            );
        }
        if let Some(best) = best {
            for row in self
                .rows
                .iter()
                .filter(|row| row.mode != PredictorMode::Off)
            {
                text += &against(row, best);
            }
        }
        if !self.all_right() {
            text += "wrong: a result differs from what DMA downloads\n";
        }
        text
    }
}

fn against(row: &Row, best: &Row) -> String {
    let share = |now: u64, before: u64| 100.0 * (1.0 - now as f64 / before.max(1) as f64);
    let each: Vec<String> = row
        .figures
        .iter()
        .zip(&best.figures)
        .map(|(now, before)| {
            format!(
                "{}: {:.0} % fewer demand faults, {:.2} times as fast",
                now.job,
                share(now.demand_faults, before.demand_faults),
                before.wall_ns() as f64 / now.wall_ns().max(1) as f64
            )
        })
        .collect();
    format!(
        "{} against on demand with {}: {:.0} % fewer demand faults; {}\n",
        row.mode,
        best.window,
        share(row.demand_faults(), best.demand_faults()),
        each.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mode: PredictorMode, window: u64, faults: u64, wall_ns: u64) -> Row {
        Row {
            mode,
            window: Size(window << 10),
            figures: vec![Figure {
                job: "image".into(),
                bytes: 256 << 20,
                demand_faults: faults,
                elapsed_ns: 6 * wall_ns,
                maps_ahead: 50,
                ahead_used: 40,
                wrong: 0,
                rounds: [wall_ns / 2, wall_ns, wall_ns * 3 / 2]
                    .map(|wall_ns| Round {
                        wall_ns,
                        aperture_ns: wall_ns / 2,
                    })
                    .to_vec(),
                timeline: Vec::new(),
            }],
            learning: Duration::from_nanos(3 * wall_ns / 20),
        }
    }

    #[test]
    fn predictions_are_compared_with_the_fastest_window_on_demand() {
        let comparison = Comparison {
            rows: vec![
                row(PredictorMode::Off, 64, 4000, 900_000_000),
                row(PredictorMode::Off, 1024, 250, 600_000_000),
                row(PredictorMode::Full, 256, 25, 400_000_000),
            ],
        };
        let table = comparison.table();
        assert!(
            table.contains("full against on demand with 1M: 90 % fewer demand faults; image: 90 % fewer demand faults, 1.50 times as fast"),
            "{table}"
        );
        assert!(table.contains("80 %"), "{table}");
        assert!(table.contains(" 5.0 %    2.5 %"), "{table}");
        assert!(comparison.all_right());
    }
}
