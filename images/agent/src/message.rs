// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages, and their payloads.

/// Sixteen bytes that tell one conversation from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; Self::SIZE]);

impl Nonce {
    /// Bytes of a nonce.
    pub const SIZE: usize = 16;
}

/// Which of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Everything the two ends say. Commands and collections are numbered by the
/// host, which uses each number once per conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Host: a new conversation starts.
    Hello(Nonce),
    /// Guest: the answer to [`Message::Hello`].
    Ready(Nonce),
    /// Host: run this program with these arguments (the program first).
    Run {
        /// The command's number.
        number: u32,
        /// Program and arguments, without NUL bytes.
        arguments: Vec<Vec<u8>>,
    },
    /// Host: send a signal to a running command's process group.
    Signal {
        /// The command's number.
        number: u32,
        /// The signal, as in `kill(2)`.
        signal: i32,
    },
    /// Guest: some output of a command.
    Output {
        /// The command's number.
        number: u32,
        /// Which output.
        stream: Stream,
        /// At most [`crate::LARGEST_PAYLOAD`] bytes.
        bytes: Vec<u8>,
    },
    /// Guest: a command ended, after its last output was sent. A command
    /// killed by signal `n` has code `128 + n`; one that could not be started
    /// has 127 and says why on its standard error.
    Exited {
        /// The command's number.
        number: u32,
        /// The exit code.
        code: i32,
    },
    /// Host: send every file below this directory.
    Collect {
        /// The collection's number.
        number: u32,
        /// An absolute path in the guest.
        directory: Vec<u8>,
    },
    /// Guest: a file of a collection starts.
    File {
        /// The collection's number.
        number: u32,
        /// Its path below the collected directory.
        path: Vec<u8>,
    },
    /// Guest: the next bytes of the file that started last.
    FileBytes {
        /// The collection's number.
        number: u32,
        /// At most [`crate::LARGEST_PAYLOAD`] bytes.
        bytes: Vec<u8>,
    },
    /// Guest: the collection is complete, or `error` says why not.
    Collected {
        /// The collection's number.
        number: u32,
        /// Empty, or the reason for an incomplete collection.
        error: Vec<u8>,
    },
    /// Host: power the guest off.
    PowerOff,
}

/// Why a frame is no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// No message has this number.
    #[error("the agent's port carried a message of unknown kind {0}")]
    UnknownKind(u8),
    /// The payload does not have the size its kind wants.
    #[error("the agent's port carried a message of kind {kind} with {size} bytes")]
    WrongSize {
        /// The message's kind.
        kind: u8,
        /// The payload's size in bytes.
        size: usize,
    },
}

const HELLO: u8 = 1;
const READY: u8 = 2;
const RUN: u8 = 3;
const SIGNAL: u8 = 4;
const OUTPUT: u8 = 5;
const ERROR: u8 = 6;
const EXITED: u8 = 7;
const COLLECT: u8 = 8;
const FILE: u8 = 9;
const FILE_BYTES: u8 = 10;
const COLLECTED: u8 = 11;
const POWER_OFF: u8 = 12;

impl Message {
    /// Kind, number and payload, as a frame carries them.
    pub(crate) fn parts(&self) -> (u8, u32, Vec<u8>) {
        match self {
            Self::Hello(nonce) => (HELLO, 0, nonce.0.to_vec()),
            Self::Ready(nonce) => (READY, 0, nonce.0.to_vec()),
            Self::Run { number, arguments } => (RUN, *number, arguments.join(&0)),
            Self::Signal { number, signal } => (SIGNAL, *number, signal.to_le_bytes().to_vec()),
            Self::Output {
                number,
                stream: Stream::Output,
                bytes,
            } => (OUTPUT, *number, bytes.clone()),
            Self::Output {
                number,
                stream: Stream::Error,
                bytes,
            } => (ERROR, *number, bytes.clone()),
            Self::Exited { number, code } => (EXITED, *number, code.to_le_bytes().to_vec()),
            Self::Collect { number, directory } => (COLLECT, *number, directory.clone()),
            Self::File { number, path } => (FILE, *number, path.clone()),
            Self::FileBytes { number, bytes } => (FILE_BYTES, *number, bytes.clone()),
            Self::Collected { number, error } => (COLLECTED, *number, error.clone()),
            Self::PowerOff => (POWER_OFF, 0, Vec::new()),
        }
    }

    /// The message that a frame carried.
    pub(crate) fn from_parts(
        kind: u8,
        number: u32,
        payload: Vec<u8>,
    ) -> Result<Self, MessageError> {
        let size = payload.len();
        let wrong_size = MessageError::WrongSize { kind, size };
        let nonce = || {
            <[u8; Nonce::SIZE]>::try_from(payload.as_slice())
                .map(Nonce)
                .ok()
        };
        let integer = || {
            <[u8; 4]>::try_from(payload.as_slice())
                .map(i32::from_le_bytes)
                .ok()
        };
        Ok(match kind {
            HELLO => Self::Hello(nonce().ok_or(wrong_size)?),
            READY => Self::Ready(nonce().ok_or(wrong_size)?),
            RUN => Self::Run {
                number,
                arguments: payload
                    .split(|&byte| byte == 0)
                    .map(<[u8]>::to_vec)
                    .collect(),
            },
            SIGNAL => Self::Signal {
                number,
                signal: integer().ok_or(wrong_size)?,
            },
            OUTPUT => Self::Output {
                number,
                stream: Stream::Output,
                bytes: payload,
            },
            ERROR => Self::Output {
                number,
                stream: Stream::Error,
                bytes: payload,
            },
            EXITED => Self::Exited {
                number,
                code: integer().ok_or(wrong_size)?,
            },
            COLLECT => Self::Collect {
                number,
                directory: payload,
            },
            FILE => Self::File {
                number,
                path: payload,
            },
            FILE_BYTES => Self::FileBytes {
                number,
                bytes: payload,
            },
            COLLECTED => Self::Collected {
                number,
                error: payload,
            },
            POWER_OFF => Self::PowerOff,
            unknown => return Err(MessageError::UnknownKind(unknown)),
        })
    }
}
