// SPDX-License-Identifier: MIT OR Apache-2.0
//! A picture of one run: addresses over time with what each touch met, and the
//! windows that were mapped, sampled to a grid as the run goes along.

use std::collections::HashMap;

use augur_memory::{Nanos, PageNumber};
use augur_predictor::Origin;

use super::{Probe, Workload};
use crate::plot::{Axes, cells};

/// Cells across.
pub const COLUMNS: usize = 500;
/// Cells down.
pub const ROWS: usize = 220;
/// Steps of the shade of windows.
const SHADES: usize = 4;

/// What the touches in a cell met; of several the last of these counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    #[default]
    Nothing,
    Hit,
    Ahead,
    Fault,
}

/// One thing that happened.
#[derive(Clone, Copy)]
struct Event {
    time: u64,
    row: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Touch(Met),
    Mapped,
    Unmapped,
}

/// Records what a picture needs.
pub struct Picture {
    /// Of each page, its rank by address.
    ranks: HashMap<PageNumber, u32, rustc_hash::FxBuildHasher>,
    sorted: Vec<PageNumber>,
    events: Vec<Event>,
}

impl Picture {
    /// A picture of a run of `workload`.
    pub fn new(workload: &Workload) -> Self {
        let mut sorted = workload.pages.clone();
        sorted.sort_unstable_by_key(|page| page.0);
        let ranks = sorted.iter().zip(0..).map(|(page, rank)| (*page, rank));
        Self {
            ranks: ranks.collect(),
            sorted,
            events: Vec::new(),
        }
    }

    fn push(&mut self, now: Nanos, page: PageNumber, kind: Kind) {
        if let Some(&rank) = self.ranks.get(&page) {
            let row = u64::from(rank) * ROWS as u64 / self.sorted.len().max(1) as u64;
            self.events.push(Event {
                time: now.0,
                row: row as u32,
                kind,
            });
        }
    }

    fn end(&self) -> u64 {
        self.events
            .iter()
            .map(|event| event.time)
            .max()
            .unwrap_or(0)
            .max(1)
    }

    fn column(&self, time: u64) -> usize {
        (u128::from(time) * COLUMNS as u128 / (u128::from(self.end()) + 1)) as usize
    }

    /// Addresses over time.
    pub fn addresses(&self) -> String {
        let end = self.end();
        let column =
            |time: u64| (u128::from(time) * COLUMNS as u128 / (u128::from(end) + 1)) as usize;
        let mut met = vec![Met::Nothing; COLUMNS * ROWS];
        // Changes of the number of windows of a row, summed up below.
        let mut change = vec![0_i64; COLUMNS * ROWS];
        for event in &self.events {
            // Low addresses are at the bottom.
            let row = ROWS - 1 - event.row as usize;
            let place = row * COLUMNS + column(event.time);
            match event.kind {
                Kind::Touch(kind) => met[place] = met[place].max(kind),
                Kind::Mapped => change[place] += 1,
                Kind::Unmapped => change[place] -= 1,
            }
        }
        let per_row = (self.sorted.len() as f64 / ROWS as f64).max(1.0);
        let mut shades = vec![0_usize; COLUMNS * ROWS];
        for (shades, change) in shades.chunks_mut(COLUMNS).zip(change.chunks(COLUMNS)) {
            let mut windows = 0;
            for (shade, change) in shades.iter_mut().zip(change) {
                windows += change;
                let share = windows as f64 / per_row * SHADES as f64;
                *shade = (share.ceil().max(0.0) as usize).min(SHADES);
            }
        }
        let most = self.sorted.len() as f64;
        let mut axes = Axes::new(
            (1040.0, 500.0),
            120.0,
            (0.0, end as f64 / 1e6),
            (0.0, most.max(1.0)),
        );
        for shade in 1..=SHADES {
            let path = runs(&shades, &shade);
            axes.grid("s2", 0.12 * shade as f64, (COLUMNS, ROWS), &path);
        }
        for (kind, class) in [(Met::Hit, "thin"), (Met::Ahead, "s0"), (Met::Fault, "s3")] {
            let path = runs(&met, &kind);
            axes.grid(class, 1.0, (COLUMNS, ROWS), &path);
        }
        axes.x_ticks(8, |value| format!("{value}"));
        axes.x_title("time of the run, ms");
        for step in 0..=6 {
            let index = (self.sorted.len().saturating_sub(1)) * step / 6;
            if let Some(page) = self.sorted.get(index) {
                axes.y_tick(
                    index as f64,
                    &format!("{:#x}", page.0 << augur_memory::PAGE_SHIFT),
                    "",
                );
            }
        }
        axes.finish("addresses over time")
    }

    /// What touches met, in percent, over time.
    pub fn shares(&self) -> String {
        const BARS: usize = 125;
        let mut counts = vec![[0_u64; 3]; BARS];
        for event in &self.events {
            let Kind::Touch(met) = event.kind else {
                continue;
            };
            let bar = self.column(event.time) * BARS / COLUMNS;
            let kind = match met {
                Met::Fault => 0,
                Met::Ahead => 1,
                Met::Hit | Met::Nothing => 2,
            };
            if let Some(count) = counts.get_mut(bar) {
                count[kind] += 1;
            }
        }
        let end = self.end() as f64 / 1e6;
        let mut axes = Axes::new((1040.0, 170.0), 120.0, (0.0, end), (0.0, 100.0));
        axes.x_ticks(8, |value| format!("{value}"));
        axes.y_ticks(2, |value| format!("{value:.0} %"));
        for (index, count) in counts.iter().enumerate() {
            let total = count.iter().sum::<u64>().max(1) as f64;
            let x = |bar: usize| bar as f64 / BARS as f64 * end;
            let mut low = 0.0;
            for (count, class) in count.iter().zip(["s3", "s0"]) {
                let high = low + 100.0 * *count as f64 / total;
                axes.bar(class, (x(index), x(index + 1)), (low, high));
                low = high;
            }
        }
        axes.finish("faults and first touches over time, of all touches")
    }
}

/// The runs of cells that are `wanted`, row by row.
fn runs<T: PartialEq>(grid: &[T], wanted: &T) -> String {
    let mut path = String::new();
    for (y, row) in grid.chunks(COLUMNS).enumerate() {
        let mut start = None;
        for x in 0..=row.len() {
            let here = row.get(x).is_some_and(|cell| cell == wanted);
            match (here, start) {
                (true, None) => start = Some(x),
                (false, Some(first)) => {
                    cells(&mut path, first, y, x - first);
                    start = None;
                }
                _ => {}
            }
        }
    }
    path
}

impl Probe for Picture {
    fn touch(&mut self, now: Nanos, page: PageNumber, origin: Option<Origin>, _stall: Nanos) {
        let met = match origin {
            Some(Origin::Fault) => Met::Fault,
            Some(Origin::FirstTouch) => Met::Ahead,
            _ => Met::Hit,
        };
        self.push(now, page, Kind::Touch(met));
    }

    fn mapped(&mut self, now: Nanos, page: PageNumber) {
        self.push(now, page, Kind::Mapped);
    }

    fn unmapped(&mut self, now: Nanos, page: PageNumber) {
        self.push(now, page, Kind::Unmapped);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind as PolicyKind, Observe, Options, run_probed};
    use super::*;
    use crate::trace::Record;

    fn picture(kind: PolicyKind) -> (Picture, u64) {
        let records: Vec<Record> = (0..600_u64)
            .map(|index| Record {
                time_ns: index * 10_000,
                stream: 0,
                write: false,
                offset: (index % 300) << 12,
                bytes: 4096,
            })
            .collect();
        let workload = Workload::new(&records);
        let options = Options {
            aperture: 0.25,
            observe: Observe::All,
            seed: 1,
        };
        let probe = Picture::new(&workload);
        let (outcome, picture) = run_probed(&workload, kind, &options, probe).unwrap();
        (picture, outcome.faults)
    }

    #[test]
    fn faults_and_windows_are_those_of_the_run() {
        let (picture, faults) = picture(PolicyKind::None);
        let count = |kind| {
            picture
                .events
                .iter()
                .filter(|event| event.kind == kind)
                .count()
        };
        assert_eq!(count(Kind::Touch(Met::Fault)) as u64, faults);
        assert_eq!(count(Kind::Mapped) as u64, faults, "each fault maps a page");
        assert_eq!(
            count(Kind::Mapped) - count(Kind::Unmapped),
            75,
            "the aperture is full"
        );
        let svg = picture.addresses();
        assert!(svg.contains("class=\"s3\"") && svg.contains("class=\"s2\""));
        assert!(!svg.contains("class=\"s0\""), "nothing was mapped ahead");
    }

    #[test]
    fn what_was_mapped_ahead_is_seen() {
        let (picture, _) = picture(PolicyKind::Clairvoyant);
        assert!(picture.addresses().contains("class=\"s0\""));
        assert!(picture.shares().contains("class=\"fill s0\""));
    }

    #[test]
    fn runs_join_neighbours() {
        let mut grid = vec![0; 2 * COLUMNS];
        for index in [3, 4, 5, COLUMNS, 2 * COLUMNS - 1] {
            grid[index] = 1;
        }
        assert_eq!(runs(&grid, &1), "M3 0h3M0 1h1M499 1h1");
    }
}
