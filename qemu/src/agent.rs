// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's end of the conversation with the agent in the guest.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use augur_agent::{FrameError, Message, Nonce, Reader, frame};

use crate::Error;

/// A conversation with one life of the guest.
#[derive(Debug)]
pub struct Conversation {
    stream: UnixStream,
    /// One listener for each command or collection under way.
    listeners: Listeners,
    ready: Receiver<Result<(), FrameError>>,
    next_number: AtomicU32,
}

type Listeners = Arc<Mutex<HashMap<u32, Sender<Message>>>>;

/// Something the agent does for us, and what it says about it.
#[derive(Debug)]
pub struct Job {
    /// The number both ends call it by.
    pub number: u32,
    /// What the agent says; it ends when the conversation does.
    pub messages: Receiver<Message>,
}

impl Conversation {
    /// Connects to `socket` and greets the agent. It may be minutes until the
    /// guest is up: [`Conversation::ready`] says when the agent has answered.
    ///
    /// # Errors
    /// [`Error::File`] when nothing listens at `socket`.
    pub fn open(socket: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(socket).map_err(Error::file(socket))?;
        let reading = stream.try_clone().map_err(Error::file(socket))?;
        let mut bytes = [0; Nonce::SIZE];
        let random = Path::new("/dev/urandom");
        File::open(random)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(Error::file(random))?;
        let nonce = Nonce(bytes);

        let listeners = Listeners::default();
        let (announce, ready) = mpsc::channel();
        let others = Arc::clone(&listeners);
        thread::spawn(move || listen(reading, nonce, &announce, &others));
        let conversation = Self {
            stream,
            listeners,
            ready,
            next_number: AtomicU32::new(1),
        };
        conversation.send(&Message::Hello(nonce))?;
        Ok(conversation)
    }

    /// Whether the agent has answered the greeting by now.
    ///
    /// # Errors
    /// [`Error::Agent`] when the stream broke before it did.
    pub fn ready(&self) -> Result<bool, Error> {
        match self.ready.try_recv() {
            Ok(answer) => answer.map(|()| true).map_err(Error::from),
            Err(_) => Ok(false),
        }
    }

    /// Starts a program in the guest.
    ///
    /// # Errors
    /// [`Error::Agent`] when the stream is broken.
    pub fn run(&self, arguments: &[impl AsRef<[u8]>]) -> Result<Job, Error> {
        let arguments = arguments
            .iter()
            .map(|word| word.as_ref().to_vec())
            .collect();
        self.begin(|number| Message::Run { number, arguments })
    }

    /// Asks for the files below a directory of the guest.
    ///
    /// # Errors
    /// [`Error::Agent`] when the stream is broken.
    pub fn collect(&self, directory: &str) -> Result<Job, Error> {
        self.begin(|number| Message::Collect {
            number,
            directory: directory.into(),
        })
    }

    /// Sends `signal` to the process group of a running command.
    ///
    /// # Errors
    /// [`Error::Agent`] when the stream is broken.
    pub fn signal(&self, job: &Job, signal: i32) -> Result<(), Error> {
        self.send(&Message::Signal {
            number: job.number,
            signal,
        })
    }

    /// Asks the guest to power off.
    ///
    /// # Errors
    /// [`Error::Agent`] when the stream is broken.
    pub fn power_off(&self) -> Result<(), Error> {
        self.send(&Message::PowerOff)
    }

    fn begin(&self, message: impl FnOnce(u32) -> Message) -> Result<Job, Error> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let (sender, messages) = mpsc::channel();
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, sender);
        self.send(&message(number))?;
        Ok(Job { number, messages })
    }

    fn send(&self, message: &Message) -> Result<(), Error> {
        (&self.stream)
            .write_all(&frame::encode(message))
            .map_err(|error| Error::Agent(error.into()))
    }
}

impl Conversation {
    /// Ends the conversation, so that QEMU takes another connection.
    pub fn close(&self) {
        // Also wakes the listening thread. A stream that the other end has
        // closed already is as good as shut down.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.close();
    }
}

/// Hands what the agent says to whoever waits for it, until the stream ends.
fn listen(
    stream: UnixStream,
    nonce: Nonce,
    ready: &Sender<Result<(), FrameError>>,
    listeners: &Listeners,
) {
    let mut reader = Reader::new(stream);
    let answer = reader
        .synchronize(|message| *message == Message::Ready(nonce))
        .map(drop);
    let heard = answer.is_ok();
    // A dropped receiver means that the conversation is over.
    if ready.send(answer).is_err() || !heard {
        return;
    }
    while let Ok(message) = reader.next_message() {
        let (number, last) = match &message {
            Message::Output { number, .. }
            | Message::File { number, .. }
            | Message::FileBytes { number, .. } => (*number, false),
            Message::Exited { number, .. } | Message::Collected { number, .. } => (*number, true),
            _ => continue,
        };
        let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = listeners.get(&number) {
            // Nobody has to listen to the end of a command's output.
            let _ = listener.send(message);
        }
        if last {
            listeners.remove(&number);
        }
    }
    listeners
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
}

/// Writes the files of a collection below a directory of the host.
#[derive(Debug)]
pub struct Collector {
    directory: PathBuf,
    current: Option<(PathBuf, File)>,
    files: Vec<PathBuf>,
}

impl Collector {
    /// Files will go below `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            current: None,
            files: Vec::new(),
        }
    }

    /// Takes the next message of the collection; `true` when it was the last.
    ///
    /// # Errors
    /// [`Error::BadFileName`] for a name that would leave the directory,
    /// [`Error::File`] when a file cannot be written,
    /// [`Error::AgentRefused`] when the guest could not read one.
    pub fn take(&mut self, message: Message) -> Result<bool, Error> {
        match message {
            Message::File { path, .. } => {
                let path = self.directory.join(checked_name(&path)?);
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(Error::file(parent))?;
                }
                let file = File::create(&path).map_err(Error::file(&path))?;
                self.files.push(path.clone());
                self.current = Some((path, file));
                Ok(false)
            }
            Message::FileBytes { bytes, .. } => {
                if let Some((path, file)) = &mut self.current {
                    file.write_all(&bytes)
                        .map_err(Error::file(path.as_path()))?;
                }
                Ok(false)
            }
            Message::Collected { error, .. } if error.is_empty() => Ok(true),
            Message::Collected { error, .. } => Err(Error::AgentRefused(
                String::from_utf8_lossy(&error).into_owned(),
            )),
            _ => Ok(false),
        }
    }

    /// The files written so far.
    pub fn into_files(self) -> Vec<PathBuf> {
        self.files
    }
}

/// The guest's name for a file, if it stays below the directory for results.
fn checked_name(name: &[u8]) -> Result<PathBuf, Error> {
    let text = String::from_utf8_lossy(name).into_owned();
    let path = PathBuf::from(&text);
    let plain = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if plain && path.file_name().is_some() {
        Ok(path)
    } else {
        Err(Error::BadFileName(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_write_outside_the_results() {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = Collector::new(folder.path().join("results"));
        for name in ["../escaped", "/etc/escaped", "a/../../escaped", "", "."] {
            let message = Message::File {
                number: 1,
                path: name.into(),
            };
            assert!(
                matches!(collector.take(message), Err(Error::BadFileName(_))),
                "{name:?}"
            );
        }
        assert!(!folder.path().join("escaped").exists());
    }

    #[test]
    fn files_arrive_whole_and_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = Collector::new(folder.path().to_path_buf());
        for message in [
            Message::File {
                number: 1,
                path: b"a/b.png".to_vec(),
            },
            Message::FileBytes {
                number: 1,
                bytes: vec![1, 2],
            },
            Message::FileBytes {
                number: 1,
                bytes: vec![3],
            },
            Message::File {
                number: 1,
                path: b"empty".to_vec(),
            },
        ] {
            assert!(!collector.take(message).unwrap());
        }
        assert!(
            collector
                .take(Message::Collected {
                    number: 1,
                    error: Vec::new()
                })
                .unwrap()
        );
        assert_eq!(fs::read(folder.path().join("a/b.png")).unwrap(), [1, 2, 3]);
        assert!(fs::read(folder.path().join("empty")).unwrap().is_empty());
        assert_eq!(collector.into_files().len(), 2);
    }
}
