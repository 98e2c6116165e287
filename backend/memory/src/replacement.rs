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
    /// The next window that is close to being given up and should be known to be
    /// used or not by then. Orders that do not care have none.
    fn next_to_watch(&mut self) -> Option<Slot> {
        None
    }
}

const NONE: u32 = u32::MAX;
/// One of so many windows, the least recent, is watched.
const WATCHED: u32 = 4;

#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    listed: bool,
    watched: bool,
}

/// Least recently used first.
///
/// Where uses of live windows are not seen, the order is that of mapping, unless the
/// windows at its old end are watched: a window that is used there becomes the newest,
/// as by the second chance of the CLOCK algorithm.
pub struct Lru {
    links: Vec<Link>,
    newest: u32,
    oldest: u32,
    listed: u32,
    /// Windows watched: those from the oldest to `last_watched`.
    watched: u32,
    last_watched: u32,
}

impl Lru {
    /// An empty order of at most `slots` windows.
    pub fn new(slots: usize) -> Self {
        Lru {
            links: vec![
                Link {
                    newer: NONE,
                    older: NONE,
                    listed: false,
                    watched: false,
                };
                slots
            ],
            newest: NONE,
            oldest: NONE,
            listed: 0,
            watched: 0,
            last_watched: NONE,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Link {
            newer,
            older,
            listed,
            watched,
        } = self.links[slot as usize];
        if !listed {
            return;
        }
        self.listed -= 1;
        self.watched -= u32::from(watched);
        if self.last_watched == slot {
            self.last_watched = older;
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
            watched: false,
        };
        self.listed += 1;
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

    fn next_to_watch(&mut self) -> Option<Slot> {
        if self.watched >= self.listed / WATCHED {
            return None;
        }
        let next = match self.last_watched {
            NONE => self.oldest,
            last => self.links[last as usize].newer,
        };
        let link = self.links.get_mut(next as usize)?;
        link.watched = true;
        self.watched += 1;
        self.last_watched = next;
        Some(Slot(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_watched_the_oldest_first_and_what_is_used_gets_away() {
        let mut lru = Lru::new(8);
        let watch = |lru: &mut Lru| std::iter::from_fn(|| lru.next_to_watch()).collect::<Vec<_>>();
        for slot in 0..8 {
            lru.mapped(Slot(slot), true, Nanos(0));
        }
        assert_eq!(watch(&mut lru), [Slot(0), Slot(1)]);
        assert_eq!(watch(&mut lru), []);
        lru.touched(Slot(1), Nanos(1));
        assert_eq!(watch(&mut lru), [Slot(2)]);
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(0)));
        lru.unmapped(Slot(0));
        lru.unmapped(Slot(2));
        // Six are left, and one of them may be watched.
        assert_eq!(watch(&mut lru), [Slot(3)]);
        (3..8).for_each(|slot| lru.unmapped(Slot(slot)));
        lru.unmapped(Slot(1));
        assert_eq!(watch(&mut lru), []);
        (0..4).for_each(|slot| lru.mapped(Slot(slot), true, Nanos(2)));
        assert_eq!(watch(&mut lru), [Slot(0)]);
    }

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
