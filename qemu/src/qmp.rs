// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's control channel: commands with answers, and events.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;

/// How long QEMU may take to answer. It answers in milliseconds; a loaded
/// machine deserves patience.
const ANSWER: Duration = Duration::from_secs(300);

/// A connection to QEMU's control channel.
#[derive(Debug)]
pub struct Qmp {
    lines: BufReader<UnixStream>,
    /// A line whose end has not come yet.
    partial: Vec<u8>,
    /// Events that nobody has asked for yet, oldest first.
    events: VecDeque<Value>,
}

impl Qmp {
    /// Connects to the socket where QEMU listens and leaves negotiation mode.
    ///
    /// # Errors
    /// [`Error::File`] when nothing listens there, [`Error::Qmp`] when the
    /// listener does not speak QMP.
    pub fn connect(socket: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(socket).map_err(Error::file(socket))?;
        let mut qmp = Self {
            lines: BufReader::new(stream),
            partial: Vec::new(),
            events: VecDeque::new(),
        };
        let greeting = qmp.read_before(Instant::now() + ANSWER)?;
        if greeting
            .as_ref()
            .is_none_or(|greeting| greeting.get("QMP").is_none())
        {
            return Err(Error::Qmp(format!("no greeting, but {greeting:?}")));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command with an object of arguments; returns its result.
    ///
    /// # Errors
    /// [`Error::Qmp`] with QEMU's words when it refuses, or when it is gone.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        let request = json!({ "execute": command, "arguments": arguments });
        let gone = |error: std::io::Error| Error::Qmp(format!("{command} was not sent: {error}"));
        self.lines
            .get_mut()
            .write_all(format!("{request}\n").as_bytes())
            .map_err(gone)?;
        let end = Instant::now() + ANSWER;
        loop {
            let answer = self
                .read_before(end)?
                .ok_or_else(|| Error::Qmp(format!("no answer to {command}")))?;
            if let Some(result) = answer.get("return") {
                return Ok(result.clone());
            }
            if let Some(error) = answer.get("error") {
                let description = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("no reason given");
                return Err(Error::Qmp(format!("{command} failed: {description}")));
            }
            self.events.push_back(answer);
        }
    }

    /// Waits for the next event of this name, at most `limit`, and forgets the
    /// events before it. Returns its data, or `None` when it did not come.
    ///
    /// # Errors
    /// [`Error::Qmp`] when QEMU is gone.
    pub fn wait_event(&mut self, name: &str, limit: Duration) -> Result<Option<Value>, Error> {
        let end = Instant::now() + limit;
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => match self.read_before(end)? {
                    Some(event) => event,
                    None => return Ok(None),
                },
            };
            if event.get("event").and_then(Value::as_str) == Some(name) {
                return Ok(Some(event.get("data").cloned().unwrap_or(Value::Null)));
            }
        }
    }

    /// Forgets the events that have come so far.
    ///
    /// # Errors
    /// [`Error::Qmp`] when QEMU is gone.
    pub fn forget_events(&mut self) -> Result<(), Error> {
        while self.read_before(Instant::now())?.is_some() {}
        self.events.clear();
        Ok(())
    }

    /// One message, or `None` when none came before `end`.
    fn read_before(&mut self, end: Instant) -> Result<Option<Value>, Error> {
        loop {
            // A zero timeout means "for ever" to the system.
            let left = end
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            let failed =
                |error: std::io::Error| Error::Qmp(format!("the connection failed: {error}"));
            self.lines
                .get_ref()
                .set_read_timeout(Some(left))
                .map_err(failed)?;
            match self.lines.read_until(b'\n', &mut self.partial) {
                Ok(0) => return Err(Error::Qmp("QEMU closed the connection".into())),
                Ok(_) if self.partial.ends_with(b"\n") => {
                    let line = std::mem::take(&mut self.partial);
                    let parsed = serde_json::from_slice(&line);
                    return parsed
                        .map(Some)
                        .map_err(|error| Error::Qmp(format!("QEMU sent no JSON: {error}")));
                }
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if Instant::now() >= end {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A peer that sends `lines` whatever it is asked.
    fn peer(lines: &'static [&'static str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for line in lines {
                stream.write_all(line.as_bytes()).unwrap();
            }
            // Stay until the other end is done.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        (folder, socket)
    }

    #[test]
    fn events_between_a_command_and_its_answer_are_kept() {
        let (_folder, socket) = peer(&[
            "{\"QMP\": {}}\n",
            "{\"return\": {}}\n",
            "{\"event\": \"STOP\"}\n{\"event\": \"RES",
            "ET\", \"data\": {\"guest\": true}}\n",
            "{\"return\": {\"status\": \"paused\"}}\n",
        ]);
        let mut qmp = Qmp::connect(&socket).unwrap();
        assert_eq!(
            qmp.execute("query-status", json!({})).unwrap()["status"],
            "paused"
        );
        assert_eq!(
            qmp.wait_event("RESET", Duration::ZERO).unwrap(),
            Some(json!({ "guest": true }))
        );
        assert_eq!(qmp.wait_event("STOP", Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_refusal_carries_qemus_words() {
        let (_folder, socket) = peer(&[
            "{\"QMP\": {}}\n",
            "{\"return\": {}}\n",
            "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not found\"}}\n",
        ]);
        let error = Qmp::connect(&socket)
            .unwrap()
            .execute("device_del", json!({ "id": "x" }))
            .unwrap_err();
        assert!(
            error.to_string().contains("Device 'x' not found"),
            "{error}"
        );
    }
}
