// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the predictor is told about a guest's accesses, and what it may ask
//! about the aperture.

use augur_memory::{ContextId, Nanos, PageNumber};

/// One flow of accesses: a queue or program of one context.
///
/// Patterns are looked for within a stream; statistics are shared by all
/// streams of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The context whose address space the pages belong to.
    pub context: ContextId,
    /// The queue, program or other origin within the context.
    pub queue: u32,
}

impl Stream {
    /// The stream as one number, for hashing.
    pub const fn key(self) -> u64 {
        ((self.context.0 as u64) << 32) | self.queue as u64
    }
}

/// How the card came to know of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The page was not visible: the guest waited for it.
    Fault,
    /// The first touch of a page that was mapped ahead.
    FirstTouch,
    /// A later touch: a refault after a soft zap, an engine or a DMA access,
    /// or any access where everything is observed.
    Touch,
}

/// One access to one page that the card came to know of.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Who made the access.
    pub stream: Stream,
    /// The page, in the address space of the stream's context.
    pub page: PageNumber,
    /// How it became known.
    pub origin: Origin,
    /// Whether the access wrote.
    pub write: bool,
    /// When it happened.
    pub time: Nanos,
}

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Neither visible nor on its way.
    Absent,
    /// Visible or on its way, and not next in turn to leave.
    Staying,
    /// Visible, and it may leave soon, unless it is said to be needed.
    Leaving,
}

/// What a prefetcher may ask about the aperture.
pub trait Residency {
    /// Whether the page is visible or on its way.
    fn is_visible(&self, context: ContextId, page: PageNumber) -> bool;

    /// Where the page is; one question for what the predictor asks of each candidate.
    fn presence(&self, context: ContextId, page: PageNumber) -> Presence {
        if self.is_visible(context, page) {
            Presence::Staying
        } else {
            Presence::Absent
        }
    }

    /// How long ago the access was that is told now: what follows it is mapped so late.
    fn lag(&self) -> Nanos {
        Nanos(0)
    }

    /// Moves that are on the link or wait for it, into the aperture and home.
    fn moves_under_way(&self) -> usize {
        0
    }
}

impl<F: Fn(ContextId, PageNumber) -> bool> Residency for F {
    fn is_visible(&self, context: ContextId, page: PageNumber) -> bool {
        self(context, page)
    }
}

/// Says which pages to map ahead; one implementation for each policy.
///
/// All state is bounded, nothing waits, and time comes with the observations.
pub trait Prefetcher {
    /// Learns from one access and appends the pages to map ahead, the most
    /// urgent first. Pages that are visible already may be among them.
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    );

    /// So many pages were mapped ahead: what is asked for may be refused, or wait for
    /// frames.
    fn mapped_ahead(&mut self, pages: u32) {
        let _ = pages;
    }

    /// The card's predictor with its trainer, if this is it: for its measurements and
    /// for what it learned.
    fn learner(&self) -> Option<&crate::Learner> {
        None
    }

    /// Whether pages next in turn to be evicted are to be watched, so that their use
    /// is reported and they stay.
    fn watches(&self) -> bool {
        false
    }

    /// What giving up pages costs, for policies that choose victims by it; others leave
    /// the least recently used one.
    fn returns(&self) -> Option<&crate::Returns> {
        None
    }

    /// Visible pages that are expected after the last access and would leave: they are
    /// to stay as if they had been used.
    fn kept(&self) -> &[PageNumber] {
        &[]
    }

    /// A page has left the aperture. `used` says whether it was touched.
    fn unmapped(&mut self, context: ContextId, page: PageNumber, used: bool) {
        let _ = (context, page, used);
    }
}
