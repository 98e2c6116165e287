// SPDX-License-Identifier: MIT OR Apache-2.0
//! A trace file being written: complete under its name, or not there at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{HEADER, Record};
use crate::output_file::OutputFile;

/// How hard zstd tries.
const LEVEL: i32 = 17;

enum Text {
    Plain(BufWriter<OutputFile>),
    Compressed(zstd::Encoder<'static, BufWriter<OutputFile>>),
}

/// A trace under way. Dropped before [`Output::finish`], it leaves nothing.
pub struct Output {
    text: Text,
    /// What was written so far.
    totals: Totals,
}

/// What a written trace holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Accesses.
    pub accesses: u64,
    /// 4 KiB pages that they touch, each as often as it is touched.
    pub page_touches: u64,
    /// The time of the last one.
    pub last_ns: u64,
}

impl Output {
    /// Begins the file `path`, compressed where the name ends in `.zst`.
    ///
    /// # Errors
    /// Whatever creating a file beside it meets.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = BufWriter::new(OutputFile::create(path)?);
        let text = if path.extension().is_some_and(|extension| extension == "zst") {
            Text::Compressed(zstd::Encoder::new(file, LEVEL)?)
        } else {
            Text::Plain(file)
        };
        let mut output = Self {
            text,
            totals: Totals::default(),
        };
        writeln!(output.writer(), "{HEADER}")?;
        Ok(output)
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.text {
            Text::Plain(file) => file,
            Text::Compressed(encoder) => encoder,
        }
    }

    /// Adds an access; the caller keeps them in order of time.
    ///
    /// # Errors
    /// Whatever writing meets.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        write_record(self.writer(), record)?;
        let pages = record.pages();
        self.totals.accesses += 1;
        self.totals.page_touches += pages.end() - pages.start() + 1;
        self.totals.last_ns = record.time_ns;
        Ok(())
    }

    /// What was written so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Whatever writing the rest or renaming meets.
    pub fn finish(self) -> anyhow::Result<Totals> {
        let file = match self.text {
            Text::Plain(file) => file,
            Text::Compressed(encoder) => encoder.finish()?,
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.finish()?;
        Ok(self.totals)
    }
}

pub(super) fn write_record(to: &mut (impl Write + ?Sized), record: &Record) -> io::Result<()> {
    let op = if record.write { 'w' } else { 'r' };
    writeln!(
        to,
        "{},{},{op},{},{}",
        record.time_ns, record.stream, record.offset, record.bytes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record = Record {
        time_ns: 7,
        stream: 1,
        write: true,
        offset: 4095,
        bytes: 2,
    };

    #[test]
    fn a_trace_that_is_not_finished_leaves_nothing_and_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.zst");
        std::fs::write(&path, "old").unwrap();
        let mut output = Output::create(&path).unwrap();
        output.push(&RECORD).unwrap();
        drop(output);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_written_can_be_read_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "a.csv.zst"] {
            let path = folder.path().join(name);
            let mut output = Output::create(&path).unwrap();
            output.push(&RECORD).unwrap();
            let totals = output.finish().unwrap();
            assert_eq!((totals.accesses, totals.page_touches), (1, 2));
            assert_eq!(super::super::read(&path).unwrap(), [RECORD]);
        }
        let size = |name| std::fs::read(folder.path().join(name)).unwrap();
        assert!(size("a.csv").starts_with(HEADER.as_bytes()));
        assert!(!size("a.csv.zst").starts_with(HEADER.as_bytes()));
    }
}
