// SPDX-License-Identifier: MIT OR Apache-2.0
//! Convolution with one input and one output channel in each group, which is
//! what blur, sharpen and edge filters are.
//!
//! A tile of output columns is computed from top to bottom. The source rows
//! under the kernel stay in a ring of private buffers, padded, and sorted by
//! x mod stride (a *phase*), so that whatever the stride the values under one
//! tap of neighbouring outputs are adjacent. Each value is packed with those
//! of the next taps of its phase. An output row is then a flat run of columns
//! × channels, computed in chunks whose sums stay in registers while the taps
//! go by; the weights are repeated along the run for that.

use std::sync::atomic::AtomicBool;

use pulp::Arch;

use super::Geometry;
use super::arithmetic::Arithmetic;
use super::source::{CHANNEL, Padded, Pixels, X};
use crate::lanes::{LANES, Lanes, WithLanes, dispatch};
use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, KernelError, View, cancel};

/// Sums that are held in registers.
const CHUNK: usize = 64;
/// Elements of an output row's tile, about.
const TILE: u64 = 1024;
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
    stride: usize,
    /// Distinct x mod stride of taps.
    phases: usize,
    /// Of the columns of one phase of one row, with room to read a chunk
    /// beyond the end.
    phase: usize,
    /// Of the weights of one pack, repeated so that a chunk can begin with
    /// any channel.
    repeated: usize,
}

/// Taps of one kernel row that are multiplied at once: from `first` on, a
/// stride apart.
struct Pack {
    first: usize,
    /// Of the values for the first output, in a row of the ring.
    place: usize,
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
        let stride = u64::from(geometry.stride_x);
        let columns = width.min(TILE.div_ceil(channels));
        let phases = kernel_width.min(stride);
        let repeated = channels + CHUNK as u64;
        // One column more than there are taps: what the last tap is packed with.
        let phase = (columns + kernel_width / stride + 2).checked_mul(channels)?;
        let phase = phase.checked_add(CHUNK as u64)?;
        let row = phase.checked_mul(phases)?;
        let taps = kernel_height.checked_mul(kernel_width)?;
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
            stride: stride as usize,
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
        let packs = self.packs(A::TAPS);
        let weights = self.repeat_weights::<A>(&weights, &packs);
        let row_elements = self.phases * self.phase;
        let mut unpacked = vec![A::Value::default(); self.phase];
        let mut ring = vec![A::Packed::default(); self.kernel_height * row_elements];
        let mut results = vec![
            A::Value::default();
            (self.columns as usize * self.channels).next_multiple_of(CHUNK)
        ];
        for image in 0..images {
            for x in (0..width).step_by(self.columns as usize) {
                let columns = self.columns.min(width - x) as usize;
                let elements = columns * self.channels;
                // The first row, counted with padding, that is not in the ring.
                let mut loaded = 0;
                for y in 0..height {
                    cancel::check(cancelled)?;
                    let top = y * u64::from(geometry.stride_y);
                    let bottom = top + self.kernel_height as u64;
                    for row in loaded.max(top)..bottom {
                        let slot = (row % self.kernel_height as u64) as usize;
                        let slot = &mut ring[slot * row_elements..][..row_elements];
                        let pixels = Pixels {
                            image,
                            row: row as i64 - i64::from(geometry.pad_top),
                            first: (x * self.stride as u64) as i64 - i64::from(geometry.pad_left),
                            step: self.stride as u64,
                            count: columns,
                        };
                        self.load_row::<A>(&source, pixels, &mut unpacked, slot);
                    }
                    loaded = bottom;
                    let first = (top % self.kernel_height as u64) as usize;
                    let results = &mut results[..elements.next_multiple_of(CHUNK)];
                    dispatch(FilterRow {
                        plan: self,
                        arithmetic,
                        ring: &ring,
                        first,
                        packs: &packs,
                        weights: &weights,
                        results,
                    });
                    let mut start = [0; MAX_RANK];
                    start[..3].copy_from_slice(&[image, y, x]);
                    destination.store(
                        &start,
                        Span::dense(X, columns),
                        Span::dense(CHANNEL, self.channels),
                        &results[..elements],
                    );
                }
            }
        }
        Ok(())
    }

    /// The packs of a kernel row.
    fn packs(&self, taps: usize) -> Vec<Pack> {
        let packs_of_phase = |phase| (phase..self.kernel_width).step_by(self.stride * taps);
        (0..self.phases)
            .flat_map(|phase| packs_of_phase(phase).map(move |first| (phase, first)))
            .map(|(phase, first)| Pack {
                first,
                place: phase * self.phase + first / self.stride * self.channels,
            })
            .collect()
    }

    /// The weights of each pack of each kernel row, channel by channel, over
    /// and over. Taps beyond the kernel weigh nothing.
    fn repeat_weights<A: Arithmetic>(
        &self,
        weights: &View<A::Weight>,
        packs: &[Pack],
    ) -> Vec<A::Packed> {
        let mut taps = vec![A::Weight::default(); 2 * self.channels];
        let mut repeated = Vec::with_capacity(self.kernel_height * packs.len() * self.repeated);
        for line in 0..self.kernel_height {
            for pack in packs {
                taps.fill(A::Weight::default());
                for (number, tap) in taps
                    .chunks_exact_mut(self.channels)
                    .take(A::TAPS)
                    .enumerate()
                {
                    let column = pack.first + number * self.stride;
                    if column < self.kernel_width {
                        let start = [line as u64, column as u64, 0, 0, 0, 0];
                        weights.load(&start, Span::dense(2, 1), Span::dense(3, tap.len()), tap);
                    }
                }
                let (weights, next) = taps.split_at(self.channels);
                let packed = weights
                    .iter()
                    .zip(next)
                    .map(|(&w, &next)| A::pack_weights(w, next));
                repeated.extend(packed.cycle().take(self.repeated));
            }
        }
        repeated
    }

    /// Loads the part of a source row that lies under the outputs at which
    /// the first tap meets `pixels`.
    fn load_row<A: Arithmetic>(
        &self,
        source: &Padded<A::Value>,
        pixels: Pixels,
        unpacked: &mut [A::Value],
        slot: &mut [A::Packed],
    ) {
        for (phase, slot) in slot.chunks_exact_mut(self.phase).enumerate() {
            let count = pixels.count + (self.kernel_width - 1 - phase) / self.stride;
            let loaded = count * self.channels;
            let pixels = Pixels {
                first: pixels.first + phase as i64,
                count,
                ..pixels
            };
            source.load(pixels, 0..self.channels as u64, &mut unpacked[..loaded]);
            let apart = self.channels;
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    // Behind the last pixel packs reach into what is left from
                    // before, which weighs nothing.
                    let (unpacked, slot) = (&unpacked[..], &mut slot[..loaded]);
                    let next = &unpacked[(A::TAPS - 1) * apart..][..loaded];
                    for ((slot, &value), &next) in slot.iter_mut().zip(unpacked).zip(next) {
                        *slot = A::pack_values(value, next);
                    }
                },
            );
        }
    }
}

/// Computes one output row.
struct FilterRow<'a, A: Arithmetic> {
    plan: &'a Plan,
    arithmetic: &'a A,
    ring: &'a [A::Packed],
    /// The topmost of the ring's rows.
    first: usize,
    packs: &'a [Pack],
    weights: &'a [A::Packed],
    /// A number of whole chunks.
    results: &'a mut [A::Value],
}

impl<A: Arithmetic> WithLanes for FilterRow<'_, A> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Plan {
            channels,
            kernel_height,
            repeated,
            ..
        } = *self.plan;
        let row_elements = self.plan.phases * self.plan.phase;
        for (number, results) in self.results.chunks_exact_mut(CHUNK).enumerate() {
            let at = number * CHUNK;
            let channel = at % channels;
            let mut sums = [A::zeros(lanes); CHUNK / LANES];
            let mut weights = self.weights.chunks_exact(repeated);
            for line in 0..kernel_height {
                let slot = (self.first + line) % kernel_height;
                let row = &self.ring[slot * row_elements..][..row_elements];
                for (pack, weights) in self.packs.iter().zip(weights.by_ref()) {
                    let (values, _) = row[pack.place + at..][..CHUNK].as_chunks::<LANES>();
                    let (weights, _) = weights[channel..][..CHUNK].as_chunks::<LANES>();
                    for (sums, (values, weights)) in sums.iter_mut().zip(values.iter().zip(weights))
                    {
                        *sums = A::add_products(lanes, *sums, values, weights);
                    }
                }
            }
            for (sums, results) in sums.iter().zip(results.chunks_exact_mut(LANES)) {
                self.arithmetic.finish(&A::values(lanes, *sums), results);
            }
        }
    }
}
