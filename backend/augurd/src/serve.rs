// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the two workers do when they are woken: hand requests to the card,
//! answers and events to the guest.

use std::sync::{Arc, PoisonError};

use augur_abi::Event;
use augur_abi::config::{QUEUE_CONTROL, QUEUE_EVENTS, QUEUE_SUBMIT};
use augur_abi::control::{
    ContextCreateResponse, ContextInfoResponse, CountersResponse, FaultResponse, HelloResponse,
    ListWindowsResponse, ListedWindow, MAX_LISTED_WINDOWS, ObjectCreateResponse, Request,
    RequestHeader, ResponseHeader, SensorsResponse,
};
use augur_abi::predict::{
    MAX_PROFILE_RECORDS, MODEL_CHUNK, ModelPullResponse, ModelPushResponse, ProfileReadResponse,
    ProfileRecord,
};
use augur_abi::submit::{MAX_SUBMIT_BYTES, SubmitStatus};
use augur_card::{Card, GuestMemory, ListDone};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::chain::Malformed;
use crate::queue::{Queue, Taken, TakenChain};
use crate::ring::Ring;
use crate::transport::{Transport, Worker};

/// Bytes of a control request that are looked at. No request is as long, so
/// that a longer one is still seen to be too long.
const MOST_REQUEST_BYTES: usize = 4096;
/// Bytes of a submission that are looked at: one more than may be.
const MOST_SUBMIT_BYTES: usize = MAX_SUBMIT_BYTES as usize + 1;
/// Events in one buffer, at most.
const MOST_EVENTS: usize = 64;
/// Chains of one queue that are served before the worker's other queues have
/// their turn.
const TURN: usize = 64;

impl Transport {
    /// Answers control requests and delivers events until there are no more.
    pub(crate) fn serve_control(&self, rings: &[Ring], worker: &Worker) {
        let [control, events, ..] = rings else { return };
        let control = self.running_queue(QUEUE_CONTROL, control);
        let events = self.running_queue(QUEUE_EVENTS, events);
        let watched: Vec<_> = control.iter().cloned().collect();
        self.serve_until_idle(&watched, worker, || {
            // First what happened before the request that is answered next.
            let delivered = events.as_deref().is_some_and(|events| self.deliver(events));
            let answered = control
                .as_deref()
                .is_some_and(|control| self.answer(control));
            delivered || answered
        });
    }

    /// Serves as long as `serve` finds something; then lets the guest kick for
    /// what comes to the `queues`.
    fn serve_until_idle(
        &self,
        queues: &[Arc<Queue>],
        worker: &Worker,
        mut serve: impl FnMut() -> bool,
    ) {
        let guest = self.card.guest();
        worker.poll.work_came();
        loop {
            while serve() {}
            let mut rang = false;
            let is_work = || {
                rang = worker.bell.rang();
                rang || queues.iter().any(|queue| queue.claims_a_chain(guest))
            };
            // Engines and channels that work need the processors more.
            if !self.card.has_lists() && worker.poll.look_on(is_work) {
                worker.poll.work_came();
                if serve() || rang {
                    continue;
                }
            }
            let mut made_meanwhile = false;
            for queue in queues {
                made_meanwhile |= queue.enable_kicks(guest);
            }
            // A ring that claims to have a chain and gives none stands still.
            if !made_meanwhile || !serve() {
                return;
            }
        }
    }

    /// Delivers events; says whether the queue wants another turn.
    fn deliver(&self, queue: &Queue) -> bool {
        let guest = self.card.guest();
        queue.flush(guest);
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for _ in 0..TURN {
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

    /// Answers control requests; says whether there were any.
    fn answer(&self, queue: &Queue) -> bool {
        let guest = self.card.guest();
        take_turn(queue, guest, MOST_REQUEST_BYTES, |chain, request| {
            let needed = answer_bytes(&request) as u64;
            if chain.capacity < needed {
                let capacity = chain.capacity;
                queue.refuse(guest, chain, Malformed::NoRoom { capacity, needed });
            } else {
                let answer = self.card.control(&request);
                #[cfg(feature = "misbehave")]
                let mut answer = answer;
                #[cfg(feature = "misbehave")]
                crate::misbehaviour::answer(&request, &mut answer);
                #[cfg(feature = "misbehave")]
                if crate::misbehaviour::is_silent() {
                    return;
                }
                queue.complete(guest, chain, answer);
            }
        })
    }

    /// Hands submissions to the card until there are no more.
    pub(crate) fn serve_submissions(&self, rings: &[Ring], worker: &Worker) {
        let queues: Vec<_> = (QUEUE_SUBMIT..)
            .zip(rings)
            .filter_map(|(number, ring)| self.running_queue(number, ring))
            .collect();
        self.serve_until_idle(&queues, worker, || {
            let mut any = false;
            for queue in &queues {
                any |= self.submit(queue);
            }
            any
        });
    }

    /// Hands submissions of one queue to the card; says whether there were any.
    fn submit(&self, queue: &Arc<Queue>) -> bool {
        let guest = self.card.guest();
        take_turn(queue, guest, MOST_SUBMIT_BYTES, |chain, request| {
            let needed = SubmitStatus::BYTES as u64;
            if chain.capacity < needed {
                let capacity = chain.capacity;
                queue.refuse(guest, chain, Malformed::NoRoom { capacity, needed });
            } else {
                #[cfg(feature = "misbehave")]
                if crate::misbehaviour::keeps_lists() {
                    return;
                }
                let (card, queue) = (self.card.clone(), queue.clone());
                let submission = Submission { card, queue, chain };
                self.card.submit(&request, Box::new(submission));
            }
        })
    }
}

/// Takes up to a turn's chains and hands each to `serve`; says whether there
/// were any.
fn take_turn(
    queue: &Queue,
    guest: &GuestMemory,
    most_readable: usize,
    mut serve: impl FnMut(TakenChain, Vec<u8>),
) -> bool {
    queue.flush(guest);
    for taken in 0..TURN {
        match queue.take(guest, most_readable) {
            Taken::Chain(chain, readable) => serve(chain, readable),
            Taken::Refused => {}
            Taken::Nothing => return taken > 0,
        }
    }
    true
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

/// Bytes that the answer to a request may have.
fn answer_bytes(request: &[u8]) -> usize {
    let opcode = RequestHeader::read_from_prefix(request)
        .ok()
        .and_then(|(header, _)| Request::from_code(header.opcode));
    let body = match opcode {
        Some(Request::Hello) => HelloResponse::BYTES,
        Some(Request::ContextCreate) => ContextCreateResponse::BYTES,
        Some(Request::ObjectCreate) => ObjectCreateResponse::BYTES,
        Some(Request::Fault) => FaultResponse::BYTES,
        Some(Request::ListWindows) => {
            ListWindowsResponse::BYTES + MAX_LISTED_WINDOWS * ListedWindow::BYTES
        }
        Some(Request::ListContexts) => ContextInfoResponse::BYTES,
        Some(Request::ModelPull) => ModelPullResponse::BYTES + MODEL_CHUNK,
        Some(Request::ModelPush) => ModelPushResponse::BYTES,
        Some(Request::ProfileRead) => {
            ProfileReadResponse::BYTES + MAX_PROFILE_RECORDS * ProfileRecord::BYTES
        }
        Some(Request::Counters) => CountersResponse::BYTES,
        Some(Request::Resume) => HelloResponse::BYTES,
        Some(Request::Sensors) => SensorsResponse::BYTES,
        Some(
            Request::ContextDestroy
            | Request::ObjectDestroy
            | Request::RevokeAck
            | Request::ListCancel
            | Request::ContextPriority
            | Request::Advise
            | Request::TouchRing
            | Request::PredictorSet
            | Request::ProfileStart
            | Request::ProfileStop,
        )
        | None => 0,
    };
    ResponseHeader::BYTES + body
}
