// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filters of the pipeline, once for the card and the reference alike:
//! what is compared is how each computes them.

use augur_client::reference::image::{Filter, PaddedRows, Pixels, add_saturating, half_size_row};

/// Binomial blur: the outer product of 1 4 6 4 1 with itself, over 256.
pub const BLUR: Filter<5> = Filter {
    weights: [
        [1, 4, 6, 4, 1],
        [4, 16, 24, 16, 4],
        [6, 24, 36, 24, 6],
        [4, 16, 24, 16, 4],
        [1, 4, 6, 4, 1],
    ],
    shift: 8,
    absolute: false,
};

/// The image plus its negative Laplacian.
pub const SHARPEN: Filter<3> = Filter {
    weights: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    shift: 0,
    absolute: false,
};

/// Half the magnitude of Sobel's horizontal gradient.
pub const SOBEL_X: Filter<3> = Filter {
    weights: [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    shift: 1,
    absolute: true,
};

/// Half the magnitude of Sobel's vertical gradient.
pub const SOBEL_Y: Filter<3> = Filter {
    weights: [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    shift: 1,
    absolute: true,
};

/// What the pipeline makes of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// [`BLUR`].
    Blur,
    /// [`SHARPEN`].
    Sharpen,
    /// The saturating sum of [`SOBEL_X`] and [`SOBEL_Y`].
    Sobel,
    /// Half the height and width.
    HalfSize,
}

impl Effect {
    /// Every effect, in order.
    pub const ALL: [Effect; 4] = [
        Effect::Blur,
        Effect::Sharpen,
        Effect::Sobel,
        Effect::HalfSize,
    ];

    /// Short name, of files too.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Blur => "blur",
            Effect::Sharpen => "sharpen",
            Effect::Sobel => "sobel",
            Effect::HalfSize => "half",
        }
    }

    /// Name of the step on the card.
    pub fn title(self) -> &'static str {
        match self {
            Effect::Blur => "blur 5x5",
            Effect::Sharpen => "sharpen 3x3",
            Effect::Sobel => "sobel 3x3",
            Effect::HalfSize => "half size",
        }
    }

    /// The reference's row `y` of the result.
    pub fn reference_row(self, image: Pixels<'_>, y: usize, working: &mut Working, out: &mut [u8]) {
        let padded = &mut working.padded;
        match self {
            Effect::Blur => BLUR.row(image, y, padded, out),
            Effect::Sharpen => SHARPEN.row(image, y, padded, out),
            Effect::Sobel => {
                working.row.resize(out.len(), 0);
                SOBEL_X.row(image, y, padded, out);
                SOBEL_Y.row(image, y, padded, &mut working.row);
                add_saturating(out, &working.row);
            }
            Effect::HalfSize => half_size_row(image, y, out),
        }
    }
}

/// Working memory of the reference, kept from row to row.
#[derive(Debug, Default)]
pub struct Working {
    padded: PaddedRows,
    row: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(effect: Effect, bytes: &[u8], width: usize, y: usize) -> Vec<u8> {
        let image = Pixels::new(bytes, width, bytes.len() / width, 1).expect("whole rows");
        let mut out = vec![0; width];
        effect.reference_row(image, y, &mut Working::default(), &mut out);
        out
    }

    #[test]
    fn flat_images_stay_flat_and_have_no_edges() {
        let flat = [77; 30];
        assert_eq!(row(Effect::Blur, &flat, 6, 2), [77; 6]);
        assert_eq!(row(Effect::Sharpen, &flat, 6, 2), [77; 6]);
        assert_eq!(row(Effect::Sobel, &flat, 6, 2), [0; 6]);
    }

    #[test]
    fn a_step_is_blurred_sharpened_and_found_by_hand() {
        let step = [0, 0, 0, 100, 100, 100].repeat(5);
        // Sums of 1 4 6 4 1 over 16: 100/16 = 6.25, 500/16 = 31.25, ...
        assert_eq!(row(Effect::Blur, &step, 6, 2), [0, 6, 31, 69, 94, 100]);
        assert_eq!(row(Effect::Sharpen, &step, 6, 2), [0, 0, 0, 200, 100, 100]);
        // |gx| = 4 * 100, halved.
        assert_eq!(row(Effect::Sobel, &step, 6, 2), [0, 0, 200, 200, 0, 0]);
    }
}
