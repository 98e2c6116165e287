// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predictive mapping in the running card: what the predictor is told, and what
//! comes of what it says.
//!
//! Faults, touches and command lists are told to a learning thread by a channel
//! that never makes anybody wait. That thread alone owns the predictor. What it
//! predicts becomes windows by the memory manager's rules; a wrong prediction costs
//! frames within a quota and a transfer that makes way for everything more urgent.

mod ahead;
mod budget;
mod inbox;
mod intent;
mod learner;
mod models;
mod pace;
mod recorder;
mod requests;
mod residency;
mod touch_ring;
mod touches;
mod trainer;
mod unit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use augur_abi::predict::AccessSource;
use augur_memory::{
    Access as Bytes, ContextId, Lru, Manager, Nanos, PageNumber, WindowReport, WindowState,
};
use augur_predictor::Origin;

use crate::command::Command;
use crate::config::PredictorMode;
use crate::list::List;
use inbox::{Access, Inbox, Lesson};
use models::Models;
use recorder::{Noted, Recorder};
use touch_ring::TouchRingReader;

pub(crate) use learner::run;
pub(crate) use recorder::{OF_CARD, TraceWriter};
pub(crate) use requests::answer;

/// Totals of the learning thread.
#[derive(Default)]
pub(crate) struct LearningTotals {
    pub touches: AtomicU64,
    pub touches_lost: AtomicU64,
    pub touches_refused: AtomicU64,
    pub learning_ns: AtomicU64,
    pub fallbacks_to_nothing: AtomicU64,
    pub fallbacks_to_next: AtomicU64,
    /// As in the counter of this name.
    pub fallback: AtomicU64,
}

/// What the card's other threads share with the learning thread.
pub(crate) struct Prediction {
    inbox: Inbox,
    ring: Mutex<Option<TouchRingReader>>,
    /// The driver of the ring obeys ZAP events.
    zaps: AtomicBool,
    /// There is a ring: a driver that reports touches knows of windows that it did
    /// not ask for. Others see none, unless they choose a mode.
    reported: AtomicBool,
    /// What the configuration says of contexts that say nothing.
    mode: PredictorMode,
    /// What contexts say for themselves.
    modes: Mutex<BTreeMap<ContextId, PredictorMode>>,
    /// Some context predicts, or could.
    predicting: AtomicBool,
    pub models: Models,
    pub recorder: Recorder,
    /// What was learned, when the learning thread has ended.
    last_model: Mutex<Option<Vec<u8>>>,
    pub totals: LearningTotals,
}

impl Prediction {
    /// Nothing is told yet.
    pub fn new(mode: PredictorMode) -> Self {
        Prediction {
            inbox: Inbox::default(),
            ring: Mutex::default(),
            zaps: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            mode,
            modes: Mutex::default(),
            predicting: AtomicBool::new(false),
            models: Models::default(),
            recorder: Recorder::default(),
            last_model: Mutex::default(),
            totals: LearningTotals::default(),
        }
    }

    fn tell(&self, context: ContextId, lesson: Lesson) {
        if self.predicts(context) {
            self.inbox.tell(context, lesson);
        }
    }

    fn modes(&self) -> MutexGuard<'_, BTreeMap<ContextId, PredictorMode>> {
        self.modes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How windows of a context are mapped.
    pub fn mode(&self, context: ContextId) -> PredictorMode {
        let own = self.modes().get(&context).copied();
        own.unwrap_or_else(|| self.default_mode())
    }

    /// How windows are mapped of contexts that say nothing.
    fn default_mode(&self) -> PredictorMode {
        if self.reported.load(Ordering::Relaxed) {
            self.mode
        } else {
            PredictorMode::Off
        }
    }

    /// Chooses how windows of a context are mapped; `None` as the card is
    /// configured.
    pub fn set_mode(&self, context: ContextId, mode: Option<PredictorMode>) {
        let mut modes = self.modes();
        match mode {
            Some(mode) => modes.insert(context, mode),
            None => modes.remove(&context),
        };
        self.note_predicting(&modes);
        drop(modes);
        self.inbox.wake();
    }

    fn note_predicting(&self, modes: &BTreeMap<ContextId, PredictorMode>) {
        let any = self.default_mode() != PredictorMode::Off
            || modes.values().any(|&mode| mode != PredictorMode::Off);
        self.predicting.store(any, Ordering::Relaxed);
    }

    /// Whether windows are mapped ahead for a context.
    pub fn predicts(&self, context: ContextId) -> bool {
        self.predicting.load(Ordering::Relaxed) && self.mode(context) != PredictorMode::Off
    }

    /// Whether the touch ring is of use to anybody.
    fn is_curious(&self) -> bool {
        self.predicting.load(Ordering::Relaxed) || self.recorder.is_on()
    }

    /// Notes what the commands of a list use, for those who record.
    pub fn list_queued(
        &self,
        manager: &Manager<Lru>,
        context: ContextId,
        commands: &[Command],
        now: Nanos,
    ) {
        for command in commands {
            let source = if command.is_transfer() {
                AccessSource::Transfer
            } else {
                AccessSource::Command
            };
            for access in command.accesses() {
                self.note(manager, context, access, source, now);
            }
        }
    }

    /// Notes an access, for those who record.
    fn note(
        &self,
        manager: &Manager<Lru>,
        context: ContextId,
        access: Bytes,
        source: AccessSource,
        time: Nanos,
    ) {
        if let Ok((object, _)) = manager.object_range(context, Bytes { bytes: 1, ..access }) {
            self.recorder.note(Noted {
                context,
                object,
                address: access.address,
                bytes: access.bytes,
                write: access.write,
                source,
                time,
            });
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
        manager: &Manager<Lru>,
        context: ContextId,
        page: PageNumber,
        write: bool,
        found: Option<WindowReport>,
        now: Nanos,
    ) {
        if self.recorder.is_on() {
            let access = Bytes {
                address: page.address(),
                bytes: augur_abi::PAGE_BYTES,
                write,
            };
            self.note(manager, context, access, AccessSource::Fault, now);
        }
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
        if !self.predicts(list.context) {
            return;
        }
        for span in intent::results(list.commands()) {
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
        self.modes().remove(&context);
        self.inbox.forget(context);
        self.models.forget(context);
        self.recorder.forget(context);
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
        self.set_ring(None, false);
        self.recorder.forget(OF_CARD);
    }

    fn set_ring(&self, ring: Option<TouchRingReader>, zaps: bool) {
        let zaps = zaps && ring.is_some();
        self.zaps.store(zaps, Ordering::Relaxed);
        self.reported.store(ring.is_some(), Ordering::Relaxed);
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = ring;
        self.note_predicting(&self.modes());
        self.inbox.wake();
    }

    fn leave_last_model(&self, file: Vec<u8>) {
        *self
            .last_model
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    /// What was learned, once the learning thread has ended.
    pub fn take_last_model(&self) -> Option<Vec<u8>> {
        self.last_model
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
