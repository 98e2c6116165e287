// SPDX-License-Identifier: MIT OR Apache-2.0
//! The aperture over time under several ways of mapping: bytes visible, and windows
//! mapped on demand and ahead of use, used and taken back.

use serde::Deserialize;

use super::page::escape;
use crate::plot::Axes;

/// What a card had counted at one moment of a job.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct MappingSample {
    /// Nanoseconds since the job began.
    pub nanos: u64,
    /// Bytes visible through the aperture.
    pub window_bytes: u64,
    /// Windows mapped because a program waited for them.
    pub on_demand: u64,
    /// Windows mapped ahead of use.
    pub ahead: u64,
    /// Those of them that were used.
    pub ahead_used: u64,
    /// Windows that were taken back.
    pub evicted: u64,
}

/// What one way of mapping made of the jobs.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// How it mapped, and what came of it.
    pub caption: String,
    /// The jobs, one after another: name and samples.
    pub jobs: Vec<(String, Vec<MappingSample>)>,
}

/// A curve: class, name, what it shows.
type Curve = (&'static str, &'static str, fn(&MappingSample) -> u64);

const CURVES: [Curve; 4] = [
    ("s5", "mapped on demand", |sample| sample.on_demand),
    ("s0", "mapped ahead of use", |sample| sample.ahead),
    ("s2", "of them used", |sample| sample.ahead_used),
    ("s7", "taken back", |sample| sample.evicted),
];

const WIDTH: f64 = 1040.0;
const LEFT: f64 = 80.0;

impl Mapping {
    /// Each job with when it begins, in nanoseconds from the first one's begin.
    fn placed(&self) -> impl Iterator<Item = (u64, &str, &[MappingSample])> {
        let mut begin = 0;
        self.jobs.iter().map(move |(name, samples)| {
            let place = (begin, name.as_str(), samples.as_slice());
            begin += samples.last().map_or(0, |sample| sample.nanos);
            place
        })
    }

    fn length(&self) -> u64 {
        let ends = self.jobs.iter().filter_map(|(_, samples)| samples.last());
        ends.map(|sample| sample.nanos).sum()
    }

    fn most(&self, of: impl Fn(&MappingSample) -> u64) -> u64 {
        let samples = self.jobs.iter().flat_map(|(_, samples)| samples);
        samples.map(of).max().unwrap_or(0)
    }

    /// Bytes that are visible over time.
    fn visible(&self, length: f64, most: f64) -> String {
        let mut axes = Axes::new((WIDTH, 110.0), LEFT, (0.0, length), (0.0, most));
        axes.y_ticks(2, |value| format!("{value} MiB"));
        for (begin, name, samples) in self.placed() {
            // As long as nothing changes it is one bar.
            for same in samples.chunk_by(|a, b| a.window_bytes == b.window_bytes) {
                let (Some(now), Some(last)) = (same.first(), same.last()) else {
                    continue;
                };
                let next = samples.iter().find(|sample| sample.nanos > last.nanos);
                let end = next.unwrap_or(last).nanos;
                let bytes = now.window_bytes as f64 / f64::from(1 << 20);
                let (from, to) = (milliseconds(begin + now.nanos), milliseconds(begin + end));
                axes.bar("s1", (from, to), (0.0, bytes));
            }
            let x = axes.x.at(milliseconds(begin)) + 4.0;
            axes.label(x, 10.0, "start", name);
        }
        axes.finish("bytes visible through the aperture over time")
    }

    /// Windows over time, counted from each job's begin.
    fn windows(&self, length: f64, most: f64) -> String {
        let mut axes = Axes::new((WIDTH, 190.0), LEFT, (0.0, length), (0.0, most));
        axes.x_ticks(8, |value| format!("{value}"));
        axes.y_ticks(4, |value| format!("{value}"));
        axes.x_title("guest wall time, ms");
        for (begin, _, samples) in self.placed() {
            for (class, _, of) in CURVES {
                // Windows on their way are counted as mapped ahead before they are
                // mapped, which would take them from those on demand for a moment.
                let mut most = 0;
                let points: Vec<(f64, f64)> = samples
                    .iter()
                    .map(|sample| {
                        most = of(sample).max(most);
                        (milliseconds(begin + sample.nanos), most as f64)
                    })
                    .collect();
                axes.line(class, &points);
            }
        }
        axes.finish("windows mapped and taken back over time")
    }
}

fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// The drawings, all to one scale of windows and bytes; each has the time that it took.
pub fn compared(mappings: &[Mapping]) -> String {
    let longest = mappings.iter().map(Mapping::length).max().unwrap_or(0);
    if longest == 0 {
        return String::new();
    }
    let longest = milliseconds(longest);
    let most = |of: fn(&MappingSample) -> u64| {
        let all = mappings.iter().map(|mapping| mapping.most(of));
        all.max().unwrap_or(0).max(1) as f64
    };
    let bytes = most(|sample| sample.window_bytes) / f64::from(1 << 20);
    let windows = CURVES
        .map(|(_, _, of)| most(of))
        .into_iter()
        .fold(1.0, f64::max);
    let mut html = String::from(
        "<h2>Mapping on demand and ahead of use</h2><p class=\"quiet\">The same two jobs with all of their data \
         through a small aperture. Above bytes that are visible, below windows since the job's begin; \
         comparisons with downloads are part of the time here.</p><div class=\"legend\">",
    );
    for (class, name, _) in CURVES {
        html += &format!("<span class=\"{class}\"><i></i><b>{name}</b></span>");
    }
    html += "</div>";
    for mapping in mappings {
        html += &format!(
            "<figure>{}{}<figcaption>{}</figcaption></figure>",
            mapping.visible(longest, bytes),
            mapping.windows(longest, windows),
            escape(&mapping.caption)
        );
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        let sample = |nanos, ahead| MappingSample {
            nanos,
            window_bytes: 1 << 20,
            ahead,
            ..MappingSample::default()
        };
        let job = |name: &str| {
            let samples = vec![sample(0, 0), sample(1_000_000, 3), sample(2_000_000, 8)];
            (name.to_owned(), samples)
        };
        Mapping {
            caption: "<full>".to_owned(),
            jobs: vec![job("image"), job("matmul")],
        }
    }

    #[test]
    fn jobs_stand_one_after_another_and_share_a_scale() {
        let mapping = mapping();
        let begins: Vec<_> = mapping.placed().map(|(begin, ..)| begin).collect();
        assert_eq!((begins, mapping.length()), (vec![0, 2_000_000], 4_000_000));
        let html = compared(&[mapping.clone(), mapping]);
        assert_eq!(html.matches("<svg").count(), 4);
        assert!(html.contains("&lt;full&gt;") && html.contains(">matmul<"));
        assert!(!html.contains("NaN") && !html.contains("inf"));
        assert_eq!(compared(&[]), "");
    }
}
