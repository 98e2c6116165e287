// SPDX-License-Identifier: MIT OR Apache-2.0
//! The source image with its padding: rows of pixels at coordinates that may
//! lie outside.

use std::ops::Range;

use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, View};

pub(super) const Y: usize = 1;
pub(super) const X: usize = 2;
pub(super) const CHANNEL: usize = 3;

/// An image (n,y,x,c) that goes on for ever in y and x.
pub(super) struct Padded<T> {
    pub view: View<T>,
    /// Repeat the edge, else zeros.
    pub repeat_edge: bool,
}

/// `count` pixels of one row: columns `first`, `first + step`, …
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    pub image: u64,
    pub row: i64,
    pub first: i64,
    pub step: u64,
    pub count: usize,
}

impl<T: Element> Padded<T> {
    /// Loads the `channels` of `pixels`, pixel by pixel. Coordinates are far
    /// below 2⁶² in magnitude: a length and a padding.
    pub fn load(&self, pixels: Pixels, channels: Range<u64>, buffer: &mut [T]) {
        let [_, height, width, ..] = self.view.shape();
        let (height, width) = (height as i64, width as i64);
        let depth = (channels.end - channels.start) as usize;
        let Pixels {
            image,
            row,
            first,
            step,
            count,
        } = pixels;
        if !self.repeat_edge && !(0..height).contains(&row) {
            buffer.fill(T::default());
            return;
        }
        let mut start = [0; MAX_RANK];
        start[0] = image;
        start[Y] = row.clamp(0, height - 1) as u64;
        start[CHANNEL] = channels.start;
        let all = Span::dense(CHANNEL, depth);

        // Pixels with a column of at least `column`, counted from the end.
        let before = |column: i64| {
            let distance = (column - first).max(0) as u64;
            distance.div_ceil(step).min(count as u64) as usize
        };
        let (left, right) = (before(0), before(width));
        let (outside_left, rest) = buffer.split_at_mut(left * depth);
        let (inside, outside_right) = rest.split_at_mut((right - left) * depth);
        if !inside.is_empty() {
            start[X] = (first + left as i64 * step as i64) as u64;
            self.view.load(
                &start,
                Span {
                    axis: X,
                    count: right - left,
                    step,
                },
                all,
                inside,
            );
        }
        for (outside, edge) in [(outside_left, 0), (outside_right, width - 1)] {
            if !self.repeat_edge {
                outside.fill(T::default());
            } else if !outside.is_empty() {
                let (pixel, others) = outside.split_at_mut(depth);
                start[X] = edge as u64;
                self.view.load(&start, Span::dense(X, 1), all, pixel);
                others
                    .chunks_exact_mut(depth)
                    .for_each(|other| other.copy_from_slice(pixel));
            }
        }
    }
}
