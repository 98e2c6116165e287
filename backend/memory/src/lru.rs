// SPDX-License-Identifier: MIT OR Apache-2.0
//! Least recently used first, where windows of a class count as older the less their
//! return costs.

use crate::{Class, Nanos, Replacement, Slot, Weights};

const NONE: u32 = u32::MAX;
/// One of so many windows, those next in turn, is watched.
const WATCHED: u32 = 4;

/// A window is old when more were mapped since its last use than this part of all.
const OLD: u32 = 4;

#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    listed: bool,
    watched: bool,
    class: Class,
    /// Whether the class was told since the slot was free.
    told: bool,
    /// Windows mapped, of all classes, when it was used last.
    used: u32,
}

/// The windows of one class.
#[derive(Clone, Copy)]
struct List {
    newest: u32,
    oldest: u32,
    /// Windows watched are those from the oldest to this one.
    last_watched: u32,
}

/// Least recently used first.
///
/// Its age is the number of windows mapped since a window was used. The victim is the
/// window with the largest quotient of age and weight of its class: with equal weights,
/// and where nobody classifies, the least recently used.
///
/// Where uses of live windows are not seen, the order is that of mapping, unless the
/// windows next in turn are watched: a window that is used there becomes the newest,
/// as by the second chance of the CLOCK algorithm.
pub struct Lru {
    links: Vec<Link>,
    lists: [List; Class::COUNT],
    weights: Weights,
    listed: u32,
    watched: u32,
    /// Windows mapped so far, wrapping.
    mapped: u32,
}

impl Lru {
    /// An empty order of at most `slots` windows.
    pub fn new(slots: usize) -> Self {
        let link = Link {
            newer: NONE,
            older: NONE,
            listed: false,
            watched: false,
            class: Class::UNTOLD,
            told: false,
            used: 0,
        };
        let list = List {
            newest: NONE,
            oldest: NONE,
            last_watched: NONE,
        };
        Lru {
            links: vec![link; slots],
            lists: [list; Class::COUNT],
            weights: [1.0; Class::COUNT],
            listed: 0,
            watched: 0,
            mapped: 0,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let link = self.links[slot as usize];
        if !link.listed {
            return;
        }
        let list = &mut self.lists[link.class.number()];
        self.listed -= 1;
        self.watched -= u32::from(link.watched);
        if list.last_watched == slot {
            list.last_watched = link.older;
        }
        match link.newer {
            NONE => list.newest = link.older,
            newer => self.links[newer as usize].older = link.older,
        }
        match link.older {
            NONE => list.oldest = link.newer,
            older => self.links[older as usize].newer = link.newer,
        }
        self.links[slot as usize].listed = false;
    }

    fn push(&mut self, slot: u32) {
        let link = self.links[slot as usize];
        let list = &mut self.lists[link.class.number()];
        self.links[slot as usize] = Link {
            newer: NONE,
            older: list.newest,
            listed: true,
            watched: false,
            used: self.mapped,
            ..link
        };
        self.listed += 1;
        match list.newest {
            NONE => list.oldest = slot,
            newest => self.links[newest as usize].newer = slot,
        }
        list.newest = slot;
    }

    /// How much a window is in turn to be given up.
    fn turn(&self, slot: u32) -> f32 {
        let link = &self.links[slot as usize];
        let age = self.mapped.wrapping_sub(link.used) as f32 + 1.0;
        age / self.weights[link.class.number()]
    }
}

impl Replacement for Lru {
    fn mapped(&mut self, slot: Slot, demand: bool, _now: Nanos) {
        self.mapped = self.mapped.wrapping_add(1);
        self.unlink(slot.0);
        let link = &mut self.links[slot.0 as usize];
        if !link.told {
            link.class = if demand { Class::UNTOLD } else { Class::UNUSED };
        }
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
        self.links[slot.0 as usize].told = false;
    }

    fn is_old(&self, slot: Slot) -> bool {
        let link = &self.links[slot.0 as usize];
        link.listed && self.mapped.wrapping_sub(link.used) > self.listed / OLD
    }

    fn classify(&mut self, slot: Slot, class: Class) {
        let Some(link) = self.links.get_mut(slot.0 as usize) else {
            return;
        };
        link.told = true;
        if link.class == class {
            return;
        }
        let listed = link.listed;
        self.unlink(slot.0);
        self.links[slot.0 as usize].class = class;
        if listed {
            self.push(slot.0);
        }
    }

    fn weigh(&mut self, weights: &Weights) {
        let told = &weights[..Class::UNTOLD.number()];
        let dearest = told.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        self.weights = *weights;
        self.weights[Class::UNTOLD.number()] = dearest;
    }

    fn victim(&mut self, eligible: &mut dyn FnMut(Slot) -> bool) -> Option<Slot> {
        let mut best: Option<(f32, u32)> = None;
        // Those in use first: unused ones may be many that are not eligible yet.
        for list in self.lists.iter().rev() {
            let mut slot = list.oldest;
            while slot != NONE {
                let turn = self.turn(slot);
                if best.is_some_and(|(most, _)| turn <= most) {
                    break;
                }
                if eligible(Slot(slot)) {
                    best = Some((turn, slot));
                    break;
                }
                slot = self.links[slot as usize].newer;
            }
        }
        best.map(|(_, slot)| Slot(slot))
    }

    fn next_to_watch(&mut self) -> Option<Slot> {
        if self.watched >= self.listed / WATCHED {
            return None;
        }
        let following = |list: &List| match list.last_watched {
            NONE => list.oldest,
            last => self.links[last as usize].newer,
        };
        let next = self
            .lists
            .iter()
            .map(following)
            .filter(|&slot| slot != NONE)
            .max_by(|&one, &other| self.turn(one).total_cmp(&self.turn(other)))?;
        let link = &mut self.links[next as usize];
        link.watched = true;
        self.watched += 1;
        self.lists[link.class.number()].last_watched = next;
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
    fn a_window_is_old_when_a_quarter_of_all_were_mapped_since_its_use() {
        let mut lru = Lru::new(8);
        for slot in 0..8 {
            lru.mapped(Slot(slot), true, Nanos(0));
        }
        let old = |lru: &Lru| (0..8).filter(|&slot| lru.is_old(Slot(slot))).count();
        assert_eq!(old(&lru), 5);
        assert!(lru.is_old(Slot(4)) && !lru.is_old(Slot(5)));
        lru.touched(Slot(0), Nanos(1));
        assert!(!lru.is_old(Slot(0)), "it is the newest");
        lru.unmapped(Slot(1));
        assert!(!lru.is_old(Slot(1)), "it is gone");
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

    #[test]
    fn windows_of_which_nothing_is_said_are_as_dear_as_the_dearest() {
        let mut lru = Lru::new(8);
        let mut weights = [0.2; Class::COUNT];
        weights[3] = 1.0;
        lru.weigh(&weights);
        let dear = Class::new(3).unwrap();
        lru.mapped(Slot(0), true, Nanos(0));
        lru.mapped(Slot(1), true, Nanos(0));
        lru.classify(Slot(1), dear);
        lru.mapped(Slot(2), false, Nanos(0));
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(2)), "nobody used it");
        lru.unmapped(Slot(2));
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(0)), "the oldest");
        lru.unmapped(Slot(1));
        lru.mapped(Slot(1), false, Nanos(0));
        lru.mapped(Slot(3), true, Nanos(0));
        assert_eq!(
            lru.victim(&mut |_| true),
            Some(Slot(1)),
            "its class is forgotten"
        );
    }

    #[test]
    fn a_class_that_costs_less_to_bring_back_goes_first_until_it_is_so_much_younger() {
        let mut lru = Lru::new(64);
        let (dear, cheap) = (Class::new(1).unwrap(), Class::new(2).unwrap());
        let mut weights = [1.0; Class::COUNT];
        weights[cheap.number()] = 0.25;
        lru.weigh(&weights);
        for slot in 0..40 {
            lru.classify(Slot(slot), if slot < 8 { dear } else { cheap });
            lru.mapped(Slot(slot), true, Nanos(0));
        }
        // 40 windows ago, against four times 32.
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(8)));
        (8..36).for_each(|slot| lru.unmapped(Slot(slot)));
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(0)), "four times 4");
        lru.weigh(&[1.0; Class::COUNT]);
        lru.classify(Slot(0), cheap);
        assert_eq!(lru.victim(&mut |_| true), Some(Slot(1)), "it was used now");
    }
}
