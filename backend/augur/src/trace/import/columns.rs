// SPDX-License-Identifier: MIT OR Apache-2.0
//! CSV files of others: which column holds what is said by names, in the first
//! line of the file or by the user.

use std::collections::HashMap;
use std::io::BufRead;
use std::str::FromStr;

use super::{
    Lines, ReadError, Record, Settings, Source, backwards, check_extent, in_bytes, number,
};

const LONGEST_LINE: u64 = 4096;
/// Different names of streams, at most.
const MAX_STREAMS: usize = 1 << 16;
/// Columns, at most.
const MAX_COLUMNS: usize = 64;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// A time in units of so many nanoseconds.
    Time(u64),
    /// Who accessed: a number or a name.
    Stream,
    /// The direction.
    Op,
    /// The first byte, in units of so many bytes.
    Offset(u64),
    /// The length, in units of so many bytes.
    Length(u64),
    /// Something else.
    Other,
}

const NAMES: &[(&str, Column)] = &[
    ("time_ns", Column::Time(1)),
    ("time_us", Column::Time(1_000)),
    ("time_ms", Column::Time(1_000_000)),
    ("time_s", Column::Time(1_000_000_000)),
    ("time_100ns", Column::Time(100)),
    ("stream", Column::Stream),
    ("op", Column::Op),
    ("offset", Column::Offset(1)),
    ("page", Column::Offset(4096)),
    ("sector", Column::Offset(512)),
    ("bytes", Column::Length(1)),
    ("pages", Column::Length(4096)),
    ("sectors", Column::Length(512)),
    ("-", Column::Other),
];

/// The columns of a file, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

impl Columns {
    fn parse(text: &str, delimiter: char) -> Result<Self, String> {
        let mut columns = Vec::new();
        for name in text.split(delimiter) {
            let name = name.trim();
            let column = NAMES
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|&(_, column)| column)
                .ok_or_else(|| format!("column `{name}`: expected {}", names()))?;
            columns.push(column);
        }
        if columns.len() > MAX_COLUMNS {
            return Err(format!("more than {MAX_COLUMNS} columns"));
        }
        let count = |is: fn(&Column) -> bool| columns.iter().filter(|it| is(it)).count();
        for (what, number) in [
            ("time", count(|it| matches!(it, Column::Time(_)))),
            ("stream", count(|it| *it == Column::Stream)),
            ("op", count(|it| *it == Column::Op)),
            ("length", count(|it| matches!(it, Column::Length(_)))),
        ] {
            if number > 1 {
                return Err(format!("{number} columns hold the {what}"));
            }
        }
        match count(|it| matches!(it, Column::Offset(_))) {
            1 => Ok(Self(columns)),
            0 => Err("no column holds the offset (offset, page or sector)".into()),
            several => Err(format!("{several} columns hold the offset")),
        }
    }
}

fn names() -> String {
    let names: Vec<&str> = NAMES.iter().map(|&(name, _)| name).collect();
    names.join(", ")
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, ',')
    }
}

pub(super) struct Csv {
    lines: Lines<Box<dyn BufRead>>,
    parser: Parser,
}

/// What has to be known to understand a line.
struct Parser {
    columns: Columns,
    delimiter: char,
    interval_ns: u64,
    streams: HashMap<String, u32>,
    previous: Option<u64>,
}

impl Csv {
    pub fn new(text: Box<dyn BufRead>, settings: &Settings) -> Result<Self, ReadError> {
        let mut lines = Lines::new(text, LONGEST_LINE);
        let columns = match &settings.columns {
            Some(columns) => columns.clone(),
            None => {
                let header = lines.next_line()?.ok_or(ReadError::Empty)?;
                let parsed = Columns::parse(header, settings.delimiter);
                parsed.map_err(|reason| lines.wrong(reason))?
            }
        };
        let parser = Parser {
            columns,
            delimiter: settings.delimiter,
            interval_ns: settings.interval_ns,
            streams: HashMap::new(),
            previous: None,
        };
        Ok(Self { lines, parser })
    }
}

/// A time such as `12` or `0.25` in nanoseconds.
fn time(text: &str, unit: u64) -> Result<u64, String> {
    let wrong = || format!("time `{text}`: expected a number from 0 that fits in 64 bits of ns");
    if let Ok(whole) = text.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(wrong);
    }
    let nanoseconds = text.parse::<f64>().map_err(|_| wrong())? * unit as f64;
    // Above this, whole nanoseconds cannot be told apart.
    if (0.0..9.0e15).contains(&nanoseconds) {
        Ok(nanoseconds.round() as u64)
    } else {
        Err(wrong())
    }
}

fn writes(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "r" | "read" | "rs" | "load" | "l" => Ok(false),
        "w" | "write" | "ws" | "store" | "s" => Ok(true),
        _ => Err(format!("op `{text}` is neither r, read, w nor write")),
    }
}

impl Parser {
    fn record(&mut self, line: &str) -> Result<Record, String> {
        let mut record = Record {
            time_ns: self
                .previous
                .map_or(0, |time| time.saturating_add(self.interval_ns)),
            stream: 0,
            write: false,
            offset: 0,
            bytes: 1,
        };
        let mut length = None;
        let mut fields = line.split(self.delimiter);
        let expected = self.columns.0.len();
        for (index, column) in (1..).zip(self.columns.0.clone()) {
            let field = fields
                .next()
                .map(str::trim)
                .ok_or_else(|| format!("no field {index} of {expected}"))?;
            match column {
                Column::Time(unit) => record.time_ns = time(field, unit)?,
                Column::Op => record.write = writes(field)?,
                Column::Offset(unit) => {
                    record.offset = in_bytes("offset", number("offset", field)?, unit)?;
                    record.bytes = unit;
                }
                Column::Length(unit) => {
                    length = Some(in_bytes("length", number("length", field)?, unit)?);
                }
                Column::Stream => record.stream = self.stream(field)?,
                Column::Other => {}
            }
        }
        if fields.next().is_some() {
            return Err(format!("more than {expected} fields"));
        }
        record.bytes = length.unwrap_or(record.bytes);
        check_extent(record.offset, record.bytes)?;
        if let Some(previous) = self.previous
            && record.time_ns < previous
        {
            return Err(backwards(previous, record.time_ns));
        }
        self.previous = Some(record.time_ns);
        Ok(record)
    }

    /// The number of the stream called `name`.
    fn stream(&mut self, name: &str) -> Result<u32, String> {
        if let Some(&stream) = self.streams.get(name) {
            return Ok(stream);
        }
        let stream = self.streams.len();
        if stream >= MAX_STREAMS {
            return Err(format!("more than {MAX_STREAMS} streams"));
        }
        self.streams.insert(name.to_owned(), stream as u32);
        Ok(stream as u32)
    }
}

impl Source for Csv {
    fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        while let Some(line) = self.lines.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let parsed = self.parser.record(line);
            return parsed.map(Some).map_err(|reason| self.lines.wrong(reason));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{read_all, reason, settings};

    #[test]
    fn the_header_says_what_columns_hold() {
        let text =
            "stream,time_us,op,sector,sectors,-\nhm_0,1.5,Read,8,2,x\nweb,2,Write,0x10,1,y\n";
        let records = read_all(text, Format::Csv, &settings()).unwrap();
        let seen: Vec<_> = records
            .iter()
            .map(|it| (it.time_ns, it.stream, it.write, it.offset, it.bytes))
            .collect();
        assert_eq!(
            seen,
            [(1500, 0, false, 4096, 1024), (2000, 1, true, 8192, 512)]
        );
    }

    #[test]
    fn columns_that_are_given_replace_the_header_and_a_clock_is_made_up() {
        let mut settings = settings();
        settings.columns = Some("-,page".parse().unwrap());
        settings.delimiter = ' ';
        let records = read_all("a 3\nb 4\n", Format::Csv, &settings).unwrap();
        let seen: Vec<_> = records
            .iter()
            .map(|it| (it.time_ns, it.offset, it.bytes))
            .collect();
        assert_eq!(seen, [(0, 12288, 4096), (10, 16384, 4096)]);
    }

    #[test]
    fn the_own_format_is_one_of_them() {
        let text = "time_ns,stream,op,offset,bytes\n5,0,w,4096,8192\n";
        let own = crate::trace::csv::parse(text.as_bytes()).unwrap();
        assert_eq!(read_all(text, Format::Csv, &settings()).unwrap(), own);
    }

    #[test]
    fn every_refusal_names_its_line_and_reason() {
        let why = |text| reason(text, Format::Csv);
        assert!(why("time_ns,size\n").starts_with("line 1: column `size`: expected time_ns"));
        assert!(why("time_ns,op\n").contains("no column holds the offset"));
        assert!(why("offset,page\n").contains("2 columns hold the offset"));
        assert!(why("offset,bytes\n1\n").starts_with("line 2: no field 2 of 2"));
        assert!(why("offset\n1,2\n").contains("more than 1 fields"));
        assert!(why("offset,op\n1,x\n").contains("op `x`"));
        assert!(why("offset,time_s\n1,nan\n").contains("time `nan`"));
        assert!(why("offset,time_s\n1,-1\n").contains("time `-1`"));
        assert!(why("offset,time_s\n1,99999999999999999\n").contains("time `9"));
        assert!(why("offset,time_ns\n1,5\n1,4\n").contains("line 3: the time goes back"));
        assert!(why("page\n0xffffffffff\n").contains("48 bits"));
        assert_eq!(why(""), "the trace has no accesses");
    }
}
