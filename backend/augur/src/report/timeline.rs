// SPDX-License-Identifier: MIT OR Apache-2.0
//! The timeline as SVG: bytes visible through the aperture over time, behind
//! them the job's steps as bands, and a tick for each stretch with faults.

use std::fmt::Write;

use super::job::{Job, Sample, Step};
use super::page::{escape, milliseconds};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 220.0;
/// Room above the curve for the names of the steps.
const TOP: f64 = 20.0;
/// Bands narrower than this carry no name.
const NAMED_BAND: f64 = 60.0;

/// The drawing, or a sentence when there is nothing to draw.
pub fn draw(job: &Job) -> String {
    let end = job.steps.iter().map(|step| step.start_nanos + step.nanos);
    let end = end
        .chain(job.timeline.iter().map(|sample| sample.nanos))
        .max()
        .unwrap_or(0);
    if job.timeline.is_empty() || end == 0 {
        return "<p>The job took no samples.</p>".into();
    }
    let across = |nanos: u64| nanos as f64 / end as f64 * WIDTH;
    let most = job
        .timeline
        .iter()
        .map(|sample| sample.window_bytes)
        .max()
        .unwrap_or(0)
        .max(1);
    let down = |bytes: u64| TOP + (HEIGHT - TOP) * (1.0 - bytes as f64 / most as f64);

    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"windows over time\">",
        HEIGHT + 20.0
    );
    // Names stand on top of the bands that come behind theirs.
    let mut names = String::new();
    for (index, step) in job.steps.iter().enumerate() {
        let left = across(step.start_nanos);
        let right = across(step.start_nanos + step.nanos);
        svg += &band(step, index, left, right);
        if right - left >= NAMED_BAND {
            let name = escape(&step.name);
            let _ = write!(
                names,
                "<text x=\"{:.1}\" y=\"14\">{name}</text>",
                left + 3.0
            );
        }
    }
    svg += &names;
    svg += &curve(&job.timeline, across, down);
    svg += &fault_ticks(&job.timeline, across);
    let label = |x: f64, anchor: &str, text: &str| {
        format!(
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>",
            HEIGHT + 16.0
        )
    };
    svg += &label(0.0, "start", "0 ms");
    svg += &label(WIDTH, "end", &milliseconds(end));
    svg += "</svg>";
    let most_mib = most as f64 / f64::from(1 << 20);
    let _ = write!(
        svg,
        "<p>Blue: bytes mapped into the aperture (peak {most_mib:.1} MiB). Red: demand faults.</p>"
    );
    svg
}

fn band(step: &Step, index: usize, left: f64, right: f64) -> String {
    let class = if index.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    let width = (right - left).max(0.5);
    let name = escape(&step.name);
    format!(
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\">\
         <title>{name}: {}</title></rect>",
        milliseconds(step.nanos)
    )
}

/// Steps, not slopes: between two samples nothing is known to have changed.
fn curve(samples: &[Sample], across: impl Fn(u64) -> f64, down: impl Fn(u64) -> f64) -> String {
    let mut path = String::new();
    for sample in samples {
        let (x, y) = (across(sample.nanos), down(sample.window_bytes));
        let _ = if path.is_empty() {
            write!(path, "M{x:.1} {y:.1}")
        } else {
            write!(path, "H{x:.1}V{y:.1}")
        };
    }
    format!("<path class=\"curve\" d=\"{path}\"/>")
}

fn fault_ticks(samples: &[Sample], across: impl Fn(u64) -> f64) -> String {
    let mut ticks = String::new();
    for pair in samples.windows(2) {
        if let [before, after] = pair
            && after.faults > before.faults
        {
            let (x, count) = (across(after.nanos), after.faults - before.faults);
            let _ = write!(
                ticks,
                "<line class=\"fault\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{HEIGHT}\">\
                 <title>{count} faults</title></line>",
                HEIGHT - 12.0
            );
        }
    }
    ticks
}
