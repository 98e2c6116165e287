// SPDX-License-Identifier: MIT OR Apache-2.0
//! A drawing with two axes: from values to places, ticks at round values.

use std::fmt::Write;

use super::escape;

/// From values to places along one axis.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// The place of `value`.
    pub fn at(&self, value: f64) -> f64 {
        let span = self.to - self.from;
        let share = if span == 0.0 {
            0.0
        } else {
            (value - self.from) / span
        };
        self.start + share * (self.end - self.start)
    }

    /// Round values, `wanted` or somewhat more.
    pub fn ticks(&self, wanted: u32) -> Vec<f64> {
        let span = self.to - self.from;
        if !(span.is_finite() && span > 0.0) {
            return vec![self.from];
        }
        let rough = span / f64::from(wanted.max(1));
        let power = 10_f64.powf(rough.log10().floor());
        let step = [5.0, 2.0, 1.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step <= rough)
            .unwrap_or(power);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

/// An SVG under way.
pub struct Axes {
    /// Across.
    pub x: Scale,
    /// Upwards.
    pub y: Scale,
    width: f64,
    height: f64,
    svg: String,
}

/// Room below the axes.
const BELOW: f64 = 36.0;
/// Room above and to the right.
const MARGIN: f64 = 12.0;

impl Axes {
    /// A drawing of `size` with `left` for labels; values from and to.
    pub fn new(size: (f64, f64), left: f64, x: (f64, f64), y: (f64, f64)) -> Self {
        let (width, height) = size;
        Self {
            x: Scale {
                from: x.0,
                to: x.1,
                start: left,
                end: width - MARGIN,
            },
            y: Scale {
                from: y.0,
                to: y.1,
                start: height - BELOW,
                end: MARGIN,
            },
            width,
            height,
            svg: String::new(),
        }
    }

    /// Ticks and lines at round values of x.
    pub fn x_ticks(&mut self, wanted: u32, format: impl Fn(f64) -> String) {
        for value in self.x.ticks(wanted) {
            self.x_tick(value, &format(value));
        }
    }

    /// One tick of x.
    pub fn x_tick(&mut self, value: f64, label: &str) {
        let (x, y) = (self.x.at(value), self.y.start);
        let _ = write!(
            self.svg,
            "<path class=\"grid-line\" d=\"M{x:.1} {y:.1}V{:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>",
            self.y.end,
            y + 14.0,
            escape(label)
        );
    }

    /// Ticks and lines at round values of y.
    pub fn y_ticks(&mut self, wanted: u32, format: impl Fn(f64) -> String) {
        for value in self.y.ticks(wanted) {
            self.y_tick(value, &format(value), "");
        }
    }

    /// One tick of y.
    pub fn y_tick(&mut self, value: f64, label: &str, class: &str) {
        let (x, y) = (self.x.start, self.y.at(value));
        let _ = write!(
            self.svg,
            "<path class=\"grid-line\" d=\"M{x:.1} {y:.1}H{:.1}\"/><text class=\"{class}\" x=\"{:.1}\" \
             y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            self.x.end,
            x - 6.0,
            y + 4.0,
            escape(label)
        );
    }

    /// What x means.
    pub fn x_title(&mut self, text: &str) {
        let x = (self.x.start + self.x.end) / 2.0;
        let y = self.height - 5.0;
        self.label(x, y, "middle", text);
    }

    /// Text anywhere.
    pub fn label(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let _ = write!(
            self.svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    /// A line through values.
    pub fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x.at(*x), self.y.at(*y));
        }
        let _ = write!(self.svg, "<path class=\"line {class}\" d=\"{path}\"/>");
    }

    /// A mark at a value, with a text that is shown when it is pointed at.
    pub fn mark(&mut self, class: &str, at: (f64, f64), radius: f64, title: &str) {
        let _ = write!(
            self.svg,
            "<circle class=\"fill {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"><title>{}</title></circle>",
            self.x.at(at.0),
            self.y.at(at.1),
            escape(title)
        );
    }

    /// A filled rectangle between values.
    pub fn bar(&mut self, class: &str, x: (f64, f64), y: (f64, f64)) {
        let (left, right) = (self.x.at(x.0), self.x.at(x.1));
        let (low, high) = (self.y.at(y.0), self.y.at(y.1));
        let _ = write!(
            self.svg,
            "<path class=\"fill {class}\" d=\"M{left:.1} {low:.1}H{right:.1}V{high:.1}H{left:.1}z\"/>"
        );
    }

    /// A path in the cells of a grid of `columns` × `rows` over the whole area,
    /// row 0 on top (see [`super::cells`]).
    pub fn grid(&mut self, class: &str, opacity: f64, size: (usize, usize), path: &str) {
        if path.is_empty() {
            return;
        }
        let (left, top) = (self.x.start, self.y.end);
        let across = (self.x.end - left) / size.0 as f64;
        let down = (self.y.start - top) / size.1 as f64;
        let _ = write!(
            self.svg,
            "<path class=\"{class}\" style=\"stroke-width:1;stroke-opacity:{opacity}\" shape-rendering=\"crispEdges\" \
             transform=\"translate({left:.1} {top:.1}) scale({across:.5} {down:.5}) translate(0 .5)\" d=\"{path}\"/>"
        );
    }

    /// The drawing; `name` is for those who cannot see it.
    pub fn finish(self, name: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            self.width,
            self.height,
            escape(name),
            self.svg
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_round_values_within_the_scale() {
        let ticks = |from, to| {
            let scale = Scale {
                from,
                to,
                start: 0.0,
                end: 1.0,
            };
            scale.ticks(5)
        };
        assert_eq!(ticks(0.0, 100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(
            ticks(-3.0, 4.0),
            [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
        );
        assert_eq!(ticks(5.0, 5.0), [5.0]);
        assert_eq!(ticks(0.0, f64::NAN).len(), 1);
    }

    #[test]
    fn values_go_up_and_to_the_right() {
        let axes = Axes::new((200.0, 100.0), 40.0, (0.0, 10.0), (0.0, 1.0));
        assert_eq!((axes.x.at(0.0), axes.x.at(10.0)), (40.0, 188.0));
        assert!(axes.y.at(1.0) < axes.y.at(0.0));
    }
}
