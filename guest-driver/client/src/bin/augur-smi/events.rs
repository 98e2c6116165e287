// SPDX-License-Identifier: MIT OR Apache-2.0
//! Following the driver's tracepoints, in a trace of our own so that others'
//! are not disturbed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::Failure;

/// Where tracefs makes traces.
const INSTANCES: &str = "/sys/kernel/tracing/instances";

/// Prints events until `count` of them were seen, or for ever.
///
/// # Errors
/// tracefs is not there or not ours to use, or nobody reads what is printed.
pub fn follow(count: Option<u64>) -> Result<(), Failure> {
    let trace = Trace::start()?;
    let pipe = trace.0.join("trace_pipe");
    let lines = BufReader::new(File::open(&pipe).map_err(failed(&pipe))?).lines();
    let mut output = io::stdout().lock();
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(failed(&pipe))?;
        let written = writeln!(output, "{}", event(&line)).and_then(|()| output.flush());
        written.map_err(failed(Path::new("standard output")))?;
        if Some(number) == count {
            break;
        }
    }
    Ok(())
}

/// The part of a line that says when and what: `12.345678 augur_fault: …`.
fn event(line: &str) -> &str {
    match line.find(": augur_") {
        Some(at) => {
            let time = line[..at].rfind(' ').map_or(0, |space| space + 1);
            &line[time..]
        }
        None => line,
    }
}

/// A trace with the driver's events; removed when it is dropped.
struct Trace(PathBuf);

impl Trace {
    fn start() -> Result<Self, Failure> {
        sweep();
        let folder = Path::new(INSTANCES).join(format!("augur-smi-{}", std::process::id()));
        fs::create_dir(&folder).map_err(failed(&folder))?;
        let trace = Self(folder);
        let switch = trace.0.join("events/augur/enable");
        fs::write(&switch, "1").map_err(failed(&switch))?;
        Ok(trace)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next one.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes the traces of those that were interrupted.
fn sweep() {
    for entry in fs::read_dir(INSTANCES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix("augur-smi-"));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    let what = path.display().to_string();
    move |source| Failure::System {
        what: what.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shown_without_who_ran() {
        let line = "     augur-test-99      [001] .....    12.345678: augur_fault: context=3 write";
        assert_eq!(event(line), "12.345678: augur_fault: context=3 write");
        assert_eq!(event("CPU:1 [LOST 7 EVENTS]"), "CPU:1 [LOST 7 EVENTS]");
    }
}
