// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps that take time: no silence on a terminal or in a log, and none of
//! their chatter unless they fail.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use augur_qemu::process::{Supervised, Terminal};
use indicatif::{ProgressBar, ProgressStyle};

/// A step shorter than this is not mentioned at all.
const WORTH_MENTIONING: Duration = Duration::from_millis(800);
/// Between two lines in a log (a terminal's line moves all the time).
const HEARTBEAT: Duration = Duration::from_secs(4);
/// How often a step's child is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Lines of a failed step's log that are shown.
const LAST_LINES: usize = 30;

/// Runs `command` as the step called `label`, its output in the file `log`.
///
/// # Errors
/// When it cannot be started or fails; the end of its log is printed then.
pub fn run(label: &str, mut command: Command, log: &Path) -> anyhow::Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let file = File::create(log).with_context(|| log.display().to_string())?;
    let errors = file
        .try_clone()
        .with_context(|| log.display().to_string())?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = Supervised::spawn(command, Terminal::Apart)?;
    let mut step = Step::new(label);
    let status = loop {
        if let Some(status) = child.wait_at_most(POLL).with_context(|| label.to_owned())? {
            break status;
        }
        step.beat(|| last_line(log));
    };
    step.finish(status.success());
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    for line in lines
        .get(lines.len().saturating_sub(LAST_LINES)..)
        .unwrap_or_default()
    {
        eprintln!("    {line}");
    }
    bail!(
        "{label} failed ({status}); everything it said is in {}",
        log.display()
    )
}

/// A step under way.
pub struct Step {
    label: String,
    began: Instant,
    said: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Begins a step; nothing is shown before it has taken a while.
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            began: Instant::now(),
            said: None,
            bar: None,
        }
    }

    /// Shows that the step goes on, when it is time to; `detail` says where
    /// it is.
    pub fn beat(&mut self, detail: impl FnOnce() -> String) {
        let elapsed = self.began.elapsed();
        if elapsed < WORTH_MENTIONING {
            return;
        }
        if io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| spinner(&self.label));
            bar.set_message(detail());
            bar.tick();
        } else if self.said.is_none() {
            eprintln!("{} …", self.label);
            self.said = Some(Instant::now());
        } else if self.said.is_some_and(|said| said.elapsed() >= HEARTBEAT) {
            let detail = Some(detail())
                .filter(|detail| !detail.is_empty())
                .map(|detail| format!(", {detail}"));
            eprintln!(
                "{}: {} s{}",
                self.label,
                elapsed.as_secs(),
                detail.unwrap_or_default()
            );
            self.said = Some(Instant::now());
        }
    }

    /// Ends the step.
    pub fn finish(self, success: bool) {
        let shown = self.bar.is_some() || self.said.is_some();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        if shown && success {
            eprintln!(
                "{}: {:.1} s",
                self.label,
                self.began.elapsed().as_secs_f64()
            );
        }
        // A log file's reader is satisfied with what it gets.
        let _ = io::stderr().flush();
    }
}

fn spinner(label: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_owned());
    bar
}

/// The last line that says something, without what moves a cursor.
fn last_line(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let tail = bytes
        .get(bytes.len().saturating_sub(4096)..)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(tail);
    let line = text
        .split(['\n', '\r'])
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(90).collect()
}

/// Says that something goes on for as long as it exists.
pub struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Begins the step called `label`.
    pub fn start(label: &str) -> Self {
        let (stop, stopped) = mpsc::channel();
        let mut step = Step::new(label);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                step.beat(String::new);
            }
            step.finish(true);
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It prints and cannot fail in a way that matters here.
            let _ = thread.join();
        }
    }
}
