// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predictive mapping in the running card: what the predictor is told, and what
//! comes of what it says.
//!
//! Faults, touches and command lists are told to a learning thread by a channel
//! that never makes anybody wait. That thread alone owns the predictor. What it
//! predicts becomes windows by the memory manager's rules; a wrong prediction costs
//! frames within a quota and a transfer that makes way for everything more urgent.

mod ahead;
mod inbox;
mod intent;
mod learner;
mod touch_ring;
mod unit;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use augur_abi::Status;
use augur_abi::touch::TouchRingRequest;
use augur_memory::{ContextId, Nanos, PageNumber, WindowReport, WindowState};
use augur_predictor::Origin;

use crate::list::List;
use crate::shared::Shared;
use inbox::{Access, Inbox, Lesson};
use touch_ring::TouchRingReader;

pub(crate) use learner::run;

/// Totals of the learning thread.
#[derive(Default)]
pub(crate) struct LearningTotals {
    pub touches: AtomicU64,
    pub touches_lost: AtomicU64,
    pub touches_refused: AtomicU64,
    pub learning_ns: AtomicU64,
}

/// What the card's other threads share with the learning thread.
pub(crate) struct Prediction {
    inbox: Inbox,
    ring: Mutex<Option<TouchRingReader>>,
    /// Somebody learns: otherwise nothing is told.
    listening: AtomicBool,
    pub totals: LearningTotals,
}

impl Prediction {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Prediction {
            inbox: Inbox::default(),
            ring: Mutex::default(),
            listening: AtomicBool::new(false),
            totals: LearningTotals::default(),
        }
    }

    fn tell(&self, context: ContextId, lesson: Lesson) {
        if self.listening.load(Ordering::Relaxed) {
            self.inbox.tell(context, lesson);
        }
    }

    /// A window has left the page table.
    pub fn gone(&self, report: &WindowReport) {
        let lesson = Lesson::Gone {
            first: report.address.page(),
            pages: report.bytes >> augur_memory::PAGE_SHIFT,
            used: report.used,
        };
        self.tell(report.context, lesson);
    }

    /// A program touched a page that it had to ask for. `found` is its window, if
    /// there was one when it asked.
    pub fn fault(
        &self,
        context: ContextId,
        page: PageNumber,
        write: bool,
        found: Option<WindowReport>,
        now: Nanos,
    ) {
        let origin = match found {
            None => Origin::Fault,
            Some(window) if window.ahead && window.state == WindowState::Filling => {
                Origin::FirstTouch
            }
            Some(window) if window.state == WindowState::Live => Origin::Touch,
            // It was asked before, or the page leaves the aperture just now.
            Some(_) => return,
        };
        let access = Access {
            first: page,
            pages: 1,
            origin,
            write,
            time: now,
        };
        self.tell(context, Lesson::Access(access));
    }

    /// The commands of a list have ended: what they wrote may be read now.
    pub fn list_ended(&self, list: &List) {
        if !self.listening.load(Ordering::Relaxed) {
            return;
        }
        for span in intent::results(&list.commands) {
            self.inbox.tell(
                list.context,
                Lesson::Declared {
                    first: span.first,
                    pages: span.pages,
                },
            );
        }
    }

    /// A context is gone.
    pub fn forget(&self, context: ContextId) {
        self.inbox.forget(context);
    }

    /// Lessons that were dropped because the thread was behind.
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped()
    }

    /// Lets the learning thread go.
    pub fn close(&self) {
        self.inbox.close();
    }

    /// The driver's life ends, and with it the memory of its ring.
    pub fn end_life(&self) {
        self.set_ring(None);
    }

    fn set_ring(&self, ring: Option<TouchRingReader>) {
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = ring;
    }
}

/// Answers TOUCH_RING.
pub(crate) fn set_touch_ring(shared: &Shared, body: &TouchRingRequest) -> Result<(), Status> {
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let ring = if body.entries == 0 {
        None
    } else {
        let guest = shared.guest.enter().ok_or(Status::DeviceError)?;
        let ring = TouchRingReader::new(&guest, body.address, body.entries);
        Some(ring.ok_or(Status::BadAddress)?)
    };
    shared.prediction.set_ring(ring);
    Ok(())
}
