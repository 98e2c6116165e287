// SPDX-License-Identifier: MIT OR Apache-2.0
//! A convolution by im2col: for each row of the output the rows of the input
//! below the filter are gathered into a matrix of patches, which is multiplied
//! with the weights.

use clap::Args;

use super::{F32, Kernel, Layout, Step, Steps, endless, read, write};

/// Filters whose weights are used together in the product.
const FILTER_BLOCK: u64 = 32;

/// Sizes of a convolution of f32 images, height × width × channels.
#[derive(Args, Clone, Debug)]
pub struct Conv {
    /// Rows of an image.
    #[arg(long, default_value_t = Conv::default().height, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub height: u64,
    /// Columns of an image.
    #[arg(long, default_value_t = Conv::default().width, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub width: u64,
    /// Channels of the input.
    #[arg(long, default_value_t = Conv::default().channels, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub channels: u64,
    /// Channels of the output.
    #[arg(long, default_value_t = Conv::default().filters, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub filters: u64,
    /// Rows and columns of a filter.
    #[arg(long, default_value_t = Conv::default().kernel, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub kernel: u64,
    /// Images in memory.
    #[arg(long, default_value_t = Conv::default().batch, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub batch: u64,
    /// Engines that share the images, one stream each.
    #[arg(long, default_value_t = Conv::default().streams, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub streams: u64,
}

impl Default for Conv {
    fn default() -> Self {
        Self {
            height: 56,
            width: 56,
            channels: 64,
            filters: 64,
            kernel: 3,
            batch: 16,
            streams: 2,
        }
    }
}

/// Where the operands are, and their pitches.
#[derive(Clone, Copy)]
struct Places {
    input: u64,
    weights: u64,
    patches: u64,
    output: u64,
    input_row: u64,
    patch_row: u64,
    output_row: u64,
}

impl Conv {
    /// One row of the output of one image.
    fn row(&self, places: &Places, image: u64, row: u64, steps: &mut Vec<Step>) {
        let rows = self.height + 1 - self.kernel;
        for below in 0..self.kernel {
            let number = image * self.height + row + below;
            read(
                steps,
                places.input + number * places.input_row,
                places.input_row,
            );
        }
        write(steps, places.patches, places.patch_row);
        let filter = self.kernel * self.kernel * self.channels * F32;
        for first in (0..self.filters).step_by(FILTER_BLOCK as usize) {
            let filters = FILTER_BLOCK.min(self.filters - first);
            read(steps, places.weights + first * filter, filters * filter);
            read(steps, places.patches, places.patch_row);
        }
        let number = image * rows + row;
        write(
            steps,
            places.output + number * places.output_row,
            places.output_row,
        );
    }
}

impl Kernel for Conv {
    fn streams(&self, layout: &mut Layout, _seed: u64) -> Result<Vec<Steps>, String> {
        if self.kernel > self.height.min(self.width) {
            return Err(format!(
                "a filter of {0} × {0} does not fit into {1} × {2}",
                self.kernel, self.height, self.width
            ));
        }
        let rows = self.height + 1 - self.kernel;
        let columns = self.width + 1 - self.kernel;
        let filter = self.kernel * self.kernel * self.channels * F32;
        let input_row = self.width * self.channels * F32;
        let patch_row = columns * filter;
        let output_row = columns * self.filters * F32;
        let input = layout.place(self.batch * self.height, input_row)?;
        let weights = layout.place(self.filters, filter)?;
        let output = layout.place(self.batch * rows, output_row)?;
        let mut streams = Vec::new();
        for stream in 0..self.streams {
            let places = Places {
                input,
                weights,
                patches: layout.place(1, patch_row)?,
                output,
                input_row,
                patch_row,
                output_row,
            };
            let sizes = self.clone();
            let (mut image, mut row) = (stream % self.batch, 0);
            streams.push(endless(move |steps| {
                sizes.row(&places, image, row, steps);
                row += 1;
                if row == rows {
                    row = 0;
                    image = (image + sizes.streams) % sizes.batch;
                }
            }));
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accesses, footprint, sequential};
    use super::*;

    #[test]
    fn each_input_row_is_read_once_for_each_row_of_the_filter() {
        let conv = Conv {
            height: 8,
            width: 32,
            channels: 32,
            batch: 1,
            streams: 1,
            ..Conv::default()
        };
        // A row of the input is one page here.
        let one_pass: Vec<_> = accesses(&conv, 1, 10_000);
        let last = one_pass
            .iter()
            .position(|it| it.write && it.offset == (4 << 20) + 5 * 30 * 64 * 4)
            .unwrap();
        let reads = |page: u64| {
            one_pass[..=last]
                .iter()
                .filter(|it| !it.write && it.offset == page << 12)
                .count()
        };
        let counts: Vec<usize> = (0..8).map(reads).collect();
        assert_eq!(counts, [1, 2, 3, 3, 3, 3, 2, 1]);
    }

    #[test]
    fn all_of_the_operands_and_nothing_else_is_touched() {
        let conv = Conv {
            batch: 2,
            ..Conv::default()
        };
        let pages = footprint(&accesses(&conv, 1, 30_000)).len() as u64;
        let input = 2 * 56 * 56 * 64 * F32;
        let output = 2 * 54 * 54 * 64 * F32;
        let weights = 9 * 64 * 64 * F32;
        let patches = 2 * 54 * 9 * 64 * F32;
        let expected = [input, output, weights, patches].map(|bytes| bytes >> 12);
        let expected: u64 = expected.iter().sum();
        assert!(
            (expected..expected + 8).contains(&pages),
            "{pages} {expected}"
        );
    }

    #[test]
    fn it_goes_along_its_operands() {
        let records = accesses(&Conv::default(), 1, 10_000);
        assert!(sequential(&records, 0) > 0.8);
    }

    #[test]
    fn a_filter_larger_than_the_image_is_refused() {
        let conv = Conv {
            kernel: 9,
            height: 8,
            ..Conv::default()
        };
        let error = super::super::Plan::new(&conv, 1).err().unwrap();
        assert_eq!(error, "a filter of 9 × 9 does not fit into 8 × 56");
    }
}
