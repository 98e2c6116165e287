// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running the host's commands.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use augur_agent::message::Stream;
use augur_agent::{LARGEST_PAYLOAD, Message};

use crate::port::Port;

/// The exit code of a command that could not be started, as in a shell.
const NOT_STARTED: i32 = 127;

/// The commands of one conversation that still run.
pub struct Commands {
    port: Arc<Port>,
    running: Arc<Mutex<HashMap<u32, i32>>>,
}

impl Commands {
    /// No command runs yet; outputs will go to `port`.
    pub fn new(port: Arc<Port>) -> Self {
        Self {
            port,
            running: Arc::default(),
        }
    }

    /// Starts a command in a process group of its own and returns; its output
    /// and its end are sent by threads.
    pub fn start(&self, number: u32, arguments: &[Vec<u8>]) {
        let mut words = arguments.iter().map(|word| OsStr::from_bytes(word));
        let Some(program) = words.next() else { return };
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let port = Arc::clone(&self.port);
        match child {
            Ok(child) => {
                let group = i32::try_from(child.id()).unwrap_or(0);
                self.lock().insert(number, group);
                let running = Arc::clone(&self.running);
                thread::spawn(move || {
                    let code = forward(&port, number, child);
                    running
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&number);
                    port.send(&Message::Exited { number, code });
                });
            }
            Err(error) => {
                let reason = format!("{}: {error}\n", program.to_string_lossy()).into_bytes();
                port.send(&Message::Output {
                    number,
                    stream: Stream::Error,
                    bytes: reason,
                });
                port.send(&Message::Exited {
                    number,
                    code: NOT_STARTED,
                });
            }
        }
    }

    /// Sends `signal` to the process group of a command that still runs.
    pub fn signal(&self, number: u32, signal: i32) {
        let running = self.lock();
        if let Some(&group) = running.get(&number).filter(|&&group| group > 1) {
            // SAFETY: kill(2) takes two integers and touches no memory of ours.
            unsafe { libc::kill(-group, signal) };
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, i32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a command's output while it runs; returns its exit code.
fn forward(port: &Port, number: u32, mut child: Child) -> i32 {
    let output = child.stdout.take();
    let error = child.stderr.take();
    thread::scope(|scope| {
        scope.spawn(|| pump(port, number, Stream::Output, output));
        scope.spawn(|| pump(port, number, Stream::Error, error));
    });
    child.wait().map_or(NOT_STARTED, exit_code)
}

/// Sends everything that `source` says.
fn pump(port: &Port, number: u32, stream: Stream, source: Option<impl Read>) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; LARGEST_PAYLOAD];
    while let Ok(read @ 1..) = source.read(&mut buffer) {
        let bytes = buffer.get(..read).unwrap_or_default().to_vec();
        port.send(&Message::Output {
            number,
            stream,
            bytes,
        });
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Powers the guest off at once: nothing in it is worth an orderly end.
pub fn power_off() {
    // SAFETY: sync(2) has no arguments and reboot(2) takes one integer.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
}
