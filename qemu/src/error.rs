// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong between the host and a guest.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use augur_agent::FrameError;

/// Why a guest could not be booted or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A QEMU that runs and has the needed device was not found.
    #[error("no usable QEMU: {0}")]
    NoQemu(String),
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program's name.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or directory of a run could not be made or used.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// QEMU ended when the guest was still wanted.
    #[error("QEMU ended ({status}){said}; its log is {log}")]
    QemuEnded {
        /// Its exit status.
        status: String,
        /// The end of what it said, or nothing.
        said: String,
        /// Where everything it said stands.
        log: PathBuf,
    },
    /// The guest powered itself off when something in it was still wanted.
    #[error("the guest powered off before it was done")]
    PoweredOff,
    /// The guest's kernel gave up.
    #[error("the guest's kernel failed: {line}; its log is {log}")]
    KernelFailed {
        /// The line of the log that says so.
        line: String,
        /// The serial log.
        log: PathBuf,
    },
    /// The guest's kernel met code that it had replaced already, before the card's
    /// driver was there. Another boot of the same guest is as good as ever.
    #[error(
        "the guest's kernel met code that it had replaced already, a rare failure of QEMU's \
         emulation; its log is {log}"
    )]
    ReplacedCode {
        /// The serial log.
        log: PathBuf,
    },
    /// Something in the guest took longer than it may.
    #[error("{what} took longer than {limit:?}; the guest's log is {log}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The limit.
        limit: Duration,
        /// The serial log.
        log: PathBuf,
    },
    /// QMP could not be spoken, or QEMU refused a command.
    #[error("QMP: {0}")]
    Qmp(String),
    /// The conversation with the agent in the guest broke.
    #[error("the guest's agent: {0}")]
    Agent(#[from] FrameError),
    /// The agent could not do what it was asked.
    #[error("the guest's agent: {0}")]
    AgentRefused(String),
    /// A guest's file has a name that would leave the directory for results.
    #[error("the guest sent a file named {0:?}, which is not below its results")]
    BadFileName(String),
    /// Guest output could not be passed on.
    #[error("cannot pass on the guest's output: {0}")]
    Output(#[source] io::Error),
}

impl Error {
    /// Wraps an I/O error with the file it is about.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
