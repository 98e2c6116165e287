// SPDX-License-Identifier: MIT OR Apache-2.0
//! Delayed labels: candidates, issued or not, that wait to be touched or to
//! run out of time.
//!
//! Time is counted in pages mapped: that is what evicts a page.

use crate::table::Table;

/// Candidates that wait, at most; a power of two.
const WAITING: usize = 1 << 15;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Waiting<T> {
    page: u64,
    proposed: u32,
    open: bool,
    /// The page's next older candidate, by place.
    older: u32,
    sample: T,
}

/// The candidates that wait, oldest first.
#[derive(Debug)]
pub struct Labels<T> {
    ring: Vec<Option<Waiting<T>>>,
    /// Candidates ever added, and ever taken out.
    added: usize,
    taken: usize,
    newest: Table<u32>,
}

impl<T: Copy> Labels<T> {
    /// None waits.
    pub fn new() -> Self {
        Self {
            ring: (0..WAITING).map(|_| None).collect(),
            added: 0,
            taken: 0,
            newest: Table::new(16),
        }
    }

    /// How full the ring is, from 0 to 1.
    pub fn fullness(&self) -> f32 {
        (self.added - self.taken) as f32 / WAITING as f32
    }

    /// A candidate was proposed when `mapped` pages had been mapped.
    pub fn add(&mut self, page: u64, mapped: u32, sample: T) {
        if self.added - self.taken >= WAITING {
            return;
        }
        let place = (self.added % WAITING) as u32;
        let newest = self.newest.entry(page);
        // A place of zero is also what a fresh entry says: check the page.
        let older = match self.ring.get(*newest as usize) {
            Some(Some(waiting)) if waiting.page == page && waiting.open && *newest != place => {
                *newest
            }
            _ => NONE,
        };
        *newest = place;
        self.ring[place as usize] = Some(Waiting {
            page,
            proposed: mapped,
            open: true,
            older,
            sample,
        });
        self.added += 1;
    }

    /// Whether a candidate for `page` waits.
    pub fn waits(&self, page: u64) -> bool {
        self.newest.get(page).is_some_and(|&place| {
            matches!(self.ring.get(place as usize), Some(Some(waiting)) if waiting.page == page && waiting.open)
        })
    }

    /// `page` was touched: its candidates are passed to `used` with the pages
    /// mapped since each was proposed.
    pub fn touched(&mut self, page: u64, mapped: u32, mut used: impl FnMut(&T, u32)) {
        let mut place = match self.newest.remove(page) {
            Some(place) => place,
            None => return,
        };
        while let Some(Some(waiting)) = self.ring.get_mut(place as usize) {
            if waiting.page != page || !waiting.open {
                return;
            }
            waiting.open = false;
            used(&waiting.sample, mapped.wrapping_sub(waiting.proposed));
            place = waiting.older;
        }
    }

    /// Takes out the candidates proposed more than `horizon` mapped pages ago;
    /// those never touched are passed to `unused`.
    pub fn expire(&mut self, mapped: u32, horizon: u32, mut unused: impl FnMut(u64, &T)) {
        while self.taken < self.added {
            let place = self.taken % WAITING;
            let Some(waiting) = &self.ring[place] else {
                self.taken += 1;
                continue;
            };
            if waiting.open && mapped.wrapping_sub(waiting.proposed) <= horizon {
                return;
            }
            if waiting.open {
                unused(waiting.page, &waiting.sample);
            }
            self.ring[place] = None;
            self.taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_labelled_once_touched_or_expired() {
        let mut labels = Labels::<u32>::new();
        labels.add(7, 0, 1);
        labels.add(7, 2, 2);
        labels.add(8, 3, 3);
        let mut used = Vec::new();
        labels.touched(7, 10, |&sample, after| used.push((sample, after)));
        assert_eq!(used, [(2, 8), (1, 10)]);
        labels.touched(7, 11, |_, _| panic!("labelled twice"));
        let mut unused = Vec::new();
        labels.expire(13, 10, |page, &sample| unused.push((page, sample)));
        assert!(unused.is_empty());
        labels.expire(14, 10, |page, &sample| unused.push((page, sample)));
        assert_eq!(unused, [(8, 3)]);
    }
}
