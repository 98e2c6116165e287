// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the aperture would hold, and what programs would wait, with hardly any
//! prediction: demand and so many next pages, the least recently used one leaves.
//!
//! A ghost keeps page numbers only. It sees the accesses that the predictor sees, at
//! their times; that programs would reach them at other times is left out.

use augur_memory::Nanos;

use crate::table::mix;

const NONE: u32 = u32::MAX;

/// What things cost a program, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    /// A demand fault with its fill.
    pub fault: f32,
    /// The first touch of a page mapped ahead.
    pub first_touch: f32,
    /// What others wait for a move.
    pub moved: f32,
    /// How long after a touch the pages that follow are mapped.
    pub late: f32,
}

/// A page that would be visible.
#[derive(Clone, Copy, Debug)]
struct Frame {
    page: u64,
    /// Until then programs wait for it.
    filled: Nanos,
    newer: u32,
    older: u32,
    /// The next one with the same hash.
    chain: u32,
    /// Pages that came until its neighbours were seen to be there.
    checked: u32,
    /// It came with a neighbour and was not needed yet.
    unused: bool,
}

/// An aperture that is only imagined: 48 bytes for each of its frames.
#[derive(Debug)]
pub struct Ghost {
    neighbours: u64,
    capacity: usize,
    frames: Vec<Frame>,
    heads: Vec<u32>,
    newest: u32,
    oldest: u32,
    /// Pages that came, wrapping.
    came: u32,
}

impl Ghost {
    /// An empty aperture of so many frames; with a page come so many `neighbours`.
    pub fn new(capacity: u32, neighbours: u64) -> Self {
        let capacity = (capacity as usize).max(2 * neighbours as usize + 2);
        Self {
            neighbours,
            capacity,
            frames: Vec::with_capacity(capacity),
            heads: vec![NONE; capacity.next_power_of_two()],
            newest: NONE,
            oldest: NONE,
            came: 0,
        }
    }

    /// Pages that came so far, wrapping.
    pub fn came(&self) -> u32 {
        self.came
    }

    /// Frames that hold a page.
    #[cfg(test)]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// A program touches a page; answers what it waits, and others for what is moved.
    /// Only pages for which `is_watched` answers true exist.
    pub fn touched(
        &mut self,
        page: u64,
        now: Nanos,
        price: &Price,
        is_watched: impl Fn(u64) -> bool,
    ) -> f32 {
        let mut cost = 0.0;
        let mut touched = None;
        if is_watched(page) {
            let slot = match self.find(page) {
                Some(slot) => {
                    let frame = &mut self.frames[slot as usize];
                    if now < frame.filled {
                        cost = price.fault;
                    } else if std::mem::take(&mut frame.unused) {
                        cost = price.first_touch;
                    }
                    self.promote(slot);
                    slot
                }
                None => {
                    cost = price.fault + price.moved;
                    self.insert(page, Nanos(now.0 + price.fault as u64), false)
                }
            };
            if self.frames[slot as usize].checked == self.came {
                return cost;
            }
            touched = Some(slot);
        }
        for step in 1..=self.neighbours {
            let neighbour = page.wrapping_add(step);
            if is_watched(neighbour) && self.find(neighbour).is_none() {
                cost += price.moved;
                self.insert(neighbour, Nanos(now.0 + price.late as u64), true);
            }
        }
        if let Some(slot) = touched {
            self.frames[slot as usize].checked = self.came;
        }
        cost
    }

    fn head(&self, page: u64) -> usize {
        mix(page) as usize & (self.heads.len() - 1)
    }

    fn find(&self, page: u64) -> Option<u32> {
        let mut slot = self.heads[self.head(page)];
        while slot != NONE {
            let frame = &self.frames[slot as usize];
            if frame.page == page {
                return Some(slot);
            }
            slot = frame.chain;
        }
        None
    }

    fn insert(&mut self, page: u64, filled: Nanos, unused: bool) -> u32 {
        self.came = self.came.wrapping_add(1);
        let head = self.head(page);
        let frame = Frame {
            page,
            filled,
            newer: NONE,
            older: NONE,
            chain: NONE,
            checked: self.came.wrapping_sub(1),
            unused,
        };
        let slot = if self.frames.len() < self.capacity {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        } else {
            let slot = self.oldest;
            self.unlink(slot);
            self.unchain(slot);
            self.frames[slot as usize] = frame;
            slot
        };
        self.frames[slot as usize].chain = std::mem::replace(&mut self.heads[head], slot);
        self.push(slot);
        slot
    }

    fn unchain(&mut self, slot: u32) {
        let Frame { page, chain, .. } = self.frames[slot as usize];
        let head = self.head(page);
        if self.heads[head] == slot {
            self.heads[head] = chain;
            return;
        }
        let mut at = self.heads[head];
        while at != NONE {
            let next = self.frames[at as usize].chain;
            if next == slot {
                self.frames[at as usize].chain = chain;
                return;
            }
            at = next;
        }
    }

    fn promote(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.push(slot);
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Frame { newer, older, .. } = self.frames[slot as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.frames[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.frames[older as usize].newer = newer,
        }
    }

    fn push(&mut self, slot: u32) {
        let older = self.newest;
        let frame = &mut self.frames[slot as usize];
        frame.newer = NONE;
        frame.older = older;
        match older {
            NONE => self.oldest = slot,
            older => self.frames[older as usize].newer = slot,
        }
        self.newest = slot;
    }
}

#[cfg(test)]
mod tests {
    use augur_memory::{Action, Config, Frames, Lru, Manager, PageNumber, WindowState};

    use super::*;

    const PRICE: Price = Price {
        fault: 1000.0,
        first_touch: 10.0,
        moved: 1.0,
        late: 0.0,
    };

    /// Pages of which few are touched often and many seldom, in no order.
    fn trace() -> impl Iterator<Item = u64> {
        (0..20_000).map(|touch| {
            let draw = mix(touch);
            mix(draw) % (1 << (1 + draw % 9))
        })
    }

    /// The faults that the card's own manager answers on an idle link.
    fn faults_of_the_manager(pages: impl Iterator<Item = u64>, frames: u32) -> usize {
        let config = Config {
            memory: Frames(frames + 1024),
            aperture: Frames(frames),
            header: Frames(0),
            demand_window: Frames(1),
            reserve: Frames(0),
            refill: Frames(0),
            speculative: Frames(0),
            probation: Frames(0),
            max_contexts: 1,
            max_objects: 1,
            lease: Nanos(0),
            revoke_timeout: Nanos(u64::MAX),
        };
        let mut manager = Manager::new(config, Lru::new(frames as usize)).unwrap();
        let context = manager.create_context().unwrap();
        let object = manager.create_object(context, 512 << augur_memory::PAGE_SHIFT);
        let first = object.unwrap().1.page();
        let mut faults = 0;
        for (time, page) in (0..).zip(pages) {
            let (page, now) = (PageNumber(first.0 + page), Nanos(time));
            if let Some((window, WindowState::Live)) = manager.lookup(context, page) {
                manager.touch(window, now);
                continue;
            }
            faults += 1;
            manager.fault(context, page.address(), now).unwrap();
            while let Some(action) = manager.next_action() {
                match action {
                    Action::Fill { window, .. } => {
                        manager.filled(window, now);
                    }
                    Action::Revoke(report) => {
                        manager.acknowledged(report.window, false, now);
                    }
                    _ => {}
                }
            }
        }
        faults
    }

    #[test]
    fn with_demand_alone_it_has_the_faults_of_the_cards_manager() {
        for frames in [16, 64, 200] {
            let mut ghost = Ghost::new(frames, 0);
            // Long after each other: nobody waits for the fill of another.
            let cost: f32 = (0..)
                .zip(trace())
                .map(|(time, page)| ghost.touched(page, Nanos(time * 10_000), &PRICE, |_| true))
                .sum();
            let faults = faults_of_the_manager(trace(), frames);
            assert!(faults > 1000, "{faults}");
            assert_eq!(ghost.came() as usize, faults);
            assert_eq!(
                (cost / (PRICE.fault + PRICE.moved)).round() as usize,
                faults
            );
        }
    }

    #[test]
    fn neighbours_come_with_a_page_and_cost_a_first_touch_once() {
        let mut ghost = Ghost::new(16, 2);
        let mut at = |page, time| ghost.touched(page, Nanos(time), &PRICE, |_| true);
        assert_eq!(at(10, 0), PRICE.fault + 3.0 * PRICE.moved);
        assert_eq!(at(10, 999), PRICE.fault, "it is on its way");
        assert_eq!(at(10, 1000), 0.0);
        assert_eq!(
            at(11, 1000),
            PRICE.first_touch + PRICE.moved,
            "and 13 comes"
        );
        assert_eq!(at(11, 1001), 0.0);
    }

    #[test]
    fn neighbours_that_are_mapped_late_are_waited_for() {
        let late = Price {
            late: 5000.0,
            ..PRICE
        };
        let mut ghost = Ghost::new(16, 2);
        let mut at = |page, time| ghost.touched(page, Nanos(time), &late, |_| true);
        assert!(at(10, 0) > PRICE.fault);
        assert!(at(11, 4999) > PRICE.fault, "the program is faster");
        assert!(at(12, 5000) < PRICE.fault);
    }

    #[test]
    fn pages_that_are_not_watched_bring_their_neighbours_that_are() {
        let mut ghost = Ghost::new(16, 4);
        let watched = |page| page >= 16;
        assert_eq!(ghost.touched(13, Nanos(0), &PRICE, watched), 2.0);
        assert_eq!(
            ghost.touched(16, Nanos(0), &PRICE, watched),
            PRICE.first_touch + 3.0
        );
    }
}
