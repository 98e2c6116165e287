// SPDX-License-Identifier: MIT OR Apache-2.0
//! Amounts as people read and write them.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// A number of bytes: shown as `1.5 GiB`; read from `4096`, `64K` or `16MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match UNITS.iter().find(|(_, unit)| self.0 >= *unit) {
            None => format!("{} B", self.0),
            Some((name, unit)) if self.0.is_multiple_of(*unit) => {
                format!("{} {name}", self.0 / unit)
            }
            Some((name, unit)) => format!("{:.1} {name}", self.0 as f64 / *unit as f64),
        };
        f.pad(&text)
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a number of bytes such as 4096, 64K, 16M or 1G");
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit = match &text[digits.len()..] {
            "" | "B" => 1,
            suffix => UNITS
                .iter()
                .find(|(name, _)| [name, &name[..1], &name.replace('i', "")].contains(&suffix))
                .map(|(_, unit)| *unit)
                .ok_or_else(wrong)?,
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(Bytes).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_their_largest_unit() {
        let shown =
            [0, 1023, 1024, 1536, 256 << 20, 4 << 30, 5 << 40].map(|n| Bytes(n).to_string());
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1 KiB", "1.5 KiB", "256 MiB", "4 GiB", "5 TiB"
            ]
        );
    }

    #[test]
    fn bytes_are_read_with_and_without_units() {
        for (text, expected) in [
            ("0", 0),
            ("7B", 7),
            ("64K", 65536),
            ("64KiB", 65536),
            ("2GB", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(expected)), "{text}");
        }
        for text in ["", "K", "-1", "1.5G", "12X", "99999999999T", "é"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
