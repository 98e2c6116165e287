// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes into a run and what comes of it.

use augur_memory::{Nanos, PageNumber};
use augur_predictor::Origin;

use crate::bench::predict::link::LinkCost;

/// Costs of the default card profile.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// A demand fault without its fill.
    pub fault: Nanos,
    /// The first touch of a page mapped ahead.
    pub first_touch: Nanos,
    /// The link.
    pub link: LinkCost,
}

impl Costs {
    /// The default card profile.
    pub const DEFAULT: Self = Self {
        fault: Nanos(20_000),
        first_touch: Nanos(1_000),
        link: LinkCost {
            latency: Nanos(2_000),
            bytes_per_us: 12_000,
            in_flight: 4,
        },
    };
}

/// What the policy gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Observe {
    /// Faults, and first touches of windows mapped ahead.
    FirstTouch,
    /// Faults only.
    Faults,
    /// Every access.
    All,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Page touches.
    pub touches: u64,
    /// Touches of pages that were neither visible nor on their way.
    pub faults: u64,
    /// Touches of pages that a prediction had on the way.
    pub late: u64,
    /// Time that streams waited.
    pub stall: Nanos,
    /// Pages mapped speculatively.
    pub speculated: u64,
    /// Those that were touched before they were unmapped.
    pub used: u64,
    /// Bytes over the link.
    pub moved_bytes: u64,
    /// Bytes of pages mapped and unmapped unused.
    pub wasted_bytes: u64,
}

/// A sampling hook: what a picture of the run needs.
pub trait Probe {
    /// A page was touched.
    fn touch(&mut self, now: Nanos, page: PageNumber, origin: Option<Origin>, stall: Nanos);

    /// A touch has ended, after `stall`.
    fn ended(&mut self, _stall: Nanos) {}

    /// A window of a page was made.
    fn mapped(&mut self, _now: Nanos, _page: PageNumber) {}

    /// A page's window was taken away.
    fn unmapped(&mut self, _now: Nanos, _page: PageNumber) {}
}

impl Probe for () {
    fn touch(&mut self, _: Nanos, _: PageNumber, _: Option<Origin>, _: Nanos) {}
}
