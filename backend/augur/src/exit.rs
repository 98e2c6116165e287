// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes, and the one place where an error becomes a line on stderr.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{self, UnwindSafe};
use std::process::ExitCode;

/// The work failed: a result was wrong, a guest crashed or timed out.
pub const FAILED: u8 = 1;
/// The arguments or an input file cannot be used (clap exits with 2 as well).
pub const BAD_INPUT: u8 = 2;
/// This machine lacks something; `augur doctor` says what.
pub const MACHINE: u8 = 3;
/// Nobody reads our output any more, as behind `| head`; what a shell says of a process
/// that died of SIGPIPE.
pub const NO_READER: u8 = 128 + 13;
/// `augur guest` alone: the guest failed, whatever its command would have said.
pub const GUEST_FAILED: u8 = 125;

/// An error whose exit code is not [`FAILED`].
///
/// Put it at the bottom of an `anyhow` chain; [`report`] looks for it.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// What the user gave cannot be used; `message` says what to do instead.
    pub fn input(message: impl Into<String>) -> Self {
        Self {
            code: BAD_INPUT,
            message: message.into(),
        }
    }

    /// This machine lacks something; `message` says how to mend it.
    pub fn machine(message: impl Into<String>) -> Self {
        Self {
            code: MACHINE,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Runs the program, and ends it without a word when who reads its output has gone.
/// Guests and unfinished files go as they do after any failure.
pub fn when_nobody_reads(run: impl FnOnce() -> ExitCode + UnwindSafe) -> ExitCode {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !is_of_closed_output(info.payload()) {
            usual(info);
        }
    }));
    panic::catch_unwind(run).unwrap_or_else(|payload| {
        if is_of_closed_output(payload.as_ref()) {
            ExitCode::from(NO_READER)
        } else {
            panic::resume_unwind(payload)
        }
    })
}

/// Whether this is the failure of passing on what a guest prints to a pipe that is closed.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    let failed = error.downcast_ref::<augur_qemu::Error>();
    matches!(failed, Some(augur_qemu::Error::Output(reason)) if reason.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether this is the panic of `print!` or `eprint!` for a pipe that is closed.
fn is_of_closed_output(payload: &(dyn Any + Send)) -> bool {
    payload
        .downcast_ref::<String>()
        .is_some_and(|said| said.starts_with("failed printing to ") && said.contains("Broken pipe"))
}

/// Prints `error` with its causes on one line of stderr and returns the exit
/// code it stands for.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("augur: {}{}", in_one_line(error), remedy(error));
    let code = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>())
        .map_or(FAILED, |failure| failure.code);
    ExitCode::from(code)
}

/// What to do where the system's reason does not say it.
fn remedy(error: &anyhow::Error) -> &'static str {
    let reason = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    match reason.map(io::Error::kind) {
        Some(io::ErrorKind::StorageFull) => "; make room on that disk",
        Some(io::ErrorKind::PermissionDenied) => "; run as the user who may, or give another place",
        _ => "",
    }
}

/// An error and its causes, each said once: some say what their cause says.
fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |line, cause| {
        let cause = cause.to_string();
        match line.as_str() {
            "" => cause,
            said if said.ends_with(&cause) => line,
            said => format!("{said}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_is_one_line_that_says_each_cause_once_and_what_to_do() {
        let error = io::Error::other("no such thing");
        let error = augur_qemu::Error::file("/a")(error);
        let error = Err::<(), _>(error).context("cannot boot").unwrap_err();
        assert_eq!(in_one_line(&error), "cannot boot: /a: no such thing");
        assert_eq!(remedy(&error), "");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = anyhow::Error::from(augur_qemu::Error::file("/a")(full));
        assert_eq!(remedy(&error), "; make room on that disk");
        let error = Err::<(), _>(Failure::input("wrong")).context("here");
        assert_eq!(in_one_line(&error.unwrap_err()), "here: wrong");
    }
}
