// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames on the byte stream, and finding the first of a conversation.
//!
//! | offset | size | field                          |
//! |--------|------|--------------------------------|
//! | 0      | 4    | magic `AuGr`                   |
//! | 4      | 1    | kind, see [`crate::message`]   |
//! | 5      | 3    | zero                           |
//! | 8      | 4    | number of the command, LE      |
//! | 12     | 4    | payload length in bytes, LE    |
//! | 16     | …    | payload                        |

use std::io::{self, Read};

use crate::LARGEST_PAYLOAD;
use crate::message::{Message, MessageError, Nonce};

const MAGIC: [u8; 4] = *b"AuGr";
const HEADER: usize = 16;

/// Why no message came out of the stream.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended or failed.
    #[error("the agent's port failed: {0}")]
    Stream(#[from] io::Error),
    /// A header did not start with the magic: the other end lost its place.
    #[error("the agent's port is out of step (no frame where one should start)")]
    OutOfStep,
    /// A header announced more than [`LARGEST_PAYLOAD`] bytes.
    #[error("the agent's port announced a frame of {0} bytes")]
    TooLong(u32),
    /// The frame was whole and its content was not.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Encodes `message` as one frame.
pub fn encode(message: &Message) -> Vec<u8> {
    let (kind, number, payload) = message.parts();
    // Long payloads are cut up by who makes the message; a longer one is cut
    // here rather than sent with a length that the other end refuses.
    let payload = payload.get(..LARGEST_PAYLOAD).unwrap_or(&payload);
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[kind, 0, 0, 0]);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes messages out of a byte stream.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
}

impl<R: Read> Reader<R> {
    /// Reads messages from `stream`.
    pub fn new(stream: R) -> Self {
        Self { stream }
    }

    /// Throws bytes away until a whole frame has gone by that `wanted` accepts.
    ///
    /// Every byte offset is tried as the beginning of a frame, so that the
    /// rest of an older conversation, cut anywhere, is skipped.
    ///
    /// # Errors
    /// [`FrameError::Stream`] when the stream ends before such a frame.
    pub fn synchronize(
        &mut self,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, FrameError> {
        // Hello and Ready carry a nonce and nothing else, so a frame that
        // could be one of them always has this size.
        let mut window = [0_u8; HEADER + Nonce::SIZE];
        self.stream.read_exact(&mut window)?;
        loop {
            if let Some(message) = parse(&window).filter(&wanted) {
                return Ok(message);
            }
            window.copy_within(1.., 0);
            let last = window.len() - 1;
            self.stream.read_exact(&mut window[last..])?;
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// [`FrameError`]; after [`FrameError::OutOfStep`] or
    /// [`FrameError::TooLong`] only [`Reader::synchronize`] helps.
    pub fn next_message(&mut self) -> Result<Message, FrameError> {
        let mut header = [0_u8; HEADER];
        self.stream.read_exact(&mut header)?;
        let header = Header::parse(&header).ok_or(FrameError::OutOfStep)?;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if length > LARGEST_PAYLOAD {
            return Err(FrameError::TooLong(header.length));
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(Message::from_parts(header.kind, header.number, payload)?)
    }
}

struct Header {
    kind: u8,
    number: u32,
    length: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let [
            m0,
            m1,
            m2,
            m3,
            kind,
            _,
            _,
            _,
            n0,
            n1,
            n2,
            n3,
            l0,
            l1,
            l2,
            l3,
        ] = *bytes;
        ([m0, m1, m2, m3] == MAGIC).then(|| Self {
            kind,
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
        })
    }
}

/// `bytes` as one frame that fills them exactly.
fn parse(bytes: &[u8]) -> Option<Message> {
    let (header, payload) = bytes.split_first_chunk::<HEADER>()?;
    let header = Header::parse(header)?;
    if usize::try_from(header.length).ok()? != payload.len() {
        return None;
    }
    Message::from_parts(header.kind, header.number, payload.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_survive_the_stream() {
        let messages = [
            Message::Hello(Nonce([7; 16])),
            Message::Run {
                number: 3,
                arguments: vec![b"echo".to_vec(), b"a b".to_vec()],
            },
            Message::Output {
                number: 3,
                stream: crate::message::Stream::Error,
                bytes: vec![0, 255],
            },
            Message::Exited {
                number: 3,
                code: -1,
            },
        ];
        let bytes: Vec<u8> = messages.iter().flat_map(encode).collect();
        let mut reader = Reader::new(bytes.as_slice());
        for message in messages {
            assert_eq!(reader.next_message().unwrap(), message);
        }
        assert!(matches!(reader.next_message(), Err(FrameError::Stream(_))));
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused_without_reading_it() {
        let mut bytes = encode(&Message::Exited { number: 1, code: 0 });
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            Reader::new(bytes.as_slice()).next_message(),
            Err(FrameError::TooLong(u32::MAX))
        ));
    }

    proptest! {
        /// Whatever an earlier conversation left behind, even a frame that
        /// promises more than came, the new one is found.
        #[test]
        fn a_new_conversation_is_found_after_any_remains(
            remains in proptest::collection::vec(any::<u8>(), 0..200),
            promised in 0_u32..100_000,
        ) {
            let nonce = Nonce([9; 16]);
            let mut bytes = remains;
            let mut cut = encode(&Message::Output {
                number: 1,
                stream: crate::message::Stream::Output,
                bytes: vec![1; 10],
            });
            cut[12..16].copy_from_slice(&promised.to_le_bytes());
            bytes.extend(cut);
            bytes.extend(encode(&Message::Ready(nonce)));
            bytes.extend(encode(&Message::Exited { number: 5, code: 0 }));
            let mut reader = Reader::new(bytes.as_slice());
            prop_assert_eq!(
                reader.synchronize(|message| *message == Message::Ready(nonce)).unwrap(),
                Message::Ready(nonce)
            );
            prop_assert_eq!(reader.next_message().unwrap(), Message::Exited { number: 5, code: 0 });
        }
    }
}
