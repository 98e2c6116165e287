// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands: what a command list is made of.
//!
//! A command is a [`CommandHeader`], its parameters (one of the `…Params`
//! structures, for opcodes that have one) and its operands, destination first.
//! Commands take effect as if they were executed one after another.

/// Dimensions of an operand.
pub const MAX_RANK: usize = 6;
/// Operands of a command.
pub const MAX_OPERANDS: usize = 4;
/// Flag of [`Conv2dParams`]: take the magnitude before rounding.
pub const CONV_ABSOLUTE: u32 = 1;
/// Flag of [`Conv2dParams`]: pad by repeating the edge, not with zeros.
pub const CONV_EDGE: u32 = 2;
/// Flag of [`MatmulParams`]: add to what the destination holds.
pub const MATMUL_ACCUMULATE: u32 = 1;
/// Flag of [`MatmulParams`]: subtract from what the destination holds.
pub const MATMUL_SUBTRACT: u32 = 2;

wire_enumerations! {
    /// Element types.
    pub enum DataType("AUGUR_TYPE_"): u8 {
        /// Unsigned byte.
        U8 = 1 => "U8",
        /// Signed byte.
        I8 = 2 => "I8",
        /// Signed 16-bit integer.
        I16 = 3 => "I16",
        /// Signed 32-bit integer.
        I32 = 4 => "I32",
        /// The upper half of an IEEE 754 binary32.
        Bf16 = 5 => "BF16",
        /// IEEE 754 binary32.
        F32 = 6 => "F32",
    }

    /// Opcodes of commands. Operands are named in order.
    pub enum Opcode("AUGUR_OP_"): u16 {
        /// dst = src. Same type, same shape; regions may overlap (the source is read first). No parameters.
        Copy = 1 => "COPY",
        /// dst = value. struct augur_fill_params.
        Fill = 2 => "FILL",
        /// dst(n,y,x,o) from src(n,y,x,i), weights(ky,kx,i/groups,o): cross-correlation, NHWC. u8: weights i16, sums i32; f32: weights f32. struct augur_conv2d_params.
        Conv2d = 3 => "CONV2D",
        /// dst(n,y,x,c) = mean of the factor x factor block of src(n,y,x,c) (u8 rounds half up); NHWC, u8 or f32. struct augur_resample_params.
        Resample = 4 => "RESAMPLE",
        /// dst = a + b; u8 saturates. u8 or f32, same shape. struct augur_elementwise_params.
        Add = 5 => "ADD",
        /// dst = a * b; u8 saturates. u8 or f32, same shape. struct augur_elementwise_params.
        Multiply = 6 => "MULTIPLY",
        /// dst = max(a, 0). f32. struct augur_elementwise_params.
        Relu = 7 => "RELU",
        /// dst = a * scale + bias. f32. struct augur_elementwise_params.
        Scale = 8 => "SCALE",
        /// dst(m,n) = a(m,k) * b(k,n), rank 2: f32; or a and b bf16 and dst f32; or a and b i8 and dst i32, wrapping. struct augur_matmul_params.
        Matmul = 9 => "MATMUL",
        /// dst = bytes of a transfer, dst a dense u8 operand of rank 1. struct augur_transfer_params.
        TransferIn = 10 => "TRANSFER_IN",
        /// Bytes of a transfer = src, src a dense u8 operand of rank 1. struct augur_transfer_params.
        TransferOut = 11 => "TRANSFER_OUT",
        /// dst = src reduced along a dimension, in which dst has length 1. f32. struct augur_reduce_params.
        Reduce = 12 => "REDUCE",
        /// dst = exp(src - max) / sum(exp(src - max)) along a dimension. f32. struct augur_softmax_params.
        Softmax = 13 => "SOFTMAX",
        /// dst = (src - mean) / sqrt(variance + epsilon) * scale + bias along a dimension; operands dst, src, scale, bias, the last two of rank 1. f32. struct augur_layer_norm_params.
        LayerNorm = 14 => "LAYER_NORM",
        /// dst(i,...) = table(indices(i),...); operands dst, table, indices: i32 of rank 1. u8 or f32. An index that is not of a row fails the command with BAD_OPERAND while it runs. No parameters.
        Gather = 15 => "GATHER",
        /// table(indices(i),...) = src(i,...), in order of i; operands table, src, indices: i32 of rank 1. u8 or f32. As GATHER for indices. No parameters.
        Scatter = 16 => "SCATTER",
        /// a(n,n) = l, lower triangular with zeros above the diagonal, where l * transposed l is the symmetric matrix whose lower triangle a held (the rest of a is not read). f32. Without a positive pivot the command fails with BAD_OPERAND while it runs. No parameters.
        Cholesky = 17 => "CHOLESKY",
        /// x(m,n) = y with y * transposed l(n,n) = what x held; l lower triangular, what stands above its diagonal is not read. f32. No parameters.
        TriangularSolve = 18 => "TRIANGULAR_SOLVE",
    }

    /// How REDUCE reduces.
    pub enum ReduceKind("AUGUR_REDUCE_"): u32 {
        /// The sum.
        Sum = 0 => "SUM",
        /// The mean.
        Mean = 1 => "MEAN",
        /// The largest; a NaN if there is one.
        Maximum = 2 => "MAXIMUM",
    }
}

impl DataType {
    /// Bytes of one element.
    pub const fn bytes(self) -> u64 {
        match self {
            DataType::U8 | DataType::I8 => 1,
            DataType::I16 | DataType::Bf16 => 2,
            DataType::I32 | DataType::F32 => 4,
        }
    }
}

impl Opcode {
    /// Number of operands, the destination included.
    pub const fn operands(self) -> usize {
        match self {
            Opcode::Fill | Opcode::TransferIn | Opcode::TransferOut | Opcode::Cholesky => 1,
            Opcode::Copy
            | Opcode::Resample
            | Opcode::Relu
            | Opcode::Scale
            | Opcode::Reduce
            | Opcode::Softmax
            | Opcode::TriangularSolve => 2,
            Opcode::Conv2d
            | Opcode::Add
            | Opcode::Multiply
            | Opcode::Matmul
            | Opcode::Gather
            | Opcode::Scatter => 3,
            Opcode::LayerNorm => 4,
        }
    }

    /// Bytes of the parameters between header and operands.
    pub const fn parameter_bytes(self) -> usize {
        match self {
            Opcode::Copy
            | Opcode::Gather
            | Opcode::Scatter
            | Opcode::Cholesky
            | Opcode::TriangularSolve => 0,
            Opcode::Reduce => ReduceParams::BYTES,
            Opcode::Softmax => SoftmaxParams::BYTES,
            Opcode::LayerNorm => LayerNormParams::BYTES,
            Opcode::Fill => FillParams::BYTES,
            Opcode::Conv2d => Conv2dParams::BYTES,
            Opcode::Resample => ResampleParams::BYTES,
            Opcode::Add | Opcode::Multiply | Opcode::Relu | Opcode::Scale => {
                ElementwiseParams::BYTES
            }
            Opcode::Matmul => MatmulParams::BYTES,
            Opcode::TransferIn | Opcode::TransferOut => TransferParams::BYTES,
        }
    }
}

wire_structures! {
    /// Start of a command.
    pub struct CommandHeader("augur_command_header") {
        /// AUGUR_OP_*.
        pub opcode: u16,
        /// Operands: exactly as many as the opcode has.
        pub operand_count: u16,
        /// Bytes of the command with header, parameters and operands.
        pub bytes: u32,
    }

    /// A strided sub-range of device memory. Element (i0, i1, …) is at
    /// address + i0*stride0 + i1*stride1 + …; strides are in bytes.
    pub struct Operand("augur_operand") {
        /// Device address of the first element; a multiple of the element's size.
        pub address: u64,
        /// AUGUR_TYPE_*.
        pub data_type: u8,
        /// Dimensions, 1 to AUGUR_MAX_RANK.
        pub rank: u8,
        /// Zero.
        pub reserved: [u8; 6],
        /// Elements of each dimension, none zero; zero behind the last dimension.
        pub shape: [u32; MAX_RANK],
        /// Bytes between neighbours in each dimension, a multiple of the element's size; zero behind the last dimension.
        pub stride: [u64; MAX_RANK],
    }

    /// Parameters of FILL.
    pub struct FillParams("augur_fill_params") {
        /// The element's bytes in the low bits; the rest zero.
        pub value: u64,
    }

    /// Parameters of ADD, MULTIPLY, RELU and SCALE.
    pub struct ElementwiseParams("augur_elementwise_params") {
        /// Bits of the f32 scale; zero for other opcodes.
        pub scale: u32,
        /// Bits of the f32 bias; zero for other opcodes.
        pub bias: u32,
    }

    /// Parameters of CONV2D. u8: clamp((|sum|? + bias + 2^(shift-1)) >> shift).
    pub struct Conv2dParams("augur_conv2d_params") {
        /// Rows between two outputs, not zero.
        pub stride_y: u16,
        /// Columns between two outputs, not zero.
        pub stride_x: u16,
        /// Rows of padding above; output height = (height + pad_top + pad_bottom - kernel height) / stride_y + 1.
        pub pad_top: u16,
        /// Rows of padding below.
        pub pad_bottom: u16,
        /// Columns of padding on the left.
        pub pad_left: u16,
        /// Columns of padding on the right.
        pub pad_right: u16,
        /// Channel groups; input and output channels are multiples of it.
        pub groups: u16,
        /// u8: bits that the sum is shifted right by, with rounding, 0 to 24. f32: zero.
        pub shift: u16,
        /// AUGUR_CONV_ABSOLUTE, AUGUR_CONV_EDGE.
        pub flags: u32,
        /// Added to each sum: an i32 for u8, the bits of an f32 for f32.
        pub bias: u32,
    }

    /// Parameters of RESAMPLE.
    pub struct ResampleParams("augur_resample_params") {
        /// Source elements for one of the destination in y and x, 2 to 16; the source's height and width are at least factor times the destination's.
        pub factor: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Parameters of MATMUL.
    pub struct MatmulParams("augur_matmul_params") {
        /// AUGUR_MATMUL_ACCUMULATE, AUGUR_MATMUL_SUBTRACT, or zero.
        pub flags: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Parameters of REDUCE.
    pub struct ReduceParams("augur_reduce_params") {
        /// Dimension that is reduced.
        pub axis: u32,
        /// AUGUR_REDUCE_*.
        pub kind: u32,
    }

    /// Parameters of SOFTMAX.
    pub struct SoftmaxParams("augur_softmax_params") {
        /// Dimension along which the results sum to one.
        pub axis: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Parameters of LAYER_NORM.
    pub struct LayerNormParams("augur_layer_norm_params") {
        /// Dimension that is normalised.
        pub axis: u32,
        /// Bits of the f32 epsilon.
        pub epsilon: u32,
    }

    /// Parameters of TRANSFER_IN and TRANSFER_OUT.
    pub struct TransferParams("augur_transfer_params") {
        /// Index of the transfer in the submission.
        pub transfer: u32,
        /// Zero.
        pub reserved: u32,
        /// First byte of the transfer that is used; it covers offset plus the operand's bytes.
        pub offset: u64,
    }
}
