// SPDX-License-Identifier: MIT OR Apache-2.0
//! The traces of N. Megiddo and D. Modha, "ARC: A Self-Tuning, Low Overhead
//! Replacement Cache", FAST '03: on each line the first block, the number of
//! blocks, a field without meaning, and the number of the request. Blocks have
//! 512 bytes; there is no clock and no direction.

use std::io::BufRead;

use super::{Lines, ReadError, Record, Settings, Source, check_extent, in_bytes, number};

const BLOCK: u64 = 512;
const LONGEST_LINE: u64 = 256;

pub(super) struct Arc {
    lines: Lines<Box<dyn BufRead>>,
    interval_ns: u64,
    time_ns: u64,
}

impl Arc {
    pub fn new(text: Box<dyn BufRead>, settings: &Settings) -> Self {
        Self {
            lines: Lines::new(text, LONGEST_LINE),
            interval_ns: settings.interval_ns,
            time_ns: 0,
        }
    }
}

/// First byte and number of bytes.
fn extent(line: &str) -> Result<(u64, u64), String> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [first, count, _, request] = fields[..] else {
        return Err(format!(
            "{} fields: expected first block, number of blocks, 0 and request number",
            fields.len()
        ));
    };
    number("request number", request)?;
    let offset = in_bytes("block", number("block", first)?, BLOCK)?;
    let bytes = in_bytes(
        "number of blocks",
        number("number of blocks", count)?,
        BLOCK,
    )?;
    check_extent(offset, bytes)?;
    Ok((offset, bytes))
}

impl Source for Arc {
    fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        while let Some(line) = self.lines.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let parsed = extent(line);
            let (offset, bytes) = parsed.map_err(|reason| self.lines.wrong(reason))?;
            let time_ns = self.time_ns;
            self.time_ns += self.interval_ns;
            return Ok(Some(Record {
                time_ns,
                stream: 0,
                write: false,
                offset,
                bytes,
            }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{read_all, reason, settings};

    #[test]
    fn blocks_become_bytes_in_order() {
        let records = read_all("110765 64 0 0\n\n7 1 0 1\n", Format::Arc, &settings()).unwrap();
        let seen: Vec<_> = records
            .iter()
            .map(|record| (record.time_ns, record.offset, record.bytes, record.write))
            .collect();
        assert_eq!(
            seen,
            [(0, 56_711_680, 32768, false), (10, 3584, 512, false)]
        );
    }

    #[test]
    fn every_refusal_names_its_line_and_reason() {
        let why = |text| reason(text, Format::Arc);
        assert!(why("1 1 0 0\n1 1 0\n").starts_with("line 2: 3 fields"));
        assert!(why("x 1 0 0\n").starts_with("line 1: block `x`"));
        assert!(why("1 0 0 0\n").contains("0 bytes"));
        assert!(why("1 -1 0 0\n").contains("number of blocks `-1`"));
        assert!(why("18446744073709551615 1 0 0\n").contains("64 bits"));
        assert!(why("549755813887 2 0 0\n").contains("48 bits"));
        assert!(why(&"1".repeat(400)).contains("longer than"));
    }
}
