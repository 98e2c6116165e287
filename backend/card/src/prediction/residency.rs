// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the predictor may ask about the aperture: where things are, and how late it is.

use augur_memory::{ContextId, Nanos, PageNumber};
use augur_predictor::{Presence, Residency};

use super::unit::UnitSize;
use crate::shared::Shared;

/// What the predictor asks about the aperture, in units.
pub(super) struct Aperture<'a> {
    pub shared: &'a Shared,
    pub unit: UnitSize,
    /// How long ago the access was that is learned from.
    pub lag: Nanos,
}

impl Residency for Aperture<'_> {
    fn is_visible(&self, context: ContextId, unit: PageNumber) -> bool {
        let (first, pages) = (self.unit.first_page(unit), self.unit.pages());
        self.shared.core().manager.is_visible(context, first, pages)
    }

    fn presence(&self, context: ContextId, unit: PageNumber) -> Presence {
        let (first, pages) = (self.unit.first_page(unit), self.unit.pages());
        let manager = &self.shared.core().manager;
        if !manager.is_visible(context, first, pages) {
            return Presence::Absent;
        }
        match manager.lookup(context, first) {
            Some((window, _)) if manager.is_old(window.slot) => Presence::Leaving,
            _ => Presence::Staying,
        }
    }

    fn lag(&self) -> Nanos {
        self.lag
    }

    fn moves_under_way(&self) -> usize {
        self.shared.dma.moves_that_wait()
    }
}
