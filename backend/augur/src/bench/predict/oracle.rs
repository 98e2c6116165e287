// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that know the future: Belady's eviction, and prefetching in order
//! of next use.

use std::collections::BinaryHeap;

use augur_memory::{Nanos, Replacement, Slot};

/// "Never again".
pub const NEVER: u32 = u32::MAX;

/// When each page is touched next, as a place in the order of all touches.
#[derive(Clone, Debug)]
pub struct Future {
    order: Vec<u32>,
    /// For each place, the next place of the same page.
    next_same: Vec<u32>,
    /// For each page, the place of its next touch.
    next_of_page: Vec<u32>,
}

impl Future {
    /// The future in which `pages` pages are touched in `order`.
    pub fn new(order: Vec<u32>, pages: usize) -> Self {
        let mut next_of_page = vec![NEVER; pages];
        let mut next_same = vec![NEVER; order.len()];
        for (place, &page) in order.iter().enumerate().rev() {
            next_same[place] = next_of_page[page as usize];
            next_of_page[page as usize] = place as u32;
        }
        Self {
            order,
            next_same,
            next_of_page,
        }
    }

    /// The place of the next touch of `page`.
    pub fn next(&self, page: u32) -> u32 {
        self.next_of_page[page as usize]
    }

    /// `page` was touched: its next touch is the one after.
    pub fn advance(&mut self, page: u32) {
        let now = self.next_of_page[page as usize];
        if now != NEVER {
            self.next_of_page[page as usize] = self.next_same[now as usize];
        }
    }

    /// The page touched at `place`.
    pub fn page_at(&self, place: u32) -> Option<u32> {
        self.order.get(place as usize).copied()
    }
}

/// Belady's order: the window whose next touch is farthest away goes first.
#[derive(Debug)]
pub struct Belady {
    /// The next touch of each slot's page; `None` for slots that are not listed.
    next: Vec<Option<u32>>,
    /// What the owner said a slot's next touch is, before it is listed.
    told: Vec<u32>,
    /// Pairs of next touch and slot; those that disagree with `next` are stale.
    heap: BinaryHeap<(u32, u32)>,
}

impl Belady {
    /// An empty order of at most `slots` windows.
    pub fn new(slots: usize) -> Self {
        Self {
            next: vec![None; slots],
            told: vec![NEVER; slots],
            heap: BinaryHeap::new(),
        }
    }

    /// The next touch of the slot's page is at `place`.
    pub fn tell(&mut self, slot: Slot, place: u32) {
        let index = slot.0 as usize;
        self.told[index] = place;
        if self.next[index].is_some() {
            self.list(slot.0);
        }
    }

    fn list(&mut self, slot: u32) {
        let place = self.told[slot as usize];
        self.next[slot as usize] = Some(place);
        self.heap.push((place, slot));
        if self.heap.len() > 64 * self.next.len() {
            self.heap = (0..)
                .zip(&self.next)
                .filter_map(|(slot, next)| next.map(|place| (place, slot)))
                .collect();
        }
    }
}

impl Replacement for Belady {
    fn mapped(&mut self, slot: Slot, _demand: bool, _now: Nanos) {
        self.list(slot.0);
    }

    fn touched(&mut self, _slot: Slot, _now: Nanos) {}

    fn unmapped(&mut self, slot: Slot) {
        self.next[slot.0 as usize] = None;
    }

    fn victim(&mut self, eligible: &mut dyn FnMut(Slot) -> bool) -> Option<Slot> {
        let mut passed_over = Vec::new();
        let mut found = None;
        while let Some(&(place, slot)) = self.heap.peek() {
            if self.next[slot as usize] != Some(place) {
                self.heap.pop();
            } else if eligible(Slot(slot)) {
                found = Some(Slot(slot));
                break;
            } else {
                self.heap.pop();
                passed_over.push((place, slot));
            }
        }
        self.heap.extend(passed_over);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needed_last_goes_first() {
        let mut belady = Belady::new(3);
        for (slot, place) in [(0, 5), (1, 9), (2, 7)] {
            belady.tell(Slot(slot), place);
            belady.mapped(Slot(slot), true, Nanos(0));
        }
        assert_eq!(belady.victim(&mut |_| true), Some(Slot(1)));
        belady.tell(Slot(1), 6);
        assert_eq!(belady.victim(&mut |_| true), Some(Slot(2)));
        assert_eq!(belady.victim(&mut |slot| slot != Slot(2)), Some(Slot(1)));
        belady.unmapped(Slot(2));
        assert_eq!(belady.victim(&mut |_| true), Some(Slot(1)));
    }

    #[test]
    fn the_future_of_a_page_moves_on_as_it_is_touched() {
        let mut future = Future::new(vec![0, 1, 0, 2], 3);
        assert_eq!((future.next(0), future.next(1)), (0, 1));
        future.advance(0);
        assert_eq!(future.next(0), 2);
        future.advance(0);
        assert_eq!(future.next(0), NEVER);
    }
}
