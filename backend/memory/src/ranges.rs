// SPDX-License-Identifier: MIT OR Apache-2.0
//! A value for some ranges of pages, kept in few pieces.

use std::collections::BTreeMap;

/// Ranges of pages that do not overlap, each with a value.
#[derive(Clone, Debug)]
pub(crate) struct Ranges<T> {
    /// By first page: the page behind the last, and the value.
    pieces: BTreeMap<u64, (u64, T)>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Ranges {
            pieces: BTreeMap::new(),
        }
    }
}

impl<T: Copy + PartialEq> Ranges<T> {
    /// Pieces that it is kept in.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The value of a page.
    pub fn get(&self, page: u64) -> Option<T> {
        let (_, &(end, value)) = self.pieces.range(..=page).next_back()?;
        (page < end).then_some(value)
    }

    /// The first page behind `page` that may have another value.
    pub fn next_change(&self, page: u64) -> u64 {
        if let Some((_, &(end, _))) = self.pieces.range(..=page).next_back()
            && page < end
        {
            return end;
        }
        let behind = self.pieces.range(page.saturating_add(1)..).next();
        behind.map_or(u64::MAX, |(&first, _)| first)
    }

    /// Whether all pages from `first` to before `end` have a value.
    pub fn covers(&self, mut first: u64, end: u64) -> bool {
        while first < end {
            match self.pieces.range(..=first).next_back() {
                Some((_, &(stop, _))) if first < stop => first = stop,
                _ => return false,
            }
        }
        true
    }

    /// Pages with a value.
    pub fn pages(&self) -> u64 {
        self.pieces
            .iter()
            .map(|(first, (end, _))| end - first)
            .sum()
    }

    /// Gives the pages from `first` to before `end` this value, or none. At most
    /// two pieces more come of it.
    pub fn set(&mut self, first: u64, end: u64, value: Option<T>) {
        if first >= end {
            return;
        }
        let touched: Vec<(u64, u64, T)> = self
            .pieces
            .range(..end)
            .rev()
            .take_while(|(_, (stop, _))| *stop > first)
            .map(|(&start, &(stop, value))| (start, stop, value))
            .collect();
        for (start, stop, old) in touched {
            self.pieces.remove(&start);
            if start < first {
                self.pieces.insert(start, (first, old));
            }
            if stop > end {
                self.pieces.insert(end, (stop, old));
            }
        }
        if let Some(value) = value {
            self.pieces.insert(first, (end, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_what_an_array_of_pages_says() {
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut model = [None; 64];
        let mut ranges = Ranges::default();
        for _ in 0..20_000 {
            let (first, pages) = (random(60), random(12));
            let end = (first + pages).min(64);
            let value = (random(3) > 0).then(|| random(3));
            ranges.set(first, end, value);
            model[first as usize..end.max(first) as usize].fill(value);
            for (page, value) in model.iter().enumerate() {
                assert_eq!(ranges.get(page as u64), *value);
            }
            for page in 0..64 {
                let next = ranges.next_change(page);
                let same = |other: u64| ranges.get(other) == ranges.get(page);
                assert!(next > page && (page..next.min(64)).all(same));
            }
            let there = model.iter().filter(|value| value.is_some()).count();
            assert_eq!(ranges.pages(), there as u64);
            let (from, to) = (random(64), random(65));
            let all = (from..to).all(|page| model[page as usize].is_some());
            assert_eq!(ranges.covers(from, to), all);
        }
    }
}
