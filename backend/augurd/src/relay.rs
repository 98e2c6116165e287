// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stands between the front end's socket and the vhost crate, so that messages can be
//! checked before the crate sees them.
//!
//! Passes on every message with its descriptors, in order, both ways; an end of either
//! side ends the other. Only setup goes this way: rings are memory. Knows how messages
//! are framed; `ring_addresses` knows which are looked at.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::ring_addresses::{RefusedRings, RingAddresses};

/// Bytes of a message's header: request, flags, and bytes behind it, 4 each.
const HEADER_BYTES: usize = 12;
/// Bytes behind a header, at most; the crate refuses more.
const MAX_PAYLOAD_BYTES: usize = 4096;
/// Descriptors of a message, at most; the crate refuses more.
const MAX_DESCRIPTORS: usize = 32;

/// How long a front end may leave answers unread when no more fit into its socket.
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay that runs. It ends when either side does, and when this is dropped: what the
/// crate has answered by then still arrives.
#[derive(Debug)]
pub struct Relay {
    back_end: Arc<UnixStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts to relay `front_end`. The listener has one connection waiting: it is
    /// for the crate, which takes connections from nothing else.
    ///
    /// # Errors
    /// The system gives no thread or descriptor, or no place for a private socket.
    pub fn start(
        front_end: UnixStream,
        refused: Arc<RefusedRings>,
    ) -> io::Result<(Self, UnixListener)> {
        front_end.set_write_timeout(Some(PATIENCE))?;
        let (back_end, listener) = private_connection()?;
        let (front_end, back_end) = (Arc::new(front_end), Arc::new(back_end));
        let mut relay = Relay {
            back_end: back_end.clone(),
            threads: Vec::new(),
        };
        let (from, to) = (front_end.clone(), back_end.clone());
        relay.spawn("messages", move || {
            // What went wrong is the crate's to say, which sees the end.
            let _ = relay_messages(&from, &to, &refused);
            end(&from, &to);
        })?;
        relay.spawn("answers", move || {
            let _ = relay_bytes(&back_end, &front_end);
            end(&back_end, &front_end);
        })?;
        Ok((relay, listener))
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(work)?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The thread of the answers passes on what has come, then ends both sides, and the
        // other thread with them. Shut down already is as good.
        let _ = self.back_end.shutdown(Shutdown::Read);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Lets what was passed on be read, and nothing more come.
fn end(from: &UnixStream, to: &UnixStream) {
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A connection to a listener that no other user can reach.
fn private_connection() -> io::Result<(UnixStream, UnixListener)> {
    let directory = tempfile::Builder::new().prefix("augurd-").tempdir()?;
    let path = directory.path().join("s");
    let connected =
        UnixListener::bind(&path).and_then(|listener| Ok((UnixStream::connect(&path)?, listener)));
    connected.map_err(|error| {
        let path = path.display();
        io::Error::new(
            error.kind(),
            format!("cannot listen at {path} ({error}); set TMPDIR to another directory"),
        )
    })
}

/// Passes on whole messages until one side ends.
fn relay_messages(from: &UnixStream, to: &UnixStream, refused: &RefusedRings) -> io::Result<()> {
    let mut addresses = RingAddresses::default();
    loop {
        let mut message = Received::default();
        let whole = message.fill(from, HEADER_BYTES)?
            && match message.payload_bytes() {
                // The crate ends the connection for it.
                bytes if bytes > MAX_PAYLOAD_BYTES => true,
                bytes => message.fill(from, HEADER_BYTES + bytes)?,
            };
        if let Some((header, payload)) = message.bytes.split_first_chunk_mut::<HEADER_BYTES>() {
            let [a, b, c, d, ..] = *header;
            addresses.check(u32::from_ne_bytes([a, b, c, d]), payload, refused);
        }
        message.send(to)?;
        if !whole {
            return Ok(());
        }
    }
}

/// Passes on what comes, until one side ends.
fn relay_bytes(from: &UnixStream, to: &UnixStream) -> io::Result<()> {
    loop {
        let mut some = Received::default();
        if some.receive(from, HEADER_BYTES + MAX_PAYLOAD_BYTES)? == 0 {
            return Ok(());
        }
        some.send(to)?;
    }
}

/// Bytes that were received, and the descriptors that came with them.
#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Received {
    /// Receives until there are `bytes` bytes; answers whether there are.
    fn fill(&mut self, from: &UnixStream, bytes: usize) -> io::Result<bool> {
        while self.bytes.len() < bytes {
            if self.receive(from, bytes - self.bytes.len())? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Receives at most `most` bytes more; answers how many. 0 is the end.
    fn receive(&mut self, from: &UnixStream, most: usize) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let begin = self.bytes.len();
        self.bytes.resize(begin + most, 0);
        let room = self.bytes.get_mut(begin..).unwrap_or_default();
        let received = rustix::io::retry_on_intr(|| {
            let mut room = [IoSliceMut::new(room)];
            recvmsg(from, &mut room, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let count = received.as_ref().map_or(0, |received| received.bytes);
        self.bytes.truncate(begin + count);
        received?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        Ok(count)
    }

    /// The bytes that the header says follow it.
    fn payload_bytes(&self) -> usize {
        let bytes = self.bytes.get(8..HEADER_BYTES);
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, |bytes| u32::from_ne_bytes(bytes) as usize)
    }

    /// Sends everything, descriptors with the first byte, as they came.
    fn send(&self, to: &UnixStream) -> io::Result<()> {
        let descriptors: Vec<BorrowedFd<'_>> =
            self.descriptors.iter().map(|one| one.as_fd()).collect();
        let mut sent = 0;
        while sent < self.bytes.len() {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if sent == 0 && !descriptors.is_empty() {
                // More do not fit than fitted when they were received, but several
                // receptions may have added up.
                let rights = SendAncillaryMessage::ScmRights(&descriptors);
                if !control.push(rights) {
                    return Err(io::Error::other("too many descriptors with a message"));
                }
            }
            let rest = self.bytes.get(sent..).unwrap_or_default();
            sent += rustix::io::retry_on_intr(|| {
                sendmsg(to, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    use super::*;

    /// The front end's side, and the crate's.
    fn relayed() -> (UnixStream, UnixStream, Relay) {
        let (front_end, outer) = UnixStream::pair().unwrap();
        let (relay, listener) = Relay::start(outer, Arc::new(RefusedRings::new(1))).unwrap();
        let (back_end, _) = listener.accept().unwrap();
        (front_end, back_end, relay)
    }

    fn message(request: u32, payload: &[u8]) -> Vec<u8> {
        let words = [request, 1, payload.len() as u32];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn bytes_and_descriptors_arrive_both_ways() {
        let (front_end, back_end, _relay) = relayed();
        let (mut reader, writer) = io::pipe().unwrap();
        let sent = Received {
            bytes: message(1000, b"with a pipe"),
            descriptors: vec![writer.into()],
        };
        for (from, to) in [(&front_end, &back_end), (&back_end, &front_end)] {
            sent.send(from).unwrap();
            let mut arrived = Received::default();
            assert!(arrived.fill(to, sent.bytes.len()).unwrap());
            assert_eq!(arrived.bytes, sent.bytes);
            let descriptor = arrived.descriptors.pop().unwrap();
            assert!(arrived.descriptors.is_empty());
            File::from(descriptor).write_all(b"x").unwrap();
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"x");
        }
    }

    #[test]
    fn what_was_answered_arrives_when_the_relay_is_dropped_at_once() {
        for _ in 0..200 {
            let (mut front_end, mut back_end, relay) = relayed();
            let answer = message(1002, b"refused");
            back_end.write_all(&answer).unwrap();
            back_end.shutdown(Shutdown::Both).unwrap();
            drop(relay);
            let mut arrived = Vec::new();
            front_end.read_to_end(&mut arrived).unwrap();
            assert_eq!(arrived, answer);
        }
    }

    #[test]
    fn what_was_begun_arrives_before_the_end() {
        let (front_end, mut back_end, _relay) = relayed();
        let whole = message(1001, b"payload");
        let cut = whole.len() - 3;
        (&front_end).write_all(&whole).unwrap();
        (&front_end).write_all(&whole[..cut]).unwrap();
        drop(front_end);
        let mut arrived = Vec::new();
        back_end.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived, [&whole[..], &whole[..cut]].concat());
    }

    #[test]
    fn an_end_of_the_back_end_ends_the_front_end() {
        let (mut front_end, back_end, _relay) = relayed();
        drop(back_end);
        assert_eq!(front_end.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn dropping_it_ends_both() {
        let (mut front_end, mut back_end, relay) = relayed();
        drop(relay);
        assert_eq!(front_end.read(&mut [0]).unwrap(), 0);
        assert_eq!(back_end.read(&mut [0]).unwrap(), 0);
    }
}
