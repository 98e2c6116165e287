// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that may stand in device memory: plain numbers for which every bit
//! pattern is a value.

mod sealed {
    pub trait Sealed {}
}

/// An element of a view. Every bit pattern is a value and there is no padding,
/// so whatever a guest wrote can be read as one.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + 'static {
    /// Bytes of one element, which is also its alignment.
    const BYTES: u64 = size_of::<Self>() as u64;
}

macro_rules! elements {
    ($($name:ty),*) => {$(
        impl sealed::Sealed for $name {}
        impl Element for $name {}
    )*};
}

elements!(u8, i8, u16, i16, u32, i32, f32, Bf16);

/// The upper half of an f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl From<Bf16> for f32 {
    /// Exact.
    fn from(half: Bf16) -> f32 {
        f32::from_bits(u32::from(half.0) << 16)
    }
}
