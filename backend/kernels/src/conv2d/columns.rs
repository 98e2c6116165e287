// SPDX-License-Identifier: MIT OR Apache-2.0
//! Convolution as a product of matrices: the pixels under the kernel, one row
//! for each output pixel, times the weights of a group, in blocks.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use super::Geometry;
use super::arithmetic::Arithmetic;
use super::source::{CHANNEL, Padded, Pixels, X};
use crate::layout::MAX_RANK;
use crate::view::Span;
use crate::{Element, KernelError, View, cancel};

/// Output pixels, products of a sum, and output channels of one block: with
/// f32 half a MiB of pixels, 1 MiB of weights and 256 KiB of sums.
const PIXELS: u64 = 256;
const DEPTH: u64 = 512;
const OUTPUTS: u64 = 512;

/// Part of a row of output pixels.
#[derive(Clone, Copy)]
struct Run {
    image: u64,
    y: u64,
    x: u64,
    count: usize,
}

/// Splits output pixels, counted over all images in row-major order, by rows.
fn runs(pixels: Range<u64>, height: u64, width: u64) -> impl Iterator<Item = Run> {
    let mut next = pixels.start;
    std::iter::from_fn(move || {
        let (row, x) = (next / width, next % width);
        let count = (width - x).min(pixels.end - next);
        next += count;
        (count > 0).then_some(Run {
            image: row / height,
            y: row % height,
            x,
            count: count as usize,
        })
    })
}

pub(super) fn run<A: Arithmetic>(
    arithmetic: &A,
    destination: View<A::Value>,
    source: View<A::Value>,
    weights: View<A::Weight>,
    geometry: &Geometry,
    cancelled: &AtomicBool,
) -> Result<(), KernelError> {
    let [images, height, width, outputs, ..] = destination.shape();
    let [kernel_height, kernel_width, inputs, ..] = weights.shape();
    let groups = u64::from(geometry.groups);
    let outputs = outputs / groups;
    // All are counts of elements of views, which fit into 64 bits.
    let (pixels, depth) = (
        images * height * width,
        kernel_height * kernel_width * inputs,
    );
    let source = Padded {
        view: source,
        repeat_edge: geometry.repeat_edge,
    };

    let mut columns = vec![A::Value::default(); (PIXELS * DEPTH.min(depth)) as usize];
    let mut matrix = vec![A::Weight::default(); (DEPTH.min(depth) * OUTPUTS.min(outputs)) as usize];
    let mut sums = vec![A::Sum::default(); (PIXELS * OUTPUTS.min(outputs)) as usize];
    let mut values = vec![A::Value::default(); sums.len()];
    for group in 0..groups {
        for output in (0..outputs).step_by(OUTPUTS as usize) {
            let n = OUTPUTS.min(outputs - output) as usize;
            let output = group * outputs + output;
            let mut in_matrix = None;
            for pixel in (0..pixels).step_by(PIXELS as usize) {
                let pixel = pixel..(pixel + PIXELS).min(pixels);
                let m = (pixel.end - pixel.start) as usize;
                let sums = &mut sums[..m * n];
                sums.fill(A::Sum::default());
                for level in (0..depth).step_by(DEPTH as usize) {
                    cancel::check(cancelled)?;
                    let k = DEPTH.min(depth - level) as usize;
                    let matrix = &mut matrix[..k * n];
                    let columns = &mut columns[..m * k];
                    for tap in taps(level..level + k as u64, inputs) {
                        if in_matrix != Some(level) {
                            let place = &mut matrix[tap.place * n..][..tap.inputs() * n];
                            tap.load_weights(&weights, kernel_width, output, n, place);
                        }
                        let runs = runs(pixel.clone(), height, width);
                        tap.load_columns(
                            &source,
                            geometry,
                            (kernel_width, group * inputs),
                            runs,
                            k,
                            columns,
                        );
                    }
                    in_matrix = Some(level);
                    A::multiply(sums, columns, matrix, (m, n, k));
                }
                let values = &mut values[..m * n];
                arithmetic.finish(sums, values);
                let mut rest = &*values;
                for run in runs(pixel, height, width) {
                    let (stored, behind) = rest.split_at(run.count * n);
                    rest = behind;
                    let mut start = [0; MAX_RANK];
                    start[..4].copy_from_slice(&[run.image, run.y, run.x, output]);
                    destination.store(
                        &start,
                        Span::dense(X, run.count),
                        Span::dense(CHANNEL, n),
                        stored,
                    );
                }
            }
        }
    }
    Ok(())
}

/// Some input channels of one position of the kernel.
struct Tap {
    /// Position in the kernel, row-major.
    position: u64,
    inputs: Range<u64>,
    /// First column in the block.
    place: usize,
}

/// The taps of a block of products, which are counted (ky,kx,i).
fn taps(block: Range<u64>, inputs: u64) -> impl Iterator<Item = Tap> {
    let mut next = block.start;
    std::iter::from_fn(move || {
        let first = next % inputs;
        let count = (inputs - first).min(block.end - next);
        let tap = Tap {
            position: next / inputs,
            inputs: first..first + count,
            place: (next - block.start) as usize,
        };
        next += count;
        (count > 0).then_some(tap)
    })
}

impl Tap {
    fn inputs(&self) -> usize {
        (self.inputs.end - self.inputs.start) as usize
    }

    fn load_weights<W: Element>(
        &self,
        weights: &View<W>,
        kernel_width: u64,
        output: u64,
        outputs: usize,
        place: &mut [W],
    ) {
        let mut start = [0; MAX_RANK];
        let (ky, kx) = (self.position / kernel_width, self.position % kernel_width);
        start[..4].copy_from_slice(&[ky, kx, self.inputs.start, output]);
        weights.load(
            &start,
            Span::dense(2, self.inputs()),
            Span::dense(3, outputs),
            place,
        );
    }

    /// Loads the pixels of `runs` that lie under this tap into their places
    /// in rows of `k` values.
    fn load_columns<T: Element>(
        &self,
        source: &Padded<T>,
        geometry: &Geometry,
        (kernel_width, first_input): (u64, u64),
        runs: impl Iterator<Item = Run>,
        k: usize,
        columns: &mut [T],
    ) {
        let mut pixels = [T::default(); 1024];
        let (ky, kx) = (self.position / kernel_width, self.position % kernel_width);
        let inputs = first_input + self.inputs.start..first_input + self.inputs.end;
        let mut rows = columns.chunks_exact_mut(k);
        for run in runs {
            let y = run.y * u64::from(geometry.stride_y) + ky;
            let at_once = (pixels.len() / self.inputs()).max(1);
            for done in (0..run.count).step_by(at_once) {
                let count = at_once.min(run.count - done);
                let x = (run.x + done as u64) * u64::from(geometry.stride_x) + kx;
                let pixels = &mut pixels[..count * self.inputs()];
                source.load(
                    Pixels {
                        image: run.image,
                        row: y as i64 - i64::from(geometry.pad_top),
                        first: x as i64 - i64::from(geometry.pad_left),
                        step: u64::from(geometry.stride_x),
                        count,
                    },
                    inputs.clone(),
                    pixels,
                );
                let rows = rows.by_ref().take(count);
                // Copies of a known small size are a load and a store.
                match self.inputs() {
                    1 => scatter::<T, 1>(pixels, rows, self.place, 1),
                    3 => scatter::<T, 3>(pixels, rows, self.place, 3),
                    4 => scatter::<T, 4>(pixels, rows, self.place, 4),
                    inputs => scatter::<T, 0>(pixels, rows, self.place, inputs),
                }
            }
        }
    }
}

/// Copies the `inputs` values of each pixel into its row. `INPUTS` is their
/// number where it is worth a loop of its own, else zero.
fn scatter<'a, T: Element, const INPUTS: usize>(
    pixels: &[T],
    rows: impl Iterator<Item = &'a mut [T]>,
    place: usize,
    inputs: usize,
) {
    let inputs = if INPUTS == 0 { inputs } else { INPUTS };
    for (pixel, row) in pixels.chunks_exact(inputs).zip(rows) {
        row[place..place + inputs].copy_from_slice(pixel);
    }
}
