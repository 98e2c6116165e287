// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running guest.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use augur_agent::Message;
use augur_agent::message::Stream;

use crate::agent::{Collector, Conversation, Job};
use crate::command_line::Endpoints;
use crate::process::{Supervised, Temporary, Terminal};
use crate::qmp::Qmp;
use crate::{Configuration, Console, Error, Qemu, quote, serial, sockets, terminal};

/// How often the health of a guest is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(50);
/// How long QEMU may take to open its control socket.
const QMP_SOCKET: Duration = Duration::from_secs(300);
/// Time between two attempts to reach it.
const ATTEMPT: Duration = Duration::from_millis(5);
/// How long a QEMU that has closed it may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// A QEMU process with a guest in it. Dropping it kills QEMU.
#[derive(Debug)]
pub struct Machine {
    qemu: Mutex<Supervised>,
    qmp: Mutex<Qmp>,
    agent: Conversation,
    /// The serial log's length when this life of the guest began.
    life_began: u64,
    endpoints: Endpoints,
    qemu_log: PathBuf,
    // Dropped last: it holds the sockets.
    _sockets: Temporary,
}

/// What a program in the guest printed, and its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `128 + n` after signal `n`.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Machine {
    /// Boots a guest and waits until its agent answers. `serial.log`,
    /// `qemu.log` and `qemu.cmdline` are written to `folder`, which exists.
    ///
    /// # Errors
    /// [`Error::QemuEnded`], [`Error::KernelFailed`] or [`Error::TimedOut`]
    /// when the guest does not come up within `limit`; others when QEMU could
    /// not be started at all.
    pub fn boot(
        qemu: &Qemu,
        configuration: &Configuration,
        folder: &Path,
        limit: Duration,
    ) -> Result<Self, Error> {
        let end = Instant::now() + limit;
        let mut machine = Self::start(qemu, configuration, folder)?;
        machine.wait_ready(end, limit)?;
        Ok(machine)
    }

    /// Starts QEMU and waits until it can be controlled, not for the guest.
    ///
    /// # Errors
    /// As [`Machine::boot`], without the guest's.
    pub fn start(qemu: &Qemu, configuration: &Configuration, folder: &Path) -> Result<Self, Error> {
        let sockets = sockets::folder()?;
        let endpoints = Endpoints {
            qmp: sockets.path().join("qmp"),
            agent: sockets.path().join("agent"),
            serial_log: folder.join("serial.log"),
        };
        let qemu_log = folder.join("qemu.log");
        let log = File::create(&qemu_log).map_err(Error::file(&qemu_log))?;
        let mut command = qemu.command();
        command.args(configuration.arguments(&endpoints));
        record(&command, &folder.join("qemu.cmdline"))?;
        command.stderr(log);
        let terminal = match configuration.console {
            Console::Terminal => {
                terminal::save();
                Terminal::Shared
            }
            Console::None => {
                command.stdin(Stdio::null()).stdout(Stdio::null());
                Terminal::Apart
            }
        };
        let mut qemu = Supervised::spawn(command, terminal)?;
        let qmp = connect_when_listening(&mut qemu, &endpoints.qmp, &qemu_log)?;
        let agent = Conversation::open(&endpoints.agent)?;
        Ok(Self {
            qemu: Mutex::new(qemu),
            qmp: Mutex::new(qmp),
            agent,
            life_began: 0,
            endpoints,
            qemu_log,
            _sockets: sockets,
        })
    }

    /// QEMU's control channel.
    pub fn qmp(&self) -> MutexGuard<'_, Qmp> {
        self.qmp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// QEMU's process id.
    pub fn process_id(&self) -> i32 {
        self.lock_qemu().id()
    }

    /// The guest's serial log.
    pub fn serial_log(&self) -> &Path {
        &self.endpoints.serial_log
    }

    /// The warnings of the guest's kernel in this life of the guest.
    pub fn kernel_warnings(&self) -> Vec<String> {
        serial::kernel_complaints(&self.endpoints.serial_log, self.life_began)
    }

    /// Starts a program in the guest and returns at once.
    ///
    /// # Errors
    /// [`Error::Agent`] when the agent cannot be reached.
    pub fn begin(&self, arguments: &[impl AsRef<[u8]>]) -> Result<Job, Error> {
        self.agent.run(arguments)
    }

    /// Sends a signal to the process group of a program in the guest.
    ///
    /// # Errors
    /// [`Error::Agent`] when the agent cannot be reached.
    pub fn signal(&self, job: &Job, signal: i32) -> Result<(), Error> {
        self.agent.signal(job, signal)
    }

    /// The next thing that is said of `job`.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `limit`, and whatever ends a guest early.
    pub fn next(&self, job: &Job, limit: Duration) -> Result<Message, Error> {
        let end = Instant::now() + limit;
        loop {
            match job.messages.recv_timeout(POLL) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) => self.check_health()?,
                Err(RecvTimeoutError::Disconnected) => {
                    // QEMU closes its sockets just before it ends.
                    thread::sleep(POLL);
                    self.check_health()?;
                }
            }
            if Instant::now() >= end {
                return Err(self.timed_out("the guest's program", limit));
            }
        }
    }

    /// Passes a program's output on until it ends; returns its exit code.
    ///
    /// # Errors
    /// As [`Machine::next`], and [`Error::Output`] when a writer fails.
    pub fn follow(
        &self,
        job: &Job,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
        limit: Duration,
    ) -> Result<i32, Error> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.next(job, left).map_err(|error| match error {
                Error::TimedOut { .. } => self.timed_out("the guest's program", limit),
                other => other,
            })?;
            let (sink, bytes): (&mut dyn Write, _) = match message {
                Message::Output {
                    stream: Stream::Output,
                    bytes,
                    ..
                } => (stdout, bytes),
                Message::Output {
                    stream: Stream::Error,
                    bytes,
                    ..
                } => (stderr, bytes),
                Message::Exited { code, .. } => return Ok(code),
                _ => continue,
            };
            sink.write_all(&bytes)
                .and_then(|()| sink.flush())
                .map_err(Error::Output)?;
        }
    }

    /// Runs a program to its end and keeps what it prints.
    ///
    /// # Errors
    /// As [`Machine::next`].
    pub fn output(&self, arguments: &[impl AsRef<[u8]>], limit: Duration) -> Result<Output, Error> {
        let job = self.begin(arguments)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = self.follow(&job, &mut stdout, &mut stderr, limit)?;
        Ok(Output {
            code,
            stdout,
            stderr,
        })
    }

    /// Copies the files below a directory of the guest to `into`; returns
    /// their paths on the host.
    ///
    /// # Errors
    /// As [`Machine::next`] and [`Collector::take`].
    pub fn collect(
        &self,
        directory: &str,
        into: &Path,
        limit: Duration,
    ) -> Result<Vec<PathBuf>, Error> {
        let job = self.agent.collect(directory)?;
        let mut collector = Collector::new(into.to_path_buf());
        while !collector.take(self.next(&job, limit)?)? {}
        Ok(collector.into_files())
    }

    /// Waits until the guest has reset, by itself or by QMP, and its agent
    /// answers again. Programs that ran before are forgotten. Call
    /// `qmp().forget_events()` before what makes it reset.
    ///
    /// # Errors
    /// As [`Machine::boot`].
    pub fn wait_for_reboot(&mut self, limit: Duration) -> Result<(), Error> {
        let end = Instant::now() + limit;
        while self.qmp().wait_event("RESET", POLL)?.is_none() {
            self.check_health()?;
            if Instant::now() >= end {
                return Err(self.timed_out("the guest's reset", limit));
            }
        }
        self.life_began = serial::length(&self.endpoints.serial_log);
        // QEMU takes one connection at a time, so the old one ends first.
        let socket = self.endpoints.agent.clone();
        self.agent.close();
        self.agent = Conversation::open(&socket)?;
        self.wait_ready(end, limit)
    }

    /// Powers the guest off and waits for QEMU's end.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it does not end within `limit`.
    pub fn power_off(self, limit: Duration) -> Result<(), Error> {
        self.agent.power_off()?;
        self.wait_end(limit)
    }

    /// Waits until QEMU ends by itself, as it does when the guest powers off.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it does not end within `limit`,
    /// [`Error::QemuEnded`] when it fails, [`Error::KernelFailed`] when the
    /// guest does.
    pub fn wait_end(self, limit: Duration) -> Result<(), Error> {
        let end = Instant::now() + limit;
        loop {
            let status = self
                .lock_qemu()
                .wait_at_most(POLL)
                .map_err(Error::file(&self.qemu_log))?;
            match status {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(ended(&status.to_string(), &self.qemu_log)),
                None if Instant::now() >= end => return Err(self.timed_out("powering off", limit)),
                None => self.check_kernel()?,
            }
        }
    }

    fn wait_ready(&mut self, end: Instant, limit: Duration) -> Result<(), Error> {
        while !self.agent.ready()? {
            self.check_health()?;
            if Instant::now() >= end {
                return Err(self.timed_out("booting", limit));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether QEMU still runs and the guest's kernel has not given up.
    fn check_health(&self) -> Result<(), Error> {
        let status = self
            .lock_qemu()
            .try_wait()
            .map_err(Error::file(&self.qemu_log))?;
        self.check_kernel()?;
        match status {
            Some(status) if status.success() => Err(Error::PoweredOff),
            Some(status) => Err(ended(&status.to_string(), &self.qemu_log)),
            None => Ok(()),
        }
    }

    fn check_kernel(&self) -> Result<(), Error> {
        let log = &self.endpoints.serial_log;
        let Some(line) = serial::kernel_failure(log, self.life_began) else {
            return Ok(());
        };
        let log = log.clone();
        Err(if serial::ran_replaced_code(&log, self.life_began) {
            Error::ReplacedCode { log }
        } else {
            Error::KernelFailed { line, log }
        })
    }

    fn lock_qemu(&self) -> MutexGuard<'_, Supervised> {
        self.qemu.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timed_out(&self, what: &str, limit: Duration) -> Error {
        Error::TimedOut {
            what: what.into(),
            limit,
            log: self.endpoints.serial_log.clone(),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.lock_qemu().kill();
        terminal::restore();
    }
}

/// Connects to QEMU's control socket as soon as it listens.
fn connect_when_listening(qemu: &mut Supervised, socket: &Path, log: &Path) -> Result<Qmp, Error> {
    let end = Instant::now() + QMP_SOCKET;
    loop {
        let failed = match Qmp::connect(socket) {
            Ok(qmp) => return Ok(qmp),
            Err(failed) => failed,
        };
        let may_listen_yet = matches!(failed, Error::File { .. }) && Instant::now() < end;
        // QEMU listens before it looks at what its machine is to have, and closes the
        // connection just before it ends.
        let patience = if may_listen_yet { ATTEMPT } else { ENDING };
        let status = qemu.wait_at_most(patience).map_err(Error::file(log))?;
        if let Some(status) = status {
            return Err(ended(&status.to_string(), log));
        }
        if !may_listen_yet {
            return Err(failed);
        }
    }
}

/// The error for a QEMU that ended, with the last line it said.
fn ended(status: &str, log: &Path) -> Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    let said = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.contains(" warning: "));
    let said = said
        .map(|line| format!(": {}", line.trim()))
        .unwrap_or_default();
    Error::QemuEnded {
        status: status.to_owned(),
        said,
        log: log.to_path_buf(),
    }
}

/// Writes a command so that it can be run again from a shell.
fn record(command: &std::process::Command, path: &Path) -> Result<(), Error> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    fs::write(path, quote::command(words) + "\n").map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_qemu_that_ends_after_it_listens_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, log) = (folder.path().join("qmp"), folder.path().join("log"));
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || drop(listener.accept()));
        fs::write(&log, "qemu: no slot available\n").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 0.2; exit 1"]);
        let mut qemu = Supervised::spawn(command, Terminal::Apart).unwrap();
        let error = connect_when_listening(&mut qemu, &socket, &log).unwrap_err();
        let said = "QEMU ended (exit status: 1): qemu: no slot available; its log is ";
        assert!(error.to_string().starts_with(said), "{error}");
    }
}
