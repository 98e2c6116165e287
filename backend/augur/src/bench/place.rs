// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench place`: places buffers of known lifetimes, offline with all of
//! them known and online as they come.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use augur_scheduler::placement::{Buffer, Placement, lower_bound, place, place_online};
use clap::Args;
use serde::Serialize;
use thiserror::Error;

use crate::exit::Failure;

/// Buffers of one file: who meets whom is kept for every pair.
const MAX_BUFFERS: usize = 1 << 13;
/// The columns of a file.
const HEADING: [&str; 4] = ["id", "lower", "upper", "size"];
/// Bytes of one file.
const MAX_FILE: u64 = 64 << 20;

/// Arguments of `augur bench place`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Buffers, as lines of `id,lower,upper,size` below that heading: a buffer
    /// lives from lower up to upper.
    #[arg(long, value_name = "FILE")]
    buffers: PathBuf,
    /// Bytes of memory that the buffers are to fit into.
    #[arg(long, value_name = "BYTES")]
    capacity: u64,
    /// Stop looking for a placement that fits after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    limit: u32,
    /// Write the lines with the offline placement as a column `offset`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Row {
    buffers: usize,
    capacity: u64,
    lower_bound: u64,
    /// The offline placement, its height over the bound, and its host time.
    height: u64,
    height_by_bound: f64,
    fits: bool,
    seconds: f64,
    /// The same for placing buffers as they come, which moves some.
    online_height: u64,
    online_by_bound: f64,
    online_moved_bytes: u64,
    online_seconds: f64,
}

/// Why a line is refused.
#[derive(Debug, Error)]
enum LineError {
    #[error("the heading must be id,lower,upper,size")]
    Heading,
    #[error("{0} fields instead of id, lower, upper and size")]
    Fields(usize),
    #[error("'{0}' is no number of bytes or time")]
    Number(String),
    #[error("a buffer lives from lower up to upper: upper must be above lower")]
    Lifetime,
    #[error("buffer '{0}' is on line {1} already")]
    GivenTwice(String, usize),
    #[error("not UTF-8 text")]
    Text,
    #[error("the sizes add up to more than 2^62 bytes")]
    TooLarge,
    #[error("more than {MAX_BUFFERS} buffers")]
    TooMany,
}

/// The buffers of a file with their names.
#[derive(Debug, Default)]
struct Buffers {
    names: Vec<String>,
    buffers: Vec<Buffer>,
    total: u64,
}

impl Buffers {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut text = Vec::new();
        // What has no end, as a device, is not read to it.
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text))
            .with_context(|| format!("cannot read {shown}"))?;
        if text.len() as u64 > MAX_FILE {
            return Err(Failure::input(format!("{shown}: more than {MAX_FILE} bytes")).into());
        }
        Self::parse(&text).map_err(|(line, error)| {
            Failure::input(format!("{shown}: line {line}: {error}")).into()
        })
    }

    /// Buffers in lines that end with or without a carriage return, behind a
    /// byte order mark or none; on failure, the number of the line.
    fn parse(text: &[u8]) -> Result<Self, (usize, LineError)> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            let ends = before.iter().filter(|&&byte| byte == b'\n').count();
            (ends + 1, LineError::Text)
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = (1..).zip(text.lines());
        let heading = lines.next().map_or("", |(_, heading)| heading);
        if !heading.split(',').map(str::trim).eq(HEADING) {
            return Err((1, LineError::Heading));
        }
        let mut all = Self::default();
        let mut seen = HashMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            all.line(line).map_err(|error| (number, error))?;
            if let Some(name) = all.names.last()
                && let Some(earlier) = seen.insert(name.clone(), number)
            {
                return Err((number, LineError::GivenTwice(name.clone(), earlier)));
            }
        }
        Ok(all)
    }

    fn line(&mut self, line: &str) -> Result<(), LineError> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, lower, upper, size] = fields[..] else {
            return Err(LineError::Fields(fields.len()));
        };
        let number = |field: &str| {
            let number = field.parse::<u64>();
            number.map_err(|_| LineError::Number(field.to_owned()))
        };
        let (lower, upper, size) = (number(lower)?, number(upper)?, number(size)?);
        if upper <= lower {
            return Err(LineError::Lifetime);
        }
        let total = self.total.checked_add(size);
        self.total = total
            .filter(|&total| total <= 1 << 62)
            .ok_or(LineError::TooLarge)?;
        if self.buffers.len() >= MAX_BUFFERS {
            return Err(LineError::TooMany);
        }
        self.names.push(name.to_owned());
        self.buffers.push(Buffer { lower, upper, size });
        Ok(())
    }

    fn write(&self, path: &Path, placed: &Placement) -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        writeln!(out, "id,lower,upper,size,offset")?;
        let rows = self.names.iter().zip(&self.buffers).zip(&placed.offsets);
        for ((name, it), offset) in rows {
            writeln!(out, "{name},{},{},{},{offset}", it.lower, it.upper, it.size)?;
        }
        out.flush()
    }
}

impl Arguments {
    /// Places and reports.
    ///
    /// # Errors
    /// A file that cannot be read or written, or does not hold buffers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let all = Buffers::read(&self.buffers)?;
        let bound = lower_bound(&all.buffers);
        let limit = Duration::from_secs(self.limit.into());
        let begun = Instant::now();
        let placed = place(&all.buffers, self.capacity, || {
            if begun.elapsed() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let online = place_online(&all.buffers);
        let over = |height: u64| height as f64 / bound.max(1) as f64;
        let row = Row {
            buffers: all.buffers.len(),
            capacity: self.capacity,
            lower_bound: bound,
            height: placed.height,
            height_by_bound: over(placed.height),
            fits: placed.height <= self.capacity,
            seconds,
            online_height: online.height,
            online_by_bound: over(online.height),
            online_moved_bytes: online.moved,
            online_seconds: begun.elapsed().as_secs_f64(),
        };
        if let Some(path) = &self.out {
            all.write(path, &placed)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        row.print(self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Row {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        let fits = if self.fits { "fits" } else { "does not fit" };
        writeln!(
            out,
            "{} buffers, at most {} bytes live at once, capacity {}\n\
             offline {:>16} bytes  {:.3} x bound  {fits}  {:.3} s\n\
             online  {:>16} bytes  {:.3} x bound  {:.6} s, {} bytes moved",
            self.buffers,
            self.lower_bound,
            self.capacity,
            self.height,
            self.height_by_bound,
            self.seconds,
            self.online_height,
            self.online_by_bound,
            self.online_seconds,
            self.online_moved_bytes,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_buffers() {
        let texts = [
            "id,lower,upper,size\na, 0,4,16\n\nb,4,5,0\n",
            "id,lower,upper,size\r\na,0,4,16\r\nb,4,5,0\r\n",
            "\u{feff}id, lower, upper, size\na,0,4,16\nb,4,5,0",
        ];
        for text in texts {
            let all = Buffers::parse(text.as_bytes()).unwrap();
            assert_eq!(all.names, ["a", "b"]);
            let found = all.buffers.iter().map(|it| (it.lower, it.upper, it.size));
            let found: Vec<_> = found.collect();
            assert_eq!(found, [(0, 4, 16), (4, 5, 0)], "{text:?}");
        }
        let none = Buffers::parse(b"id,lower,upper,size\n").unwrap();
        assert!(none.buffers.is_empty());
    }

    #[test]
    fn wrong_lines_are_refused_with_their_number() {
        let cases = [
            ("", 1, "heading"),
            ("a,0,1,2\n", 1, "heading"),
            ("id,size\n", 1, "heading"),
            ("id,upper,lower,size\n", 1, "heading"),
            ("id,lower,upper,size\na,0,1\n", 2, "3 fields"),
            ("id,lower,upper,size\na,0,1,2\nb,0,-1,2\n", 3, "'-1'"),
            ("id,lower,upper,size\na,0,1,2.5\n", 2, "'2.5'"),
            ("id,lower,upper,size\na,5,4,2\n", 2, "above lower"),
            ("id,lower,upper,size\na,4,4,2\n", 2, "above lower"),
            ("id,lower,upper,size\na,0,1,2\n\na,2,3,2\n", 4, "on line 2"),
            (
                "id,lower,upper,size\na,0,1,18446744073709551616\n",
                2,
                "no number",
            ),
            (
                "id,lower,upper,size\na,0,1,18446744073709551615\n",
                2,
                "add up",
            ),
            (
                "id,lower,upper,size\na,0,1,4611686018427387904\nb,0,1,1\n",
                3,
                "add up",
            ),
        ];
        for (text, line, reason) in cases {
            let (number, error) = Buffers::parse(text.as_bytes()).unwrap_err();
            assert_eq!(number, line, "{text}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        let (number, error) = Buffers::parse(b"id,lower,upper,size\na,0,1,\xff\n").unwrap_err();
        assert_eq!((number, error.to_string().as_str()), (2, "not UTF-8 text"));
    }

    #[test]
    fn a_capacity_that_nothing_fits_into_ends_the_search_at_once() {
        let text = "id,lower,upper,size\na,0,5,10\nb,3,9,20\nc,4,6,0\n";
        let all = Buffers::parse(text.as_bytes()).unwrap();
        for capacity in [0, 1, 29] {
            let placed = place(&all.buffers, capacity, || panic!("it is searched"));
            assert_eq!(placed.height, 30);
        }
        let largest = "id,lower,upper,size\na,0,18446744073709551615,4611686018427387904\n";
        let all = Buffers::parse(largest.as_bytes()).unwrap();
        let placed = place(&all.buffers, u64::MAX, || ControlFlow::Continue(()));
        assert_eq!(placed.height, 1 << 62);
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let error = Buffers::read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
        assert!(Buffers::read(Path::new("/")).is_err());
    }
}
