// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recording what a running card knows of its guest's accesses, as a trace file.

use std::io::{BufRead, BufReader};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use anyhow::{Context, bail};

use crate::exit::Failure;
use crate::trace::{Output, Recorded, Totals};

/// A recording in progress. It is ended by [`Recording::end`].
#[derive(Debug)]
pub struct Recording {
    stream: UnixStream,
    writer: thread::JoinHandle<anyhow::Result<Totals>>,
}

impl Recording {
    /// Begins to record the card whose trace socket is `socket` in the file `output`,
    /// which is there when the recording has ended.
    ///
    /// # Errors
    /// No card is there, it is recorded already, or the file cannot be written.
    pub fn begin(socket: &Path, output: &Path) -> anyhow::Result<Self> {
        let from = format!("the card at {}", socket.display());
        let stream = UnixStream::connect(socket)
            .map_err(|error| Failure::input(format!("{from} cannot be recorded: {error}")))?;
        let reader = stream.try_clone().context("a socket")?;
        let mut lines = BufReader::new(reader);
        // The card says the first line at once, unless it records for somebody else.
        if lines.fill_buf().map_or(true, <[u8]>::is_empty) {
            bail!(Failure::input(format!(
                "{from} is recorded by somebody else"
            )));
        }
        let writing = format!("cannot write {}", output.display());
        let output = Output::create(output)?;
        let writer = thread::spawn(move || write(lines, output, &from, &writing));
        Ok(Self { stream, writer })
    }

    /// Whether the card has ended it.
    pub fn has_ended(&self) -> bool {
        self.writer.is_finished()
    }

    /// Ends it; what the card has noted until now is in the trace.
    ///
    /// # Errors
    /// The card knew of no accesses, or the file cannot be written.
    pub fn end(self) -> anyhow::Result<Totals> {
        // It fails when the card has ended.
        let _ = self.stream.shutdown(Shutdown::Write);
        match self.writer.join() {
            Ok(result) => result,
            Err(_) => bail!("the recording has failed"),
        }
    }
}

fn write(
    lines: impl BufRead,
    mut output: Output,
    from: &str,
    writing: &str,
) -> anyhow::Result<Totals> {
    let mut recorded = Recorded::new(lines);
    while let Some(record) = recorded.next_record().with_context(|| from.to_owned())? {
        output.push(&record).with_context(|| writing.to_owned())?;
    }
    if output.totals().accesses == 0 {
        bail!(Failure::input(format!("{from} knew of no accesses")));
    }
    output.finish()
}
