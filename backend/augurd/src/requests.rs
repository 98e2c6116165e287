// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests on their way from queues to the card, and answers and events on
//! their way back.
//!
//! Knows how long a request and its answer may be, and which take long; never
//! what they mean.

use std::sync::{Arc, PoisonError};

use augur_abi::Event;
use augur_abi::config::QUEUE_EVENTS;
use augur_abi::control::{
    ContextCreateResponse, ContextInfoResponse, CountersResponse, FaultResponse, HelloResponse,
    ListWindowsResponse, ListedWindow, MAX_LISTED_WINDOWS, ObjectCreateResponse, Request as Opcode,
    RequestHeader, ResponseHeader, SensorsResponse,
};
use augur_abi::predict::{
    MAX_PROFILE_RECORDS, MODEL_CHUNK, ModelPullResponse, ModelPushResponse, ProfileReadResponse,
    ProfileRecord,
};
use augur_abi::submit::{MAX_SUBMIT_BYTES, SubmitHeader, SubmitStatus};
use augur_card::{Card, ListDone};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::chain::Malformed;
use crate::queue::{Queue, Taken, TakenChain};
use crate::serve::Side;
use crate::transport::Transport;

/// Bytes of a control request that are looked at. No request is as long, so
/// that a longer one is still seen to be too long.
const MOST_REQUEST_BYTES: usize = 4096;
/// Bytes of a submission that are looked at: one more than may be.
const MOST_SUBMIT_BYTES: usize = MAX_SUBMIT_BYTES as usize + 1;
/// Bytes of a submission that is checked faster than a thread is woken.
const BRIEF_SUBMIT_BYTES: usize = 4096;
/// Events in one buffer, at most.
const MOST_EVENTS: usize = 64;
/// Buffers that are filled with events before requests have their turn.
const EVENTS_TURN: usize = 64;

impl Side {
    /// Bytes of a request that are looked at.
    pub fn most_readable(self) -> usize {
        match self {
            Side::Control => MOST_REQUEST_BYTES,
            Side::Submit => MOST_SUBMIT_BYTES,
        }
    }
}

/// A request that was taken from a queue.
pub struct Request {
    side: Side,
    queue: Arc<Queue>,
    chain: TakenChain,
    bytes: Vec<u8>,
}

impl Request {
    /// What a chain of a queue of that side holds.
    pub fn new(side: Side, queue: &Arc<Queue>, chain: TakenChain, bytes: Vec<u8>) -> Self {
        let queue = queue.clone();
        Request {
            side,
            queue,
            chain,
            bytes,
        }
    }

    /// Whether it is handled in about the time in which a thread is woken, and never
    /// waits for anything.
    pub fn is_brief(&self) -> bool {
        match self.side {
            Side::Control => matches!(
                opcode(&self.bytes),
                Some(Opcode::Fault | Opcode::RevokeAck | Opcode::Counters | Opcode::Sensors)
            ),
            // Transfers wait for guest memory while the machine stands still, and the
            // worker that would start it again must not.
            Side::Submit => {
                self.bytes.len() <= BRIEF_SUBMIT_BYTES
                    && SubmitHeader::read_from_prefix(&self.bytes)
                        .is_ok_and(|(header, _)| header.transfer_count == 0)
            }
        }
    }

    /// Whether it was taken in the present life of its queue.
    pub fn is_current(&self) -> bool {
        self.queue.is_current(&self.chain)
    }

    /// Bytes that the answer may have.
    fn answer_bytes(&self) -> usize {
        match self.side {
            Side::Control => answer_bytes(opcode(&self.bytes)),
            Side::Submit => SubmitStatus::BYTES,
        }
    }
}

impl Transport {
    /// Hands a request to the card.
    pub(crate) fn handle(&self, request: Request) {
        let guest = self.card.guest();
        let needed = request.answer_bytes() as u64;
        let Request {
            side,
            queue,
            chain,
            bytes,
        } = request;
        let capacity = chain.capacity;
        if capacity < needed {
            queue.refuse(guest, chain, Malformed::NoRoom { capacity, needed });
            return;
        }
        match side {
            Side::Control => {
                let answer = self.card.control(&bytes);
                #[cfg(feature = "misbehave")]
                let mut answer = answer;
                #[cfg(feature = "misbehave")]
                crate::misbehaviour::answer(&bytes, &mut answer);
                #[cfg(feature = "misbehave")]
                if crate::misbehaviour::is_silent() {
                    return;
                }
                queue.complete(guest, chain, answer);
            }
            Side::Submit => {
                #[cfg(feature = "misbehave")]
                if crate::misbehaviour::keeps_lists() {
                    return;
                }
                let card = self.card.clone();
                let submission = Submission { card, queue, chain };
                let asked = || self.has_work(Side::Control) || self.has_work(Side::Submit);
                self.card.submit(&bytes, Box::new(submission), &asked);
            }
        }
    }

    /// Delivers events; says whether there may be more.
    pub(crate) fn deliver_events(&self) -> bool {
        let Some(queue) = self.seen_queues(QUEUE_EVENTS..QUEUE_EVENTS + 1).next() else {
            return false;
        };
        let guest = self.card.guest();
        queue.flush(guest);
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for _ in 0..EVENTS_TURN {
            let waiting = posted.take().filter(|buffer| queue.is_current(buffer));
            let buffer = match waiting {
                Some(buffer) => buffer,
                None => match queue.next(guest, 1) {
                    Taken::Chain(buffer, readable) => match unfit_for_events(&buffer, &readable) {
                        None => buffer,
                        Some(why) => {
                            queue.refuse(guest, buffer, why);
                            continue;
                        }
                    },
                    Taken::Refused => continue,
                    Taken::Nothing => return false,
                },
            };
            let room = (buffer.capacity / Event::BYTES as u64).min(MOST_EVENTS as u64);
            self.card.take_events(room as usize, &mut events);
            #[cfg(feature = "misbehave")]
            crate::misbehaviour::events(&mut events, room as usize);
            if events.is_empty() {
                *posted = Some(buffer);
                return false;
            }
            queue.complete(guest, buffer, events.as_bytes().to_vec());
            events.clear();
        }
        true
    }
}

/// Why a chain cannot take events, if so.
fn unfit_for_events(buffer: &TakenChain, readable: &[u8]) -> Option<Malformed> {
    let (capacity, needed) = (buffer.capacity, Event::BYTES as u64);
    if !readable.is_empty() {
        Some(Malformed::Readable)
    } else if capacity < needed {
        Some(Malformed::NoRoom { capacity, needed })
    } else {
        None
    }
}

/// A submission that the card executes.
struct Submission {
    card: Arc<Card>,
    queue: Arc<Queue>,
    chain: TakenChain,
}

impl ListDone for Submission {
    fn done(self: Box<Self>, status: SubmitStatus) {
        let Submission { card, queue, chain } = *self;
        queue.complete(card.guest(), chain, status.as_bytes().to_vec());
    }
}

fn opcode(request: &[u8]) -> Option<Opcode> {
    let (header, _) = RequestHeader::read_from_prefix(request).ok()?;
    Opcode::from_code(header.opcode)
}

/// Bytes that the answer to a control request may have.
fn answer_bytes(opcode: Option<Opcode>) -> usize {
    let body = match opcode {
        Some(Opcode::Hello | Opcode::Resume) => HelloResponse::BYTES,
        Some(Opcode::ContextCreate) => ContextCreateResponse::BYTES,
        Some(Opcode::ObjectCreate) => ObjectCreateResponse::BYTES,
        Some(Opcode::Fault) => FaultResponse::BYTES,
        Some(Opcode::ListWindows) => {
            ListWindowsResponse::BYTES + MAX_LISTED_WINDOWS * ListedWindow::BYTES
        }
        Some(Opcode::ListContexts) => ContextInfoResponse::BYTES,
        Some(Opcode::ModelPull) => ModelPullResponse::BYTES + MODEL_CHUNK,
        Some(Opcode::ModelPush) => ModelPushResponse::BYTES,
        Some(Opcode::ProfileRead) => {
            ProfileReadResponse::BYTES + MAX_PROFILE_RECORDS * ProfileRecord::BYTES
        }
        Some(Opcode::Counters) => CountersResponse::BYTES,
        Some(Opcode::Sensors) => SensorsResponse::BYTES,
        Some(
            Opcode::ContextDestroy
            | Opcode::ObjectDestroy
            | Opcode::RevokeAck
            | Opcode::ListCancel
            | Opcode::ContextPriority
            | Opcode::Advise
            | Opcode::TouchRing
            | Opcode::PredictorSet
            | Opcode::ProfileStart
            | Opcode::ProfileStop,
        )
        | None => 0,
    };
    ResponseHeader::BYTES + body
}
