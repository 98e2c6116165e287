// SPDX-License-Identifier: MIT OR Apache-2.0
//! Convolution with one input and one output channel in each group, which is
//! what blur, sharpen and edge filters are.
//!
//! A tile of output columns is computed from top to bottom. The source rows
//! under the kernel stay in a ring of private buffers, padded, and sorted by
//! x mod stride, so that whatever the stride the values under one tap of
//! neighbouring outputs are adjacent. An output row is then a flat run of
//! columns × channels, computed in chunks whose sums stay in registers while
//! the taps go by; the weights are repeated along the run for that.

use std::sync::atomic::AtomicBool;

use pulp::Arch;

use super::Geometry;
use super::arithmetic::Arithmetic;
use super::source::{CHANNEL, Padded, Pixels, X};
use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, KernelError, View, cancel};

/// Sums that are held in registers.
const CHUNK: usize = 64;
/// Elements of an output row's tile, about.
const TILE: u64 = 2048;
/// Elements of the ring and of the repeated weights at most; what needs more
/// is not an image filter.
const MAX_ELEMENTS: u64 = 1 << 18;

/// Sizes of the buffers, in elements.
pub(super) struct Plan {
    channels: usize,
    /// Output columns of a tile.
    columns: u64,
    kernel_height: usize,
    kernel_width: usize,
    /// Distinct x mod stride of taps.
    phases: usize,
    /// Of the columns of one phase of one row, with room to read a chunk
    /// beyond the end.
    phase: usize,
    /// Of the weights of one tap, repeated so that a chunk can begin with any
    /// channel.
    repeated: usize,
}

impl Plan {
    /// Nothing if the convolution is of another kind, or its kernel or number
    /// of channels is too large for the buffers.
    pub fn new<T: Element, W: Element>(
        destination: &View<T>,
        source: &View<T>,
        weights: &View<W>,
        geometry: &Geometry,
    ) -> Option<Self> {
        let [_, _, width, outputs, ..] = destination.shape();
        let [_, _, _, channels, ..] = source.shape();
        let [kernel_height, kernel_width, ..] = weights.shape();
        if outputs != channels || u64::from(geometry.groups) != channels {
            return None;
        }
        let columns = width.min(TILE.div_ceil(channels));
        let phases = kernel_width.min(u64::from(geometry.stride_x));
        // The first two factors are below 2³², the rest is bounded by them
        // before it is multiplied.
        let taps = kernel_height.checked_mul(kernel_width)?;
        let repeated = channels + CHUNK as u64;
        let phase = (columns + kernel_width / u64::from(geometry.stride_x) + 1)
            .checked_mul(channels)?
            + CHUNK as u64;
        let row = phase.checked_mul(phases)?;
        if taps.checked_mul(repeated)? > MAX_ELEMENTS
            || row.checked_mul(kernel_height)? > MAX_ELEMENTS
        {
            return None;
        }
        Some(Self {
            channels: channels as usize,
            columns,
            kernel_height: kernel_height as usize,
            kernel_width: kernel_width as usize,
            phases: phases as usize,
            phase: phase as usize,
            repeated: repeated as usize,
        })
    }

    pub fn run<A: Arithmetic>(
        &self,
        arithmetic: &A,
        destination: View<A::Value>,
        source: View<A::Value>,
        weights: View<A::Weight>,
        geometry: &Geometry,
        cancelled: &AtomicBool,
    ) -> Result<(), KernelError> {
        let [images, height, width, ..] = destination.shape();
        let source = Padded {
            view: source,
            repeat_edge: geometry.repeat_edge,
        };
        let weights = self.repeat_weights(&weights);
        let row_elements = self.phases * self.phase;
        let mut ring = vec![A::Value::default(); self.kernel_height * row_elements];
        let mut results = vec![A::Value::default(); self.columns as usize * self.channels + CHUNK];
        for image in 0..images {
            for x in (0..width).step_by(self.columns as usize) {
                let columns = self.columns.min(width - x) as usize;
                // The first row, counted with padding, that is not in the ring.
                let mut loaded = 0;
                for y in 0..height {
                    cancel::check(cancelled)?;
                    let top = y * u64::from(geometry.stride_y);
                    let bottom = top + self.kernel_height as u64;
                    for row in loaded.max(top)..bottom {
                        let slot = (row % self.kernel_height as u64) as usize;
                        let slot = &mut ring[slot * row_elements..][..row_elements];
                        self.load_row(&source, geometry, (image, row, x), columns, slot);
                    }
                    loaded = bottom;
                    let first = (top % self.kernel_height as u64) as usize;
                    let stride = geometry.stride_x.into();
                    let results = &mut results[..(columns * self.channels).next_multiple_of(CHUNK)];
                    Arch::new().dispatch(
                        #[inline(always)]
                        || self.filter_row(arithmetic, &ring, first, &weights, stride, results),
                    );
                    let mut start = [0; MAX_RANK];
                    start[..3].copy_from_slice(&[image, y, x]);
                    destination.store(
                        &start,
                        Span::dense(X, columns),
                        Span::dense(CHANNEL, self.channels),
                        &results[..columns * self.channels],
                    );
                }
            }
        }
        Ok(())
    }

    /// The weights of each tap, channel by channel, over and over.
    fn repeat_weights<W: Element>(&self, weights: &View<W>) -> Vec<W> {
        let taps = self.kernel_height * self.kernel_width;
        let mut repeated = vec![W::default(); taps * self.repeated];
        for (tap, repeated) in repeated.chunks_exact_mut(self.repeated).enumerate() {
            let mut start = [0; MAX_RANK];
            start[0] = (tap / self.kernel_width) as u64;
            start[1] = (tap % self.kernel_width) as u64;
            let (first, others) = repeated.split_at_mut(self.channels);
            weights.load(
                &start,
                Span::dense(2, 1),
                Span::dense(3, self.channels),
                first,
            );
            for others in others.chunks_mut(self.channels) {
                others.copy_from_slice(&first[..others.len()]);
            }
        }
        repeated
    }

    /// Loads the part of a source row that lies under `columns` outputs from
    /// output column `x` on. `row` counts with padding.
    fn load_row<T: Element>(
        &self,
        source: &Padded<T>,
        geometry: &Geometry,
        (image, row, x): (u64, u64, u64),
        columns: usize,
        slot: &mut [T],
    ) {
        let stride = usize::from(geometry.stride_x);
        for (phase, values) in slot.chunks_exact_mut(self.phase).enumerate() {
            let count = columns + (self.kernel_width - 1 - phase) / stride;
            let first = x * stride as u64 + phase as u64;
            let pixels = Pixels {
                image,
                row: row as i64 - i64::from(geometry.pad_top),
                first: first as i64 - i64::from(geometry.pad_left),
                step: stride as u64,
                count,
            };
            let channels = 0..self.channels as u64;
            source.load(pixels, channels, &mut values[..count * self.channels]);
        }
    }

    /// One output row from the ring, whose row `first` is the topmost.
    /// `results` is a number of whole chunks.
    #[inline(always)]
    fn filter_row<A: Arithmetic>(
        &self,
        arithmetic: &A,
        ring: &[A::Value],
        first: usize,
        weights: &[A::Weight],
        stride: usize,
        results: &mut [A::Value],
    ) {
        for (number, results) in results.chunks_exact_mut(CHUNK).enumerate() {
            let at = number * CHUNK;
            let channel = at % self.channels;
            let mut sums = [A::Sum::default(); CHUNK];
            let mut weights = weights.chunks_exact(self.repeated);
            for line in 0..self.kernel_height {
                let slot = (first + line) % self.kernel_height;
                let row = &ring[slot * self.phases * self.phase..][..self.phases * self.phase];
                for (tap, weights) in weights.by_ref().take(self.kernel_width).enumerate() {
                    let place = tap % stride * self.phase + tap / stride * self.channels + at;
                    let (values, weights) = (&row[place..][..CHUNK], &weights[channel..][..CHUNK]);
                    for (sum, (&value, &weight)) in sums.iter_mut().zip(values.iter().zip(weights))
                    {
                        *sum = A::accumulate(*sum, value, weight);
                    }
                }
            }
            arithmetic.finish(&sums, results);
        }
    }
}
