// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plots as SVG in one HTML file that needs no network and follows the
//! reader's light or dark setting.
//!
//! Drawn here and not by a plotting crate, because those fix colours in the
//! drawing, which a style sheet then cannot change, and draw each of a hundred
//! thousand cells as an element of its own. Knows nothing of what is plotted.

mod axes;
mod gantt;
mod page;

pub use axes::{Axes, Scale};
pub use gantt::{COLUMNS, Worker, gantt};
pub use page::{Page, Table, escape, style};

/// Classes of series, in the order in which they are given out.
pub const SERIES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];

/// A run of cells of a grid, as a part of a path: `width` cells from (`x`, `y`).
pub fn cells(path: &mut String, x: usize, y: usize, width: usize) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = write!(path, "M{x} {y}h{width}");
}
