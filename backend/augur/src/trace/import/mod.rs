// SPDX-License-Identifier: MIT OR Apache-2.0
//! Traces of others: one module for each format, which reads a file line by
//! line and yields [`Record`]s in order of time.
//!
//! Several inputs become several streams, merged by time. Nothing is held in
//! memory but a line of each input and what a format has to remember.

mod arc;
mod columns;
mod lackey;
mod mooncake;
mod recent;

use std::io::BufRead;
use std::path::Path;

pub use columns::Columns;
pub use recent::Recent;

use super::csv::{backwards, check_extent};
use super::lines::{Lines, open};
use super::{ADDRESS_SPACE, ReadError, Record};

/// A format that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Megiddo and Modha's format: first block, number of blocks, two more
    /// fields; blocks of 512 bytes, all reads.
    Arc,
    /// What valgrind --tool=lackey --trace-mem=yes writes; instruction fetches
    /// are left out.
    Lackey,
    /// Columns with a header line that names them, or as --columns says.
    Csv,
    /// JSON lines with `timestamp` (ms) and `hash_ids`, blocks of a KV cache:
    /// the first appearance of a block writes it, later ones read it.
    Mooncake,
}

impl Format {
    /// Whether it says when an access was made.
    pub fn has_clock(self) -> bool {
        matches!(self, Self::Csv | Self::Mooncake)
    }
}

/// What the formats leave open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two accesses where the source has no clock.
    pub interval_ns: u64,
    /// Names and order of a CSV's columns, if its first line does not say.
    pub columns: Option<Columns>,
    /// What stands between two columns.
    pub delimiter: char,
    /// Bytes of a KV cache's block.
    pub block_bytes: u64,
    /// Seed of the places of a KV cache's blocks.
    pub seed: u64,
}

/// Yields accesses in order of time.
pub trait Source {
    /// The next one.
    ///
    /// # Errors
    /// The line that is wrong, and why.
    fn next_record(&mut self) -> Result<Option<Record>, ReadError>;
}

/// Reads `text` as `format`.
///
/// # Errors
/// When its header is wrong.
pub fn source(
    text: Box<dyn BufRead>,
    format: Format,
    settings: &Settings,
) -> Result<Box<dyn Source>, ReadError> {
    Ok(match format {
        Format::Arc => Box::new(arc::Arc::new(text, settings)),
        Format::Lackey => Box::new(lackey::Lackey::new(text, settings)),
        Format::Csv => Box::new(columns::Csv::new(text, settings)?),
        Format::Mooncake => Box::new(mooncake::Mooncake::new(text, settings)),
    })
}

/// Opens `path` (`-` is standard input) as `format`.
///
/// # Errors
/// When it cannot be opened, or its header is wrong.
pub fn open_source(
    path: &Path,
    format: Format,
    settings: &Settings,
) -> Result<Box<dyn Source>, ReadError> {
    source(open(path)?, format, settings)
}

/// Several sources as one, merged by time. With more than one, each becomes a
/// stream of its own and starts at time 0, its addresses `apart` from those of
/// the one before.
pub struct Merged {
    sources: Vec<Input>,
    apart: u64,
}

struct Input {
    name: String,
    source: Box<dyn Source>,
    start: Option<u64>,
    next: Option<Record>,
}

/// An error, and the input in which it was found.
#[derive(Debug, thiserror::Error)]
#[error("{input}: {error}")]
pub struct InputError {
    /// The input's name.
    pub input: String,
    /// What is wrong.
    pub error: ReadError,
}

impl Merged {
    /// Merges named sources.
    ///
    /// # Errors
    /// What the first access of one meets.
    pub fn new(sources: Vec<(String, Box<dyn Source>)>, apart: u64) -> Result<Self, InputError> {
        let mut merged = Self {
            sources: Vec::new(),
            apart,
        };
        for (name, source) in sources {
            merged.sources.push(Input {
                name,
                source,
                start: None,
                next: None,
            });
        }
        for index in 0..merged.sources.len() {
            merged.advance(index)?;
        }
        Ok(merged)
    }

    /// The next access of all.
    ///
    /// # Errors
    /// The input and the line that is wrong, and why.
    pub fn next_record(&mut self) -> Result<Option<Record>, InputError> {
        let first = (0..)
            .zip(&self.sources)
            .filter_map(|(index, input)| input.next.map(|record| (record.time_ns, index)))
            .min();
        let Some((_, index)) = first else {
            return Ok(None);
        };
        let record = self.sources.get(index).and_then(|input| input.next);
        self.advance(index)?;
        Ok(record)
    }

    fn advance(&mut self, index: usize) -> Result<(), InputError> {
        let several = self.sources.len() > 1;
        let Some(input) = self.sources.get_mut(index) else {
            return Ok(());
        };
        let failed = |error| InputError {
            input: input.name.clone(),
            error,
        };
        let Some(mut record) = input.source.next_record().map_err(failed)? else {
            input.next = None;
            return Ok(());
        };
        let start = *input.start.get_or_insert(record.time_ns);
        record.time_ns -= start;
        if several {
            record.stream = index as u32;
            record.offset = (index as u64)
                .checked_mul(self.apart)
                .and_then(|base| base.checked_add(record.offset))
                .filter(|offset| *offset < ADDRESS_SPACE && ADDRESS_SPACE - offset >= record.bytes)
                .ok_or_else(|| InputError {
                    input: input.name.clone(),
                    error: std::io::Error::other(format!(
                        "input {index} at {} bytes apart reaches beyond 48 bits",
                        self.apart
                    ))
                    .into(),
                })?;
        }
        input.next = Some(record);
        Ok(())
    }
}

/// A number in decimal, or in hexadecimal after `0x`.
fn number(name: &str, text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{name} `{text}`: {error}"))
}

/// `count` units of `unit` bytes.
fn in_bytes(name: &str, count: u64, unit: u64) -> Result<u64, String> {
    count
        .checked_mul(unit)
        .ok_or_else(|| format!("{name} {count} × {unit} bytes does not fit in 64 bits"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    pub(super) fn settings() -> Settings {
        Settings {
            interval_ns: 10,
            columns: None,
            delimiter: ',',
            block_bytes: 65536,
            seed: 1,
        }
    }

    /// All records of `text`.
    pub(super) fn read_all(
        text: &str,
        format: Format,
        settings: &Settings,
    ) -> Result<Vec<Record>, ReadError> {
        let text = Box::new(Cursor::new(text.to_owned()));
        let mut source = source(text, format, settings)?;
        let mut records = Vec::new();
        while let Some(record) = source.next_record()? {
            records.push(record);
        }
        Ok(records)
    }

    /// Why `text` is refused.
    pub(super) fn reason(text: &str, format: Format) -> String {
        read_all(text, format, &settings()).unwrap_err().to_string()
    }

    fn arc(name: &str, text: &'static str) -> (String, Box<dyn Source>) {
        let text = Box::new(Cursor::new(text));
        let source = source(text, Format::Arc, &settings()).unwrap();
        (name.to_owned(), source)
    }

    #[test]
    fn several_inputs_become_streams_merged_by_time_with_addresses_apart() {
        let inputs = vec![arc("a", "1 1 0 0\n2 1 0 1\n"), arc("b", "1 1 0 0\n")];
        let mut merged = Merged::new(inputs, 1 << 40).unwrap();
        let mut seen = Vec::new();
        while let Some(record) = merged.next_record().unwrap() {
            seen.push((record.time_ns, record.stream, record.offset));
        }
        assert_eq!(seen, [(0, 0, 512), (0, 1, (1 << 40) + 512), (10, 0, 1024)]);
    }

    #[test]
    fn addresses_that_do_not_fit_beside_each_other_are_refused_with_the_input() {
        let inputs = vec![arc("a", "1 1 0 0\n"), arc("b", "1 1 0 0\n")];
        let error = Merged::new(inputs, 1 << 48).err().unwrap().to_string();
        assert!(
            error.starts_with("b: ") && error.contains("beyond 48 bits"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_line_names_its_input() {
        let inputs = vec![arc("a", "1 1 0 0\n"), arc("b", "1 1 0 0\nx\n")];
        let mut merged = Merged::new(inputs, 0).unwrap();
        let error = std::iter::from_fn(|| merged.next_record().transpose())
            .find_map(Result::err)
            .unwrap();
        assert!(error.to_string().starts_with("b: line 2: "), "{error}");
    }
}
