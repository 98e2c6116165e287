// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes in bytes, as people write them on a command line.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written as `268435456` or `256M` (K, M, G, T are powers
/// of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl Size {
    /// One MiB.
    pub const MIB: Self = Self(1 << 20);

    /// Whole MiB, rounded up.
    pub fn mib(self) -> u64 {
        self.0.div_ceil(Self::MIB.0)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size; write it like 256M or 4G");
        let unit = text.chars().last().map(|unit| unit.to_ascii_uppercase());
        let shift = UNITS
            .iter()
            .find(|(name, _)| Some(*name) == unit)
            .map(|(_, shift)| *shift);
        let digits = if shift.is_some() {
            text.get(..text.len() - 1).unwrap_or_default()
        } else {
            text
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number
            .checked_mul(1 << shift.unwrap_or(0))
            .map(Self)
            .ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    /// The shortest exact way of writing it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, shift) in UNITS {
            if self.0 != 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{name}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [
            ("4G", 4 << 30),
            ("256M", 256 << 20),
            ("3", 3),
            ("0", 0),
            ("1536K", 1536 << 10),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size, Size(bytes));
            assert_eq!(size.to_string(), text);
        }
        assert_eq!("16m".parse(), Ok(Size(16 << 20)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "M", "-1", "1.5G", "4GB", "99999999999T", "ä"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
