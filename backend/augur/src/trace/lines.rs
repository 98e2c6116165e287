// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text input line by line, numbered, with a bound on the length of a line;
//! zstd if it begins with that format's magic number. It does not know what
//! the lines say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use thiserror::Error;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

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

/// The text of `path`, unpacked if it is compressed; `-` is standard input.
///
/// # Errors
/// Whatever opening it or reading its first bytes meets.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let raw: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let mut text = BufReader::with_capacity(1 << 16, raw);
    if text.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        Ok(Box::new(BufReader::new(zstd::Decoder::with_buffer(text)?)))
    } else {
        Ok(Box::new(text))
    }
}

/// Lines with their numbers.
pub struct Lines<R> {
    source: R,
    text: String,
    number: u64,
    longest: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads `source`; a line of more than `longest` bytes is refused, not
    /// collected.
    pub fn new(source: R, longest: u64) -> Self {
        Self {
            source,
            text: String::new(),
            number: 0,
            longest,
        }
    }

    /// The next line without its end, or nothing when there is none.
    ///
    /// # Errors
    /// [`ReadError::Line`] when it cannot be read, is too long or no text.
    pub fn next_line(&mut self) -> Result<Option<&str>, ReadError> {
        self.text.clear();
        self.number += 1;
        let length = self
            .source
            .by_ref()
            .take(self.longest)
            .read_line(&mut self.text)
            .map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => self.wrong("not text in UTF-8"),
                _ => self.wrong(error.to_string()),
            })?;
        if length as u64 == self.longest && !self.text.ends_with('\n') {
            return Err(self.wrong(format!("longer than {} bytes", self.longest)));
        }
        Ok((length > 0).then(|| self.text.trim_end_matches(['\n', '\r'])))
    }

    /// The number of the latest line, from one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The error that says what is wrong with the latest line.
    pub fn wrong(&self, reason: impl Into<String>) -> ReadError {
        ReadError::Line {
            line: self.number,
            reason: reason.into(),
        }
    }
}
