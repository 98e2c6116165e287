// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures: what was measured, over the repeats of one run, and what was hoped
//! for.

use std::fmt;

use serde::Serialize;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// 10^9 bytes per second.
    #[serde(rename = "GB/s")]
    GigabytesPerSecond,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// One figure over another of the same repeat.
    #[serde(rename = "ratio")]
    Ratio,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Microseconds => "us",
            Self::GigabytesPerSecond => "GB/s",
            Self::Seconds => "s",
            Self::Ratio => "x",
        })
    }
}

/// What a figure is hoped to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Aim {
    /// Whether a value reaches the aim.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
        })
    }
}

/// The least, the middle and the greatest of some samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of samples; `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) {
            *sorted.get(middle - 1)?
        } else {
            upper
        };
        Some(Self {
            min: *sorted.first()?,
            median: (lower + upper) / 2.0,
            max: *sorted.last()?,
        })
    }
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it belongs to.
    pub group: &'static str,
    /// What was measured.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// One value of each repeat.
    pub samples: Vec<f64>,
    /// What it is hoped to be; its median is compared.
    pub aim: Option<Aim>,
}

/// All figures of a run, in the order in which they first came.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    rows: Vec<Figure>,
}

impl Figures {
    /// No figures yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of one repeat.
    pub fn add(
        &mut self,
        group: &'static str,
        name: impl Into<String>,
        unit: Unit,
        aim: Option<Aim>,
        sample: f64,
    ) {
        let name = name.into();
        let known = |row: &&mut Figure| row.group == group && row.name == name;
        match self.rows.iter_mut().find(known) {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Figure {
                group,
                name,
                unit,
                samples: vec![sample],
                aim,
            }),
        }
    }

    /// The figures.
    pub fn rows(&self) -> &[Figure] {
        &self.rows
    }
}

/// Microseconds of nanoseconds.
pub fn microseconds(nanos: u64) -> f64 {
    nanos as f64 * 1e-3
}

/// 10^9 bytes per second, of bytes per second.
pub fn gigabytes(bytes_per_second: u64) -> f64 {
    bytes_per_second as f64 * 1e-9
}

/// `part / whole`; zero when there is no whole.
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_odd_and_even_counts() {
        let spread = |samples: &[f64]| Spread::of(samples).map(|s| (s.min, s.median, s.max));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 30.0]), Some((1.0, 3.0, 30.0)));
        assert_eq!(spread(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn repeats_of_a_figure_share_a_row_and_keep_the_order_of_rows() {
        let mut figures = Figures::new();
        for sample in [1.0, 5.0] {
            figures.add("a", "one", Unit::Seconds, None, sample);
            figures.add(
                "b",
                "one",
                Unit::Ratio,
                Some(Aim::AtLeast(2.0)),
                sample * 2.0,
            );
        }
        let rows: Vec<_> = figures
            .rows()
            .iter()
            .map(|row| (row.group, row.samples.clone()))
            .collect();
        assert_eq!(rows, [("a", vec![1.0, 5.0]), ("b", vec![2.0, 10.0])]);
    }

    #[test]
    fn an_aim_is_met_at_its_limit_and_on_one_side_of_it() {
        assert!(Aim::AtMost(15.0).is_met(15.0) && Aim::AtMost(15.0).is_met(1.0));
        assert!(!Aim::AtMost(15.0).is_met(15.1));
        assert!(Aim::AtLeast(0.9).is_met(0.9) && !Aim::AtLeast(0.9).is_met(0.89));
    }

    #[test]
    fn a_ratio_to_nothing_is_nothing() {
        assert_eq!((ratio(1.0, 4.0), ratio(1.0, 0.0)), (0.25, 0.0));
    }
}
