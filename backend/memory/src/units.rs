// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quantities with their units as types.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// log2 of the bytes of a page, which is a frame.
pub const PAGE_SHIFT: u32 = augur_abi::PAGE_BYTES.trailing_zeros();

macro_rules! quantities {
    ($($(#[doc = $doc:literal])* $name:ident($inner:ty), $format:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    )*};
}

quantities! {
    /// Nanoseconds since an arbitrary start.
    Nanos(u64), "{} ns";
    /// A context: an address space of the card.
    ContextId(u32), "context {}";
    /// An object, unique in a driver's life.
    ObjectId(u64), "object {}";
    /// A byte of a context's device address space.
    DeviceAddress(u64), "{:#x}";
    /// A page of a context's device address space: a device address / 4096.
    PageNumber(u64), "page {:#x}";
    /// A frame of device memory: a physical offset / 4096.
    Frame(u32), "frame {:#x}";
    /// A number of frames or pages.
    Frames(u32), "{} frames";
    /// A byte of device memory. Offsets below the aperture's size are visible.
    PhysicalOffset(u64), "{:#x}";
    /// A byte of the aperture; the same byte as the physical offset of the same value.
    ApertureOffset(u64), "{:#x}";
    /// A window slot, below the number of frames of the aperture.
    Slot(u32), "slot {}";
}

/// One use of a window slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowRef {
    /// The slot.
    pub slot: Slot,
    /// Grows each time that the slot is used again.
    pub generation: u32,
}

impl DeviceAddress {
    /// The page that holds the address.
    pub const fn page(self) -> PageNumber {
        PageNumber(self.0 >> PAGE_SHIFT)
    }
}

impl PageNumber {
    /// The page's first address.
    pub const fn address(self) -> DeviceAddress {
        DeviceAddress(self.0 << PAGE_SHIFT)
    }
}

impl Frame {
    /// The frame's first byte.
    pub const fn offset(self) -> PhysicalOffset {
        PhysicalOffset((self.0 as u64) << PAGE_SHIFT)
    }
}

impl Frames {
    /// Bytes of that many frames.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << PAGE_SHIFT
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Nanos;
    /// Saturates at zero.
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}
