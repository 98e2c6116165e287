// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trace format: `time_ns,stream,op,offset,bytes`, a header line, zstd if
//! the file begins with its magic number.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use thiserror::Error;

use super::{ADDRESS_SPACE, Record};

const HEADER: &str = "time_ns,stream,op,offset,bytes";
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The longest line that is read; a longer one is refused, not collected.
const MAX_LINE: u64 = 256;
/// Pages that one access touches, at most.
const MAX_ACCESS: u64 = 1 << 30;

/// Why a trace cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is not as it should be.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from one.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file holds no access.
    #[error("the trace has no accesses")]
    Empty,
}

/// Reads a trace file.
///
/// # Errors
/// [`ReadError`], with the number of the line.
pub fn read(path: &Path) -> Result<Vec<Record>, ReadError> {
    let mut file = BufReader::new(File::open(path)?);
    if file.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        parse(BufReader::new(zstd::Decoder::with_buffer(file)?))
    } else {
        parse(file)
    }
}

/// Reads a trace from its text.
pub(super) fn parse(mut source: impl BufRead) -> Result<Vec<Record>, ReadError> {
    let mut records: Vec<Record> = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let bad = |reason: String| ReadError::Line { line, reason };
        let length = source
            .by_ref()
            .take(MAX_LINE)
            .read_line(&mut text)
            .map_err(|error| bad(error.to_string()))?;
        if length == 0 {
            break;
        }
        if length as u64 == MAX_LINE && !text.ends_with('\n') {
            return Err(bad(format!("longer than {MAX_LINE} bytes")));
        }
        let content = text.trim();
        if content.is_empty() || (line == 1 && content == HEADER) {
            continue;
        }
        let record = record(content).map_err(bad)?;
        if let Some(previous) = records.last()
            && record.time_ns < previous.time_ns
        {
            return Err(bad(format!(
                "the time goes back from {} to {}: sort the trace by time",
                previous.time_ns, record.time_ns
            )));
        }
        records.push(record);
    }
    if records.is_empty() {
        return Err(ReadError::Empty);
    }
    Ok(records)
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
    if bytes == 0 || bytes > MAX_ACCESS {
        return Err(format!("{bytes} bytes: expected 1 to {MAX_ACCESS}"));
    }
    if offset >= ADDRESS_SPACE || ADDRESS_SPACE - offset < bytes {
        return Err(format!("offset {offset} + {bytes} bytes is beyond 48 bits"));
    }
    Ok(Record {
        time_ns,
        stream,
        write,
        offset,
        bytes,
    })
}

/// Writes a trace file, compressed where the name ends in `.zst`.
///
/// # Errors
/// Whatever creating or writing the file meets.
pub fn write(path: &Path, records: &[Record]) -> io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|extension| extension == "zst") {
        let mut encoder = zstd::Encoder::new(file, 19)?;
        write_text(&mut encoder, records)?;
        encoder.finish()?.flush()
    } else {
        let mut file = file;
        write_text(&mut file, records)?;
        file.flush()
    }
}

fn write_text(to: &mut impl Write, records: &[Record]) -> io::Result<()> {
    writeln!(to, "{HEADER}")?;
    for record in records {
        let op = if record.write { 'w' } else { 'r' };
        writeln!(
            to,
            "{},{},{op},{},{}",
            record.time_ns, record.stream, record.offset, record.bytes
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        write_text(&mut text, &records).unwrap();
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
