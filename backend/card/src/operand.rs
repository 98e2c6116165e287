// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operands: strided ranges of device addresses that are sound in themselves.
//! Whether the memory exists only the memory manager knows.

use augur_abi::command::{MAX_RANK, Operand as WireOperand};
use augur_abi::{DataType, Status};
use augur_kernels::{Element, Layout};
use augur_memory::DeviceAddress;
use augur_scheduler::region::{Region, RegionError};

/// A checked operand: a strided range of device addresses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub address: DeviceAddress,
    pub data_type: DataType,
    /// Bytes from the first byte of the first element to behind the last.
    pub span: u64,
    /// The bytes of its elements, exactly.
    pub region: Region,
    places: Places,
}

/// Where the elements lie, by their size: checked once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Places {
    One(Layout<u8>),
    Two(Layout<i16>),
    Four(Layout<i32>),
}

impl Places {
    fn check(bytes: u64, shape: &[u32], stride: &[u64]) -> Result<Self, Status> {
        match bytes {
            1 => Layout::new(shape, stride).map(Places::One),
            2 => Layout::new(shape, stride).map(Places::Two),
            _ => Layout::new(shape, stride).map(Places::Four),
        }
        .map_err(|_| Status::BadOperand)
    }

    fn span_bytes(&self) -> u64 {
        match self {
            Places::One(layout) => layout.span_bytes(),
            Places::Two(layout) => layout.span_bytes(),
            Places::Four(layout) => layout.span_bytes(),
        }
    }

    fn rank(&self) -> usize {
        match self {
            Places::One(layout) => layout.rank(),
            Places::Two(layout) => layout.rank(),
            Places::Four(layout) => layout.rank(),
        }
    }

    fn shape(&self) -> [u64; MAX_RANK] {
        match self {
            Places::One(layout) => layout.shape(),
            Places::Two(layout) => layout.shape(),
            Places::Four(layout) => layout.shape(),
        }
    }

    fn strides(&self) -> [u64; MAX_RANK] {
        match self {
            Places::One(layout) => layout.strides(),
            Places::Two(layout) => layout.strides(),
            Places::Four(layout) => layout.strides(),
        }
    }
}

impl Operand {
    /// The layout, when the operand has elements of the size of `T`.
    pub fn layout<T: Element>(&self) -> Result<Layout<T>, Status> {
        match &self.places {
            Places::One(layout) => layout.retyped(),
            Places::Two(layout) => layout.retyped(),
            Places::Four(layout) => layout.retyped(),
        }
        .ok_or(Status::BadOperand)
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        // Cannot overflow: the layout was checked.
        self.places.shape().iter().product()
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.places.rank()
    }

    /// Elements of each dimension, 1 behind the last.
    pub fn shape(&self) -> [u64; MAX_RANK] {
        self.places.shape()
    }

    /// Elements of a dimension, if there is such a one.
    pub fn length(&self, axis: usize) -> Option<u32> {
        let shape = self.places.shape();
        let length = shape.get(axis).filter(|_| axis < self.rank())?;
        u32::try_from(*length).ok()
    }

    /// Checks an operand of the wire; one that is written must not name a byte
    /// twice.
    #[inline(always)]
    pub fn check(wire: &WireOperand, written: bool) -> Result<Self, Status> {
        let data_type = DataType::from_code(wire.data_type).ok_or(Status::Invalid)?;
        let rank = usize::from(wire.rank);
        if !(1..=MAX_RANK).contains(&rank) || wire.reserved != [0; 6] {
            return Err(Status::Invalid);
        }
        let mut beyond = wire.shape.iter().zip(&wire.stride).skip(rank);
        if beyond.any(|(&length, &stride)| length != 0 || stride != 0) {
            return Err(Status::Invalid);
        }
        if !wire.address.is_multiple_of(data_type.bytes()) {
            return Err(Status::BadOperand);
        }
        let region = region(wire, data_type, rank, written)?;
        let places = Places::check(data_type.bytes(), &wire.shape[..rank], &wire.stride[..rank])?;
        let span = places.span_bytes();
        wire.address.checked_add(span).ok_or(Status::BadOperand)?;
        Ok(Operand {
            address: DeviceAddress(wire.address),
            data_type,
            span,
            region,
            places,
        })
    }

    /// Bytes from one element of a dimension to the next; zero where there is one.
    pub fn stride_of(&self, axis: usize) -> u64 {
        let strides = self.places.strides();
        strides.get(axis).copied().unwrap_or(0)
    }

    /// `count` elements of a dimension from `first` on, if there are as many.
    pub fn rows(&self, axis: usize, first: u32, count: u32, written: bool) -> Option<Self> {
        if first.checked_add(count)? > self.length(axis)? {
            return None;
        }
        let into = u64::from(first).checked_mul(self.stride_of(axis))?;
        let mut wire = WireOperand {
            address: self.address.0.checked_add(into)?,
            data_type: self.data_type.code(),
            rank: self.rank() as u8,
            stride: self.places.strides(),
            ..WireOperand::default()
        };
        for (at, length) in wire.shape.iter_mut().enumerate().take(self.rank()) {
            *length = self.length(at)?;
        }
        *wire.shape.get_mut(axis)? = count;
        Self::check(&wire, written).ok()
    }

    /// Whether the operand is dense bytes of rank 1, as transfers need.
    pub fn is_dense_bytes(&self) -> bool {
        let dense = self.length(0) == Some(1) || self.stride_of(0) == 1;
        self.data_type == DataType::U8 && self.rank() == 1 && dense
    }

    pub fn same_elements(&self, other: &Operand) -> bool {
        self == other
    }
}

/// The bytes of an operand's elements.
fn region(
    wire: &WireOperand,
    data_type: DataType,
    rank: usize,
    written: bool,
) -> Result<Region, Status> {
    let mut shape = [1; MAX_RANK];
    let mut strides = [0; MAX_RANK];
    for axis in 0..rank {
        shape[axis] = u64::from(wire.shape[axis]);
        if shape[axis] > 1 {
            strides[axis] = i64::try_from(wire.stride[axis]).map_err(|_| Status::BadOperand)?;
        }
    }
    let (shape, strides) = (&shape[..rank], &strides[..rank]);
    if written {
        Region::written(wire.address, data_type.bytes(), shape, strides)
    } else {
        Region::read(wire.address, data_type.bytes(), shape, strides)
    }
    .map_err(|error| match error {
        RegionError::OutOfRange => Status::NoObject,
        _ => Status::BadOperand,
    })
}
