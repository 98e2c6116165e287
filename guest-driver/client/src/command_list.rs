// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building command lists: commands over tensors, in the card's wire format.
//!
//! Types and shapes are checked here, so that a mistake is a message in the
//! program and not a status from the card; addresses and overlaps are the
//! card's to check. Commands of a list take effect one after another.

use std::marker::PhantomData;

use augur_abi::command::{CONV_ABSOLUTE, CONV_EDGE, MATMUL_ACCUMULATE};
use augur_abi::submit::MAX_TRANSFER_BYTES;
use augur_abi::{
    CommandHeader, Conv2dParams, DataType, ElementwiseParams, FillParams, MatmulParams, Opcode,
    Operand, ResampleParams, TransferParams,
};
use zerocopy::{Immutable, IntoBytes};

use crate::error::Error;
use crate::tensor::Tensor;
use crate::uapi;

/// Memory of the program that transfers of one list may read.
#[derive(Clone, Copy, Debug)]
pub struct Lent(u32);

/// Memory of the program that transfers of one list may write.
#[derive(Clone, Copy, Debug)]
pub struct LentMut(u32);

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

/// A list of commands with the program memory that its transfers use, which
/// stays borrowed for `'memory`.
#[derive(Clone, Debug, Default)]
pub struct CommandList<'memory> {
    commands: Vec<u8>,
    count: u32,
    transfers: Vec<uapi::Transfer>,
    memory: PhantomData<&'memory mut [u8]>,
}

impl<'memory> CommandList<'memory> {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends memory that transfers of this list read.
    ///
    /// # Errors
    /// It is empty or larger than one transfer may be.
    pub fn lend(&mut self, memory: &'memory [u8]) -> Result<Lent, Error> {
        let address = memory.as_ptr().expose_provenance();
        self.add_transfer(address, memory.len(), 0).map(Lent)
    }

    /// Lends memory that transfers of this list write.
    ///
    /// # Errors
    /// It is empty or larger than one transfer may be.
    pub fn lend_mut(&mut self, memory: &'memory mut [u8]) -> Result<LentMut, Error> {
        let address = memory.as_mut_ptr().expose_provenance();
        self.add_transfer(address, memory.len(), uapi::TRANSFER_WRITES_MEMORY)
            .map(LentMut)
    }

    fn add_transfer(&mut self, address: usize, bytes: usize, flags: u32) -> Result<u32, Error> {
        let size = bytes as u64;
        if size == 0 || size > MAX_TRANSFER_BYTES {
            return Err(Error::Shape(format!(
                "a transfer moves 1 to {MAX_TRANSFER_BYTES} bytes, not {size}"
            )));
        }
        let index = u32::try_from(self.transfers.len()).unwrap_or(u32::MAX);
        self.transfers.push(uapi::Transfer {
            address: address as u64,
            size,
            flags,
            pad: 0,
        });
        Ok(index)
    }

    /// `destination` = as many bytes of lent memory, from `offset` on.
    ///
    /// # Errors
    /// `destination` is not a dense u8 tensor of one dimension.
    pub fn transfer_in(
        &mut self,
        destination: &Tensor,
        source: Lent,
        offset: u64,
    ) -> Result<(), Error> {
        self.transfer(Opcode::TransferIn, source.0, offset, destination)
    }

    /// As many bytes of lent memory, from `offset` on, = `source`.
    ///
    /// # Errors
    /// `source` is not a dense u8 tensor of one dimension.
    pub fn transfer_out(
        &mut self,
        destination: LentMut,
        offset: u64,
        source: &Tensor,
    ) -> Result<(), Error> {
        self.transfer(Opcode::TransferOut, destination.0, offset, source)
    }

    fn transfer(
        &mut self,
        opcode: Opcode,
        transfer: u32,
        offset: u64,
        tensor: &Tensor,
    ) -> Result<(), Error> {
        want(
            tensor.data_type() == DataType::U8 && tensor.shape().len() == 1 && tensor.is_dense(),
            || "a transfer takes a dense u8 tensor of one dimension".into(),
        )?;
        let parameters = TransferParams {
            transfer,
            offset,
            ..Default::default()
        };
        self.push(opcode, &parameters, &[tensor]);
        Ok(())
    }

    /// `destination` = all of `source`.
    ///
    /// # Errors
    /// `destination` is not a dense u8 tensor with as many elements.
    pub fn upload(&mut self, destination: &Tensor, source: &'memory [u8]) -> Result<(), Error> {
        same_bytes(destination, source.len())?;
        let lent = self.lend(source)?;
        self.transfer_in(destination, lent, 0)
    }

    /// All of `destination` = `source`.
    ///
    /// # Errors
    /// `source` is not a dense u8 tensor with as many elements.
    pub fn download(
        &mut self,
        destination: &'memory mut [u8],
        source: &Tensor,
    ) -> Result<(), Error> {
        same_bytes(source, destination.len())?;
        let lent = self.lend_mut(destination)?;
        self.transfer_out(lent, 0, source)
    }

    /// `destination` = `source`; they may overlap.
    ///
    /// # Errors
    /// Types or shapes differ.
    pub fn copy(&mut self, destination: &Tensor, source: &Tensor) -> Result<(), Error> {
        same_type_and_shape("copy", destination, source)?;
        self.push(Opcode::Copy, &[0_u8; 0], &[destination, source]);
        Ok(())
    }

    /// Every element of `destination` = the low bytes of `value`.
    ///
    /// # Errors
    /// `value` has bits that an element does not.
    pub fn fill(&mut self, destination: &Tensor, value: u64) -> Result<(), Error> {
        let bits = destination.data_type().bytes() * 8;
        want(value >> bits == 0, || {
            format!("fill value {value:#x} has more than {bits} bits")
        })?;
        self.push(Opcode::Fill, &FillParams { value }, &[destination]);
        Ok(())
    }

    /// `destination` = `a + b`; u8 saturates.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is neither u8 nor f32.
    pub fn add(&mut self, destination: &Tensor, a: &Tensor, b: &Tensor) -> Result<(), Error> {
        self.binary(Opcode::Add, "add", destination, a, b)
    }

    /// `destination` = `a * b`, element by element; u8 saturates.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is neither u8 nor f32.
    pub fn multiply(&mut self, destination: &Tensor, a: &Tensor, b: &Tensor) -> Result<(), Error> {
        self.binary(Opcode::Multiply, "multiply", destination, a, b)
    }

    fn binary(
        &mut self,
        opcode: Opcode,
        name: &str,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
    ) -> Result<(), Error> {
        byte_or_float(name, destination)?;
        same_type_and_shape(name, destination, a)?;
        same_type_and_shape(name, destination, b)?;
        let parameters = ElementwiseParams::default();
        self.push(opcode, &parameters, &[destination, a, b]);
        Ok(())
    }

    /// `destination` = `max(source, 0)`, f32.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is not f32.
    pub fn relu(&mut self, destination: &Tensor, source: &Tensor) -> Result<(), Error> {
        self.unary(Opcode::Relu, "relu", destination, source, [0.0; 2])
    }

    /// `destination` = `source * scale + bias`, f32.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is not f32.
    pub fn scale(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        scale: f32,
        bias: f32,
    ) -> Result<(), Error> {
        self.unary(Opcode::Scale, "scale", destination, source, [scale, bias])
    }

    fn unary(
        &mut self,
        opcode: Opcode,
        name: &str,
        destination: &Tensor,
        source: &Tensor,
        [scale, bias]: [f32; 2],
    ) -> Result<(), Error> {
        want(destination.data_type() == DataType::F32, || {
            format!("{name} takes f32, not {:?}", destination.data_type())
        })?;
        same_type_and_shape(name, destination, source)?;
        let parameters = ElementwiseParams {
            scale: scale.to_bits(),
            bias: bias.to_bits(),
        };
        self.push(opcode, &parameters, &[destination, source]);
        Ok(())
    }

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

    /// `destination(m, n)` = `a(m, k) * b(k, n)`, f32, plus what `destination`
    /// held if `accumulate`.
    ///
    /// # Errors
    /// A type is not f32, a rank not 2, or sizes do not fit together.
    pub fn matmul(
        &mut self,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
        accumulate: bool,
    ) -> Result<(), Error> {
        let all = [destination, a, b];
        want(
            all.iter().all(|tensor| tensor.data_type() == DataType::F32),
            || "matmul takes f32".into(),
        )?;
        let fits = match (destination.shape(), a.shape(), b.shape()) {
            (&[rows, columns], &[a_rows, a_columns], &[b_rows, b_columns]) => {
                (rows, columns, a_columns) == (a_rows, b_columns, b_rows)
            }
            _ => false,
        };
        want(fits, || {
            format!(
                "matmul: {:?} is not {:?} times {:?}",
                destination.shape(),
                a.shape(),
                b.shape()
            )
        })?;
        let parameters = MatmulParams {
            flags: if accumulate { MATMUL_ACCUMULATE } else { 0 },
            ..Default::default()
        };
        self.push(Opcode::Matmul, &parameters, &all);
        Ok(())
    }

    fn push(
        &mut self,
        opcode: Opcode,
        parameters: &(impl IntoBytes + Immutable + ?Sized),
        operands: &[&Tensor],
    ) {
        let parameters = parameters.as_bytes();
        let bytes = CommandHeader::BYTES + parameters.len() + operands.len() * Operand::BYTES;
        let header = CommandHeader {
            opcode: opcode.code(),
            operand_count: u16::try_from(operands.len()).unwrap_or(u16::MAX),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        };
        self.commands.extend_from_slice(header.as_bytes());
        self.commands.extend_from_slice(parameters);
        for tensor in operands {
            self.commands.extend_from_slice(tensor.operand().as_bytes());
        }
        self.count += 1;
    }

    /// The commands in the card's wire format.
    pub fn commands(&self) -> &[u8] {
        &self.commands
    }

    /// Commands in the list.
    pub fn command_count(&self) -> u32 {
        self.count
    }

    /// The lent memory as the driver takes it.
    pub(crate) fn transfers(&self) -> &[uapi::Transfer] {
        &self.transfers
    }
}

fn want(holds: bool, message: impl FnOnce() -> String) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Shape(message()))
    }
}

fn same_bytes(tensor: &Tensor, bytes: usize) -> Result<(), Error> {
    want(tensor.elements() == bytes as u64, || {
        format!(
            "a transfer of {bytes} bytes does not fit a tensor of {} elements",
            tensor.elements()
        )
    })
}

fn same_type_and_shape(name: &str, first: &Tensor, second: &Tensor) -> Result<(), Error> {
    want(
        first.data_type() == second.data_type() && first.shape() == second.shape(),
        || {
            format!(
                "{name}: {:?} {:?} and {:?} {:?} differ",
                first.data_type(),
                first.shape(),
                second.data_type(),
                second.shape()
            )
        },
    )
}

fn byte_or_float(name: &str, tensor: &Tensor) -> Result<(), Error> {
    want(
        matches!(tensor.data_type(), DataType::U8 | DataType::F32),
        || format!("{name} takes u8 or f32, not {:?}", tensor.data_type()),
    )
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

#[cfg(test)]
mod tests;
