// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands on images: convolution and resampling, channels last (NHWC).

use augur_abi::command::{CONV_ABSOLUTE, CONV_EDGE};
use augur_abi::{Conv2dParams, DataType, Opcode, ResampleParams};

use super::CommandList;
use super::check::{byte_or_float, want};
use crate::error::Error;
use crate::tensor::Tensor;

/// Parameters of a convolution. The defaults are a stride of 1, no padding,
/// one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Rows and columns between two outputs.
    pub stride: [u16; 2],
    /// Rows of padding above and below.
    pub pad_rows: [u16; 2],
    /// Columns of padding on the left and right.
    pub pad_columns: [u16; 2],
    /// Pad by repeating the edge, not with zeros.
    pub repeat_edge: bool,
    /// Channel groups; as many as channels is a depthwise convolution.
    pub groups: u16,
    /// u8: bits that sums are shifted right by, rounding half up.
    pub shift: u16,
    /// Take the magnitude of sums before rounding.
    pub absolute: bool,
    /// Added to each sum: an i32 for u8, the bits of an f32 for f32.
    pub bias: u32,
}

impl Default for Convolution {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            pad_rows: [0, 0],
            pad_columns: [0, 0],
            repeat_edge: false,
            groups: 1,
            shift: 0,
            absolute: false,
            bias: 0,
        }
    }
}

impl Convolution {
    /// Padding that keeps height and width for a kernel of odd size, repeating
    /// the edge.
    pub fn same_size(kernel_height: u16, kernel_width: u16) -> Self {
        Self {
            pad_rows: [kernel_height / 2; 2],
            pad_columns: [kernel_width / 2; 2],
            repeat_edge: true,
            ..Self::default()
        }
    }
}

impl CommandList<'_> {
    /// `destination(n, y, x, o)` = the cross-correlation of
    /// `source(n, y, x, i)` with `weights(ky, kx, i / groups, o)`. For u8
    /// images weights are i16 and sums i32:
    /// `clamp((|sum|? + bias + 2^(shift-1)) >> shift)`; f32 takes f32 weights.
    ///
    /// # Errors
    /// Types, ranks or sizes do not fit together.
    pub fn conv2d(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        weights: &Tensor,
        convolution: &Convolution,
    ) -> Result<(), Error> {
        convolution_fits(destination, source, weights, convolution)?;
        let flags = if convolution.absolute {
            CONV_ABSOLUTE
        } else {
            0
        } | if convolution.repeat_edge {
            CONV_EDGE
        } else {
            0
        };
        let [stride_y, stride_x] = convolution.stride;
        let [pad_top, pad_bottom] = convolution.pad_rows;
        let [pad_left, pad_right] = convolution.pad_columns;
        let parameters = Conv2dParams {
            stride_y,
            stride_x,
            pad_top,
            pad_bottom,
            pad_left,
            pad_right,
            groups: convolution.groups,
            shift: convolution.shift,
            flags,
            bias: convolution.bias,
        };
        self.push(Opcode::Conv2d, &parameters, &[destination, source, weights]);
        Ok(())
    }

    /// `destination(n, y, x, c)` = the mean of a block of `factor` by `factor`
    /// elements of `source(n, y, x, c)`; u8 rounds half up.
    ///
    /// # Errors
    /// Types differ, a rank is not 4, or the source is too small.
    pub fn resample(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        factor: u32,
    ) -> Result<(), Error> {
        byte_or_float("resample", destination)?;
        want(destination.data_type() == source.data_type(), || {
            "resample: types differ".into()
        })?;
        let (&[n, height, width, channels], &[from_n, from_height, from_width, from_channels]) =
            (destination.shape(), source.shape())
        else {
            return Err(Error::Shape(
                "resample takes tensors of rank 4 (NHWC)".into(),
            ));
        };
        let covers = |from: u32, to: u32| u64::from(from) >= u64::from(to) * u64::from(factor);
        want(
            (2..=16).contains(&factor)
                && (n, channels) == (from_n, from_channels)
                && covers(from_height, height)
                && covers(from_width, width),
            || {
                format!(
                    "resample by {factor} (2 to 16) does not take {:?} to {:?}",
                    source.shape(),
                    destination.shape()
                )
            },
        )?;
        let parameters = ResampleParams {
            factor,
            ..Default::default()
        };
        self.push(Opcode::Resample, &parameters, &[destination, source]);
        Ok(())
    }
}

fn convolution_fits(
    destination: &Tensor,
    source: &Tensor,
    weights: &Tensor,
    convolution: &Convolution,
) -> Result<(), Error> {
    byte_or_float("conv2d", source)?;
    let weight_type = match source.data_type() {
        DataType::U8 => DataType::I16,
        other => other,
    };
    want(
        destination.data_type() == source.data_type() && weights.data_type() == weight_type,
        || "conv2d takes u8 images with i16 weights, or f32 with f32".into(),
    )?;
    let (
        &[to_batch, to_height, to_width, to_channels],
        &[batch, height, width, channels],
        &[kernel_height, kernel_width, group_channels, kernels],
    ) = (destination.shape(), source.shape(), weights.shape())
    else {
        return Err(Error::Shape("conv2d takes tensors of rank 4".into()));
    };
    let groups = u32::from(convolution.groups);
    let outputs = |extent: u32, pad: [u16; 2], kernel: u32, stride: u16| {
        let padded = u64::from(extent) + u64::from(pad[0]) + u64::from(pad[1]);
        let room = padded.checked_sub(u64::from(kernel))?;
        Some(room.checked_div(u64::from(stride))? + 1)
    };
    let rows = outputs(
        height,
        convolution.pad_rows,
        kernel_height,
        convolution.stride[0],
    );
    let columns = outputs(
        width,
        convolution.pad_columns,
        kernel_width,
        convolution.stride[1],
    );
    want(
        groups != 0
            && to_batch == batch
            && channels.checked_div(groups) == Some(group_channels)
            && channels.is_multiple_of(groups.max(1))
            && kernels == to_channels
            && to_channels.is_multiple_of(groups.max(1))
            && rows == Some(u64::from(to_height))
            && columns == Some(u64::from(to_width)),
        || {
            format!(
                "conv2d of {:?} with weights {:?} in {groups} groups does not give {:?}",
                source.shape(),
                weights.shape(),
                destination.shape()
            )
        },
    )
}
