// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the trace format: `time_ns,stream,op,offset,bytes`, with or without
//! that header line.

use std::io::BufRead;
use std::path::Path;

use super::lines::{Lines, ReadError, open};
use super::{ADDRESS_SPACE, HEADER, MAX_ACCESS, Record};

/// The longest line of a trace.
const LONGEST_LINE: u64 = 256;

/// Reads a trace file.
///
/// # Errors
/// [`ReadError`], with the number of the line.
pub fn read(path: &Path) -> Result<Vec<Record>, ReadError> {
    parse(open(path)?)
}

/// Reads a trace from its text.
pub(super) fn parse(source: impl BufRead) -> Result<Vec<Record>, ReadError> {
    let mut recorded = Recorded::new(source);
    let mut records = Vec::new();
    while let Some(record) = recorded.next_record()? {
        records.push(record);
    }
    if records.is_empty() {
        return Err(ReadError::Empty);
    }
    Ok(records)
}

/// A trace's records, one after another.
pub struct Recorded<R> {
    lines: Lines<R>,
    last_ns: u64,
}

impl<R: BufRead> Recorded<R> {
    /// Those of a trace's text.
    pub fn new(source: R) -> Self {
        Self {
            lines: Lines::new(source, LONGEST_LINE),
            last_ns: 0,
        }
    }

    /// The next record, or nothing when there is none.
    ///
    /// # Errors
    /// [`ReadError::Line`].
    pub fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let first = self.lines.number() == 0;
            let Some(line) = self.lines.next_line()? else {
                return Ok(None);
            };
            let content = line.trim();
            if content.is_empty() || (first && content == HEADER) {
                continue;
            }
            let parsed = record(content);
            let record = parsed.map_err(|reason| self.lines.wrong(reason))?;
            if record.time_ns < self.last_ns {
                let reason = backwards(self.last_ns, record.time_ns);
                return Err(self.lines.wrong(reason));
            }
            self.last_ns = record.time_ns;
            return Ok(Some(record));
        }
    }
}

/// Says that time went back.
pub(super) fn backwards(from: u64, to: u64) -> String {
    format!("the time goes back from {from} to {to}: sort the trace by time")
}

/// Refuses an access of no byte, of too many, or beyond the address space.
pub(super) fn check_extent(offset: u64, bytes: u64) -> Result<(), String> {
    if bytes == 0 || bytes > MAX_ACCESS {
        return Err(format!("{bytes} bytes: expected 1 to {MAX_ACCESS}"));
    }
    if offset >= ADDRESS_SPACE || ADDRESS_SPACE - offset < bytes {
        return Err(format!("offset {offset} + {bytes} bytes is beyond 48 bits"));
    }
    Ok(())
}

fn record(line: &str) -> Result<Record, String> {
    let mut fields = line.split(',');
    let mut field = |name: &str| {
        fields
            .next()
            .map(str::trim)
            .ok_or_else(|| format!("no field `{name}`: expected {HEADER}"))
    };
    fn number(name: &str, text: &str) -> Result<u64, String> {
        text.parse()
            .map_err(|error| format!("{name} `{text}`: {error}"))
    }
    let time_ns = number("time_ns", field("time_ns")?)?;
    let stream = number("stream", field("stream")?)?;
    let stream = u32::try_from(stream).map_err(|_| format!("stream {stream} is above 2^32"))?;
    let write = match field("op")? {
        "r" => false,
        "w" => true,
        other => return Err(format!("op `{other}` is neither r nor w")),
    };
    let offset = number("offset", field("offset")?)?;
    let bytes = number("bytes", field("bytes")?)?;
    if fields.next().is_some() {
        return Err(format!("more fields than {HEADER}"));
    }
    check_extent(offset, bytes)?;
    Ok(Record {
        time_ns,
        stream,
        write,
        offset,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::super::output::write_record;
    use super::*;

    fn reason(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_trace_survives_writing_and_reading() {
        let records = [
            Record {
                time_ns: 5,
                stream: 1,
                write: true,
                offset: (1 << 48) - 4096,
                bytes: 4096,
            },
            Record {
                time_ns: 5,
                stream: 0,
                write: false,
                offset: 0,
                bytes: 1,
            },
        ];
        let mut text = Vec::new();
        for record in &records {
            write_record(&mut text, record).unwrap();
        }
        assert_eq!(parse(text.as_slice()).unwrap(), records);
    }

    #[test]
    fn every_refusal_names_its_line_and_reason() {
        assert_eq!(
            reason("time_ns,stream,op,offset,bytes\n9,0,r,0,1\n8,0,r,0,1\n"),
            "line 3: the time goes back from 9 to 8: sort the trace by time"
        );
        assert!(reason("1,0,x,0,1").starts_with("line 1: op `x`"));
        assert!(reason("1,0,r,0").contains("no field `bytes`"));
        assert!(reason("1,0,r,0,1,7").contains("more fields"));
        assert!(reason("1,0,r,0,0").contains("0 bytes"));
        assert!(reason("1,0,r,281474976710655,2").contains("beyond 48 bits"));
        assert!(reason("-1,0,r,0,1").contains("time_ns `-1`"));
        assert!(reason(&"9".repeat(300)).contains("longer than"));
        assert_eq!(
            reason("time_ns,stream,op,offset,bytes\n"),
            "the trace has no accesses"
        );
    }

    #[test]
    fn an_access_touches_every_page_that_it_overlaps() {
        let record = Record {
            time_ns: 0,
            stream: 0,
            write: false,
            offset: 4095,
            bytes: 4098,
        };
        assert_eq!(record.pages(), 0..=2);
    }
}
