// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mapping manager: contexts, objects and windows, and every transition
//! between their states.
//!
//! The owner calls in with what happened, then drains [`Manager::next_action`]
//! and does what it says, reporting back when it is done:
//!
//! | action | the owner | reports |
//! |---|---|---|
//! | [`Action::Fill`] | copies or zeroes the pieces | [`Manager::filled`] |
//! | [`Action::Publish`] | tells the driver of the window | |
//! | [`Action::Revoke`] | tells the driver to give it back | [`Manager::acknowledged`] |
//! | [`Action::WriteHome`] | copies the pieces | [`Manager::written_home`] |
//! | [`Action::Scrub`] | makes the frames read as zero | [`Manager::scrubbed`] |
//! | [`Action::Relocate`] | copies between home frames | [`Manager::relocated`] |
//! | [`Action::FaultFailed`], [`Action::ContextFailed`] | tells the driver | |
//! | [`Action::Gone`] | may learn from it | |
//!
//! Every table is bounded by the configuration.

mod advice;
mod ahead;
mod config;
mod evict;
mod fault;
mod object;
mod pin;
mod recency;
mod relocate;
mod report;

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::frames::BuddyFrames;
use crate::hash::IntegerMap;
use crate::home::HomeFrames;
use crate::page_table::PageTable;
use crate::ranges::Ranges;
use crate::window::Window;
use crate::{
    ContextId, DeviceAddress, Frame, Frames, Nanos, ObjectId, PAGE_SHIFT, PageNumber,
    PhysicalOffset, Replacement, Slot, WindowRef,
};

pub use crate::home::HomeRun;
pub use advice::Advice;
pub use ahead::{Mapped, Refused};
pub use config::{Config, ConfigError};
pub use fault::FaultAnswer;
pub use pin::{Access, Pin, PinError, Segment};
pub use relocate::{HomeCopy, HomePart, NotMoved, RelocationId};
pub use report::{ContextReport, Counters, WindowReport};

use advice::{Pattern, Wish};
use config::GUARANTEED_WINDOWS;
use object::Object;
use pin::ActivePin;
use relocate::Relocation;

/// Faults of one context that may wait at one time.
const MAX_WAITING_FAULTS: u32 = 256;
/// log2 of the pages of the largest window: 2 MiB.
const MAX_WINDOW_ORDER: u8 = 9;

/// Which move comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FillPriority {
    /// A program waits for it.
    Demand,
    /// A prediction asked for it.
    Ahead,
}

/// A contiguous part of a move between home and visible frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where the bytes are at home; `None`: they are zero.
    pub home: Option<PhysicalOffset>,
    /// Where they are, or go, in the aperture.
    pub visible: PhysicalOffset,
    /// Bytes, a multiple of the page size.
    pub bytes: u64,
}

/// What the owner of a [`Manager`] has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fill the window's frames.
    Fill {
        /// The window.
        window: WindowRef,
        /// Its urgency.
        priority: FillPriority,
        /// The moves; empty for an object without home frames.
        pieces: Vec<Piece>,
        /// Bytes of the window.
        bytes: u64,
    },
    /// Tell the driver that the window is there.
    Publish(WindowReport),
    /// Ask the driver to give the window back.
    Revoke(WindowReport),
    /// Copy the window home.
    WriteHome {
        /// The window.
        window: WindowRef,
        /// The moves; empty for an object without home frames.
        pieces: Vec<Piece>,
        /// Bytes of the window.
        bytes: u64,
    },
    /// Make the frames read as zero and release their host memory.
    Scrub(HomeRun),
    /// Copy between home frames: pages get another home. The frames copied to are
    /// nobody else's until that has ended.
    Relocate {
        /// Its name.
        relocation: RelocationId,
        /// The copies; empty for pages that were never written home.
        copies: Vec<HomeCopy>,
    },
    /// A fault that waited cannot be served any more.
    FaultFailed {
        /// The context.
        context: ContextId,
        /// The page.
        page: PageNumber,
        /// Why.
        error: MemoryError,
    },
    /// The driver did not acknowledge in time.
    ContextFailed(ContextId),
    /// The window has left the page table: for owners that learn from it.
    Gone(WindowReport),
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MemoryError {
    /// The context does not exist.
    #[error("no such context")]
    NoContext,
    /// The context did not acknowledge a revoke in time.
    #[error("the context has failed")]
    ContextFailed,
    /// The object or address does not exist in the context.
    #[error("no such object or device address in the context")]
    NoObject,
    /// Home frames, contexts or objects are exhausted.
    #[error("device memory is exhausted")]
    NoMemory,
    /// Too many faults of the context wait already.
    #[error("too many faults wait")]
    Busy,
    /// A size of zero, or beyond the address space.
    #[error("the size is zero or too large")]
    BadSize,
}

/// A context: an address space.
struct Context {
    table: PageTable,
    /// Objects by first page.
    objects: BTreeMap<u64, ObjectId>,
    /// Where the next object is placed.
    next_page: u64,
    /// In which order pages are used, as far as the program said.
    patterns: Ranges<Pattern>,
    /// Pages whose windows are not taken back.
    pinned: Ranges<()>,
    windows: u32,
    window_frames: u32,
    /// Those of windows mapped ahead and not used yet.
    speculative_frames: u32,
    object_frames: u64,
    waiting_faults: u32,
    faults: u64,
    /// Objects that are gone.
    removed: u64,
    failed: bool,
}

/// A fault that waits for frames, or for its page to settle.
#[derive(Clone, Copy)]
struct WaitingFault {
    context: ContextId,
    page: PageNumber,
    /// What one window cannot hold of a full one's place comes with it.
    whole: bool,
    since: Nanos,
}

/// The state machine. See the module's description.
pub struct Manager<R> {
    config: Config,
    max_contexts: u32,
    contexts: BTreeMap<ContextId, Context>,
    objects: IntegerMap<Object>,
    windows: Vec<Window>,
    visible: BuddyFrames,
    home: HomeFrames,
    /// Home frames that wait for [`Manager::scrubbed`].
    scrubbing: u64,
    replacement: R,
    waiting: VecDeque<WaitingFault>,
    /// What programs said that they will need, and is not mapped yet.
    wishes: VecDeque<Wish>,
    /// Pages that are pinned in all contexts.
    pinned_frames: u64,
    /// Revokes in the order in which they were sent, for the timeout.
    revokes: VecDeque<(Nanos, WindowRef)>,
    /// Visible frames that an eviction under way will free.
    coming: u32,
    active: Vec<ActivePin>,
    /// Pages that are on their way to other home frames.
    relocations: Vec<Relocation>,
    /// Objects that are at home in more than one run.
    scattered: u64,
    actions: VecDeque<Action>,
    next_context: u32,
    next_object: u64,
    next_pin: u64,
    next_relocation: u64,
    counters: Counters,
}

impl<R: Replacement> Manager<R> {
    /// A manager of empty memory.
    ///
    /// # Errors
    /// [`ConfigError`] when the sizes do not fit together.
    pub fn new(config: Config, replacement: R) -> Result<Self, ConfigError> {
        let max_contexts = config.validated_contexts()?;
        let visible = Frames(config.aperture.0 - config.header.0);
        let home = HomeRun {
            first: Frame(config.aperture.0),
            count: Frames(config.memory.0 - config.aperture.0),
        };
        Ok(Manager {
            config,
            max_contexts,
            contexts: BTreeMap::new(),
            objects: IntegerMap::default(),
            windows: vec![Window::FREE; config.aperture.0 as usize],
            visible: BuddyFrames::new(Frame(config.header.0), visible, MAX_WINDOW_ORDER),
            home: HomeFrames::new(home),
            scrubbing: 0,
            replacement,
            waiting: VecDeque::new(),
            wishes: VecDeque::new(),
            pinned_frames: 0,
            revokes: VecDeque::new(),
            coming: 0,
            active: Vec::new(),
            relocations: Vec::new(),
            scattered: 0,
            actions: VecDeque::new(),
            next_context: 1,
            next_object: 1,
            next_pin: 1,
            next_relocation: 1,
            counters: Counters::default(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Contexts that may exist at one time.
    pub fn max_contexts(&self) -> u32 {
        self.max_contexts
    }

    /// The order of replacement, for owners that tune it.
    pub fn replacement(&mut self) -> &mut R {
        &mut self.replacement
    }

    /// The next thing to do, oldest first.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Opens a context.
    ///
    /// # Errors
    /// [`MemoryError::NoMemory`] when there are as many as there may be.
    pub fn create_context(&mut self) -> Result<ContextId, MemoryError> {
        if self.contexts.len() >= self.max_contexts as usize {
            return Err(MemoryError::NoMemory);
        }
        let id = ContextId(self.next_context);
        self.next_context = self
            .next_context
            .checked_add(1)
            .ok_or(MemoryError::NoMemory)?;
        self.contexts.insert(
            id,
            Context {
                table: PageTable::default(),
                objects: BTreeMap::new(),
                next_page: object::FIRST_PAGE,
                patterns: Ranges::default(),
                pinned: Ranges::default(),
                windows: 0,
                window_frames: 0,
                speculative_frames: 0,
                object_frames: 0,
                waiting_faults: 0,
                faults: 0,
                removed: 0,
                failed: false,
            },
        );
        Ok(id)
    }

    /// Closes a context and frees its objects. Its windows need no
    /// acknowledgement any more, but for those in quarantine.
    ///
    /// # Errors
    /// [`MemoryError::NoContext`].
    pub fn destroy_context(&mut self, id: ContextId, now: Nanos) -> Result<(), MemoryError> {
        let context = self.contexts.get(&id).ok_or(MemoryError::NoContext)?;
        let objects: Vec<ObjectId> = context.objects.values().copied().collect();
        for object in objects {
            self.remove_object(id, object);
        }
        self.contexts.remove(&id);
        self.waiting.retain(|fault| fault.context != id);
        self.wishes.retain(|wish| wish.context != id);
        self.serve_waiting(now);
        Ok(())
    }

    /// Ends every context, and takes back frames in quarantine: the driver's
    /// life is over and nothing of the aperture is mapped in the guest any more.
    pub fn reset(&mut self, now: Nanos) {
        let contexts: Vec<ContextId> = self.contexts.keys().copied().collect();
        for context in contexts {
            // The context was found just now, so this cannot fail.
            let _ = self.destroy_context(context, now);
        }
        for slot in 0..self.windows.len() as u32 {
            if self.windows[slot as usize].state == crate::WindowState::Quarantined {
                self.free_window(Slot(slot));
            }
        }
        self.actions.retain(|action| {
            matches!(
                action,
                Action::Fill { .. }
                    | Action::WriteHome { .. }
                    | Action::Scrub(_)
                    | Action::Relocate { .. }
            )
        });
    }

    /// The object that holds the page, if any.
    fn object_at(&self, context: &Context, page: PageNumber) -> Option<&Object> {
        let (_, id) = context.objects.range(..=page.0).next_back()?;
        let object = self.objects.get(&id.0)?;
        (page.0 < object.first_page.0 + object.pages).then_some(object)
    }

    /// The window, if the reference is to its present use.
    fn window(&self, window: WindowRef) -> Option<&Window> {
        let found = self.windows.get(window.slot.0 as usize)?;
        (found.generation == window.generation).then_some(found)
    }
}

/// Whole pages that hold `bytes`, `None` for zero or more than the address space.
fn pages_of(bytes: u64) -> Option<u64> {
    let pages = bytes.checked_add((1 << PAGE_SHIFT) - 1)? >> PAGE_SHIFT;
    (pages > 0 && pages <= object::ADDRESS_SPACE_PAGES).then_some(pages)
}

/// The context's object that holds all the bytes, with the pages they touch.
fn touched_pages(address: DeviceAddress, bytes: u64) -> Option<(PageNumber, u64)> {
    let last = address.0.checked_add(bytes.checked_sub(1)?)?;
    let first = address.page();
    Some((first, (last >> PAGE_SHIFT) - first.0 + 1))
}
