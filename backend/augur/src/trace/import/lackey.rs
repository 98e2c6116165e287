// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `valgrind --tool=lackey --trace-mem=yes` writes: `I  addr,size` for an
//! instruction, ` L`, ` S` and ` M` for a load, a store and a load followed by
//! a store of the same bytes, addresses in hexadecimal; lines of valgrind's own
//! begin with `==`.

use std::io::BufRead;

use super::{Lines, ReadError, Record, Settings, Source, check_extent};

const LONGEST_LINE: u64 = 4096;

pub(super) struct Lackey {
    lines: Lines<Box<dyn BufRead>>,
    interval_ns: u64,
    time_ns: u64,
}

impl Lackey {
    pub fn new(text: Box<dyn BufRead>, settings: &Settings) -> Self {
        Self {
            lines: Lines::new(text, LONGEST_LINE),
            interval_ns: settings.interval_ns,
            time_ns: 0,
        }
    }
}

/// Whether it writes, its first byte and its bytes.
fn access(line: &str) -> Result<(bool, u64, u64), String> {
    let write = match line.as_bytes() {
        [b' ', b'L', b' ', ..] => false,
        [b' ', b'S' | b'M', b' ', ..] => true,
        _ => return Err("expected `I `, ` L`, ` S` or ` M` and address,size".into()),
    };
    let extent = line.get(3..).unwrap_or_default().trim();
    let (address, size) = extent
        .split_once(',')
        .ok_or_else(|| format!("`{extent}`: expected address,size"))?;
    let offset = u64::from_str_radix(address, 16)
        .map_err(|error| format!("address `{address}`: {error}"))?;
    let bytes = size
        .parse()
        .map_err(|error| format!("size `{size}`: {error}"))?;
    check_extent(offset, bytes)?;
    Ok((write, offset, bytes))
}

impl Source for Lackey {
    fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        while let Some(line) = self.lines.next_line()? {
            // Fetches, valgrind's messages and its debug log.
            if line.starts_with("I ") || line.starts_with("==") || line.starts_with("--") {
                continue;
            }
            if line.trim().is_empty() {
                continue;
            }
            let parsed = access(line);
            let (write, offset, bytes) = parsed.map_err(|reason| self.lines.wrong(reason))?;
            let time_ns = self.time_ns;
            self.time_ns += self.interval_ns;
            return Ok(Some(Record {
                time_ns,
                stream: 0,
                write,
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
    fn loads_read_and_stores_and_modifications_write() {
        let text = "==12== Lackey\nI  04001100,3\n S 1ffeffff8,8\n L 0400,4\n M 10,2\n==12== \n";
        let records = read_all(text, Format::Lackey, &settings()).unwrap();
        let seen: Vec<_> = records
            .iter()
            .map(|record| (record.time_ns, record.offset, record.bytes, record.write))
            .collect();
        let expected = [
            (0, 0x1_ffef_fff8, 8, true),
            (10, 0x400, 4, false),
            (20, 0x10, 2, true),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn every_refusal_names_its_line_and_reason() {
        let why = |text| reason(text, Format::Lackey);
        assert!(why("I  1,1\nhello\n").starts_with("line 2: expected `I `"));
        assert!(why(" L xyz,4\n").contains("address `xyz`"));
        assert!(why(" L 10\n").contains("expected address,size"));
        assert!(why(" L 10,four\n").contains("size `four`"));
        assert!(why(" L ffffffffffffffff,8\n").contains("48 bits"));
        assert!(why(" S 10,0\n").contains("0 bytes"));
    }
}
