// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's end of the virtio-serial port.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use augur_agent::{Message, PORT_NAME, frame};

/// How long to wait before looking again for a host that is not connected.
const HOST_POLL: Duration = Duration::from_millis(20);

/// The port, shared by the threads: one reads, several write whole frames.
#[derive(Debug)]
pub struct Port {
    file: File,
    writing: Mutex<()>,
}

impl Port {
    /// Opens the port whose name is [`PORT_NAME`].
    pub fn open() -> io::Result<Self> {
        for entry in fs::read_dir("/sys/class/virtio-ports")? {
            let entry = entry?;
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if name.trim_end() == PORT_NAME {
                let device = Path::new("/dev").join(entry.file_name());
                let file = OpenOptions::new().read(true).write(true).open(device)?;
                return Ok(Self {
                    file,
                    writing: Mutex::new(()),
                });
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Sends one message. A host that went away is no reason to stop the
    /// guest's programs, so a failure is printed on the console only.
    pub fn send(&self, message: &Message) {
        let frame = frame::encode(message);
        let turn = self.writing.lock();
        if let Err(error) = (&self.file).write_all(&frame) {
            eprintln!("augur-agent: cannot answer the host: {error}");
        }
        drop(turn);
    }
}

impl Read for &Port {
    /// Reads from the host. The kernel reports an absent host as the end of
    /// the file; the port waits for it instead.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.file).read(buffer)? {
                0 if !buffer.is_empty() => thread::sleep(HOST_POLL),
                read => return Ok(read),
            }
        }
    }
}
