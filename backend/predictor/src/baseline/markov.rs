// SPDX-License-Identifier: MIT OR Apache-2.0
//! Correlation prefetching as in DeepUM (ASPLOS '23): each page remembers the
//! pages that followed it, four ways, least recently used first out.
//!
//! Degrees above the number of ways go on to the successors' successors.

use augur_memory::PageNumber;

use crate::table::Table;
use crate::{Observation, Prefetcher, Residency};

const WAYS: usize = 4;

/// The successors of a page, the newest first.
#[derive(Clone, Copy, Debug, Default)]
struct Successors {
    pages: [u64; WAYS],
    known: usize,
}

impl Successors {
    fn record(&mut self, page: u64) {
        let place = match self.pages[..self.known].iter().position(|&p| p == page) {
            Some(place) => place,
            None => {
                self.known = (self.known + 1).min(WAYS);
                self.known - 1
            }
        };
        self.pages.copy_within(0..place, 1);
        self.pages[0] = page;
    }
}

/// Successor prefetching.
#[derive(Debug)]
pub struct Markov {
    degree: usize,
    successors: Table<Successors>,
    last: Table<Option<u64>>,
}

impl Markov {
    /// Asks for at most `degree` successors.
    pub fn new(degree: u32) -> Self {
        Self {
            degree: degree as usize,
            successors: Table::new(18),
            last: Table::new(10),
        }
    }
}

impl Prefetcher for Markov {
    fn observe(
        &mut self,
        observation: &Observation,
        _residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let page = observation.page.0;
        // Contexts have address spaces of their own.
        let key = |page: u64| page ^ (u64::from(observation.stream.context.0) << 48);
        if let Some(last) = self.last.entry(observation.stream.key()).replace(page)
            && last != page
        {
            self.successors.entry(key(last)).record(page);
        }
        let start = wanted.len();
        let mut from = page;
        let mut next = start;
        loop {
            if let Some(successors) = self.successors.get(key(from)) {
                for &successor in &successors.pages[..successors.known] {
                    let successor = PageNumber(successor);
                    if wanted.len() - start < self.degree
                        && successor.0 != page
                        && !wanted[start..].contains(&successor)
                    {
                        wanted.push(successor);
                    }
                }
            }
            match wanted.get(next) {
                Some(successor) if wanted.len() - start < self.degree => from = successor.0,
                _ => return,
            }
            next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::asked;

    #[test]
    fn the_newest_successor_comes_first_and_the_oldest_of_five_is_forgotten() {
        let mut markov = Markov::new(4);
        asked(&mut markov, &[1, 10, 1, 20, 1, 30, 1, 40, 1, 50]);
        assert_eq!(asked(&mut markov, &[1]), [50, 40, 30, 20]);
    }

    #[test]
    fn higher_degrees_follow_the_chain() {
        let mut markov = Markov::new(3);
        asked(&mut markov, &[1, 2, 3, 4, 5]);
        assert_eq!(asked(&mut markov, &[1]), [2, 3, 4]);
    }
}
