// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reference image filters on interleaved 8-bit channels, one output row at a
//! time, so that an image of any size is checked in little memory.

/// An image in memory: rows of `width * channels` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'image> {
    bytes: &'image [u8],
    width: usize,
    height: usize,
    channels: usize,
}

impl<'image> Pixels<'image> {
    /// Takes `height` rows of `width` pixels with `channels` bytes each, or
    /// `None` when `bytes` has another length or there is no pixel.
    pub fn new(bytes: &'image [u8], width: usize, height: usize, channels: usize) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(channels)?;
        (expected != 0 && bytes.len() == expected).then_some(Self {
            bytes,
            width,
            height,
            channels,
        })
    }

    /// Bytes of a row.
    fn row_bytes(&self) -> usize {
        self.width * self.channels
    }

    /// Row `y`, with rows above and below the image repeating its edge.
    fn row(&self, y: isize) -> &'image [u8] {
        let y = y.clamp(0, self.height as isize - 1) as usize;
        &self.bytes[y * self.row_bytes()..][..self.row_bytes()]
    }
}

/// A filter of `SIZE` by `SIZE` weights that is applied to each channel by
/// itself, with the image's edge repeated outside it.
#[derive(Clone, Copy, Debug)]
pub struct Filter<const SIZE: usize> {
    /// Weights by row and column.
    pub weights: [[i16; SIZE]; SIZE],
    /// Bits that sums are shifted right by, rounding half up.
    pub shift: u16,
    /// Take the magnitude of sums before rounding.
    pub absolute: bool,
}

impl<const SIZE: usize> Filter<SIZE> {
    /// Row `y` of the filtered image: a byte of each channel of each pixel.
    ///
    /// A sum is the cross-correlation of the weights with the pixels around;
    /// the result is `clamp((sum + 2^(shift-1)) >> shift)` to 0..=255.
    ///
    /// The sums are made one by one on purpose: an emulated guest executes
    /// scalar instructions several times faster than the vector instructions
    /// that the compiler would choose.
    pub fn row(&self, image: Pixels<'_>, y: usize, padded: &mut PaddedRows, out: &mut [u8]) {
        let reach = SIZE / 2;
        padded.rows.resize(SIZE, Vec::new());
        for (ky, padded) in padded.rows.iter_mut().enumerate() {
            let row = image.row(y as isize + ky as isize - reach as isize);
            pad(row, image.channels, reach, padded);
        }
        let half = (1 << self.shift) >> 1;
        for (at, byte) in out.iter_mut().enumerate() {
            let mut sum = 0;
            for (row, weights) in padded.rows.iter().zip(&self.weights) {
                let taps = row[at..].iter().step_by(image.channels);
                for (&value, &weight) in taps.zip(weights) {
                    sum += i32::from(weight) * i32::from(value);
                }
            }
            let sum = std::hint::black_box(sum);
            let sum = if self.absolute { sum.abs() } else { sum };
            *byte = ((sum + half) >> self.shift).clamp(0, 255) as u8;
        }
    }
}

/// Working memory of [`Filter::row`], kept from row to row.
#[derive(Clone, Debug, Default)]
pub struct PaddedRows {
    rows: Vec<Vec<u8>>,
}

/// Writes `row` with its first and last pixel repeated `reach` times.
fn pad(row: &[u8], channels: usize, reach: usize, padded: &mut Vec<u8>) {
    padded.clear();
    let (first, last) = (&row[..channels], &row[row.len() - channels..]);
    for _ in 0..reach {
        padded.extend_from_slice(first);
    }
    padded.extend_from_slice(row);
    for _ in 0..reach {
        padded.extend_from_slice(last);
    }
}

/// Adds `other` to `row`, saturating.
pub fn add_saturating(row: &mut [u8], other: &[u8]) {
    for (byte, &other) in row.iter_mut().zip(other) {
        *byte = byte.saturating_add(other);
    }
}

/// Row `y` of the image at half its height and width: the mean of 2 by 2
/// pixels of each channel, rounding half up. An odd last row or column is left
/// out.
pub fn half_size_row(image: Pixels<'_>, y: usize, out: &mut [u8]) {
    let channels = image.channels;
    let (upper, lower) = (image.row(2 * y as isize), image.row(2 * y as isize + 1));
    let blocks = upper
        .chunks_exact(2 * channels)
        .zip(lower.chunks_exact(2 * channels));
    for (pixel, (upper, lower)) in out.chunks_exact_mut(channels).zip(blocks) {
        for (channel, byte) in pixel.iter_mut().enumerate() {
            let sum = u32::from(upper[channel])
                + u32::from(upper[channel + channels])
                + u32::from(lower[channel])
                + u32::from(lower[channel + channels]);
            *byte = ((sum + 2) / 4) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered<const SIZE: usize>(
        filter: &Filter<SIZE>,
        bytes: &[u8],
        width: usize,
        channels: usize,
    ) -> Vec<u8> {
        let height = bytes.len() / width / channels;
        let image = Pixels::new(bytes, width, height, channels).expect("a whole image");
        let mut padded = PaddedRows::default();
        let mut out = vec![0; bytes.len()];
        for (y, row) in out.chunks_exact_mut(width * channels).enumerate() {
            filter.row(image, y, &mut padded, row);
        }
        out
    }

    #[test]
    fn weights_are_correlated_not_flipped() {
        let right_neighbour = Filter {
            weights: [[0, 0, 0], [0, 0, 1], [0, 0, 0]],
            shift: 0,
            absolute: false,
        };
        let image = [1, 2, 3, 4, 5, 6];
        assert_eq!(filtered(&right_neighbour, &image, 3, 1), [2, 3, 3, 5, 6, 6]);
        let lower_neighbour = Filter {
            weights: [[0, 0, 0], [0, 0, 0], [0, 1, 0]],
            ..right_neighbour
        };
        assert_eq!(filtered(&lower_neighbour, &image, 3, 1), [4, 5, 6, 4, 5, 6]);
    }

    #[test]
    fn channels_do_not_mix() {
        let left_neighbour = Filter {
            weights: [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
            shift: 0,
            absolute: false,
        };
        let image = [1, 10, 2, 20, 3, 30];
        assert_eq!(
            filtered(&left_neighbour, &image, 3, 2),
            [1, 10, 1, 10, 2, 20]
        );
    }

    #[test]
    fn sums_round_half_up_and_clamp() {
        let scaled = |weight, shift, absolute| Filter {
            weights: [[weight]],
            shift,
            absolute,
        };
        // 3/2 = 1.5 -> 2, 5/2 = 2.5 -> 3; -3/2 = -1.5 -> -1 -> 0.
        assert_eq!(
            filtered(&scaled(1, 1, false), &[3, 5, 255], 3, 1),
            [2, 3, 128]
        );
        assert_eq!(
            filtered(&scaled(-1, 1, false), &[3, 0, 255], 3, 1),
            [0, 0, 0]
        );
        assert_eq!(
            filtered(&scaled(-1, 1, true), &[3, 5, 255], 3, 1),
            [2, 3, 128]
        );
        assert_eq!(
            filtered(&scaled(2, 0, false), &[127, 128, 255], 3, 1),
            [254, 255, 255]
        );
    }

    #[test]
    fn filters_of_five_reach_two_pixels_and_repeat_the_edge() {
        let far_left = Filter {
            weights: [[0; 5], [0; 5], [1, 0, 0, 0, 0], [0; 5], [0; 5]],
            shift: 0,
            absolute: false,
        };
        assert_eq!(filtered(&far_left, &[1, 2, 3, 4], 4, 1), [1, 1, 1, 2]);
        // A kernel wider than the image sees only the edge.
        assert_eq!(filtered(&far_left, &[9], 1, 1), [9]);
    }

    #[test]
    fn half_size_takes_the_mean_of_four_and_drops_an_odd_edge() {
        // 1+2+5+6 = 14 -> 3.5 -> 4; 3+4+7+8 = 22 -> 5.5 -> 6.
        let bytes = [1, 2, 3, 4, 99, 5, 6, 7, 8, 99, 9, 9, 9, 9, 99];
        let image = Pixels::new(&bytes, 5, 3, 1).expect("a whole image");
        let mut row = [0; 2];
        half_size_row(image, 0, &mut row);
        assert_eq!(row, [4, 6]);
    }

    #[test]
    fn sums_of_rows_saturate() {
        let mut row = [1, 200, 255];
        add_saturating(&mut row, &[2, 100, 0]);
        assert_eq!(row, [3, 255, 255]);
    }

    #[test]
    fn pixels_want_the_exact_size() {
        assert!(Pixels::new(&[0; 6], 2, 1, 3).is_some());
        assert!(Pixels::new(&[0; 5], 2, 1, 3).is_none());
        assert!(Pixels::new(&[], 0, 1, 3).is_none());
    }
}
