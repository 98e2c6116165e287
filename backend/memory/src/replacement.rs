// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which window goes when frames are needed.

use crate::{Nanos, Slot};

/// An order of the windows in the aperture.
///
/// The manager calls it for every change; implementations must take constant or
/// logarithmic time and hold state for each slot at most.
pub trait Replacement: Send {
    /// A window was filled; `demand` says whether a fault asked for it.
    fn mapped(&mut self, slot: Slot, demand: bool, now: Nanos);
    /// The guest, an engine or DMA used the window.
    fn touched(&mut self, slot: Slot, now: Nanos);
    /// The window is not a candidate any more.
    fn unmapped(&mut self, slot: Slot);
    /// The window to give up, among those for which `eligible` answers true.
    fn victim(&mut self, eligible: &mut dyn FnMut(Slot) -> bool) -> Option<Slot>;
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    listed: bool,
}

/// Least recently used first.
pub struct Lru {
    links: Vec<Link>,
    newest: u32,
    oldest: u32,
}

impl Lru {
    /// An empty order of at most `slots` windows.
    pub fn new(slots: usize) -> Self {
        Lru {
            links: vec![
                Link {
                    newer: NONE,
                    older: NONE,
                    listed: false
                };
                slots
            ],
            newest: NONE,
            oldest: NONE,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Link {
            newer,
            older,
            listed,
        } = self.links[slot as usize];
        if !listed {
            return;
        }
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        self.links[slot as usize].listed = false;
    }

    fn push(&mut self, slot: u32) {
        self.links[slot as usize] = Link {
            newer: NONE,
            older: self.newest,
            listed: true,
        };
        match self.newest {
            NONE => self.oldest = slot,
            newest => self.links[newest as usize].newer = slot,
        }
        self.newest = slot;
    }
}

impl Replacement for Lru {
    fn mapped(&mut self, slot: Slot, _demand: bool, _now: Nanos) {
        self.unlink(slot.0);
        self.push(slot.0);
    }

    fn touched(&mut self, slot: Slot, _now: Nanos) {
        if self.links[slot.0 as usize].listed {
            self.unlink(slot.0);
            self.push(slot.0);
        }
    }

    fn unmapped(&mut self, slot: Slot) {
        self.unlink(slot.0);
    }

    fn victim(&mut self, eligible: &mut dyn FnMut(Slot) -> bool) -> Option<Slot> {
        let mut slot = self.oldest;
        while slot != NONE {
            if eligible(Slot(slot)) {
                return Some(Slot(slot));
            }
            slot = self.links[slot as usize].newer;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut lru = Lru::new(4);
        for slot in 0..4 {
            lru.mapped(Slot(slot), true, Nanos(0));
        }
        lru.touched(Slot(0), Nanos(1));
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(1)));
        assert_eq!(lru.victim(&mut |slot| slot != Slot(1)), Some(Slot(2)));
        lru.unmapped(Slot(1));
        lru.unmapped(Slot(2));
        lru.unmapped(Slot(3));
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(0)));
        lru.unmapped(Slot(0));
        assert_eq!(lru.victim(&mut |_| true), None);
        lru.touched(Slot(0), Nanos(2));
        assert_eq!(
            lru.victim(&mut |_| true),
            None,
            "a touch does not list a window that is gone"
        );
    }
}
