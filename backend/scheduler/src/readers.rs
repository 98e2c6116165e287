// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has read a cell since it was written, and which part of it nobody has
//! overwritten since.
//!
//! Readers of a part stay apart from those of the whole: an edge that is only
//! ever read keeps its readers for long, and no write of the rest may have to
//! look at them.

use crate::graph::Sequence;
use crate::pool::{EMPTY, Pool};

/// Bytes from the first up to the second address.
pub type Span = (u64, u64);

pub const NOTHING: Span = (0, 0);

/// Readers are searched for ended ones when there are this many, and then
/// whenever their number has doubled.
const FIRST_PRUNE: u32 = 32;
/// Parts whose readers are kept apart.
const PARTS: usize = 6;

pub fn meets(a: Span, b: Span) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// What is left of `span` without the run `gone`: before it, and behind it.
fn without(span: Span, gone: Span) -> [Span; 2] {
    if !meets(span, gone) {
        return [span, NOTHING];
    }
    let before = (span.0, gone.0.max(span.0));
    let behind = (gone.1.min(span.1), span.1);
    [before, behind].map(|part| if part.0 < part.1 { part } else { NOTHING })
}

/// Readers of one span.
#[derive(Debug)]
pub struct Readers {
    span: Span,
    /// In the tracker's pool.
    list: u32,
    count: u32,
    prune_at: u32,
}

impl Readers {
    pub fn new() -> Self {
        Self {
            span: NOTHING,
            list: EMPTY,
            count: 0,
            prune_at: FIRST_PRUNE,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The readers, if they have read something of `hull`.
    pub fn of<'a>(
        &self,
        hull: Span,
        pool: &'a Pool<Sequence>,
    ) -> impl Iterator<Item = Sequence> + use<'a> {
        let list = if meets(self.span, hull) {
            self.list
        } else {
            EMPTY
        };
        pool.iter(list)
    }

    /// Adds a reader of `span`; those that `matters` does not name may go.
    pub fn add(
        &mut self,
        span: Span,
        reader: Sequence,
        pool: &mut Pool<Sequence>,
        matters: impl Fn(Sequence) -> bool,
    ) {
        if self.count >= self.prune_at {
            self.prune(pool, matters);
        }
        pool.push(&mut self.list, reader);
        self.count += 1;
        self.span = span;
    }

    /// Keeps the readers that `matters` names.
    pub fn prune(&mut self, pool: &mut Pool<Sequence>, matters: impl Fn(Sequence) -> bool) {
        self.count = pool.retain(&mut self.list, |reader| matters(*reader));
        self.prune_at = (self.count * 2).max(FIRST_PRUNE);
    }

    pub fn clear(&mut self, pool: &mut Pool<Sequence>) {
        pool.clear(&mut self.list);
        *self = Self::new();
    }

    fn take(&mut self, span: Span) -> Self {
        let taken = std::mem::replace(self, Self::new());
        Self { span, ..taken }
    }

    fn copy(&self, span: Span, pool: &mut Pool<Sequence>) -> Self {
        let mut copy = Self::new();
        let mut at = pool.iter(self.list).collect::<Vec<_>>();
        while let Some(reader) = at.pop() {
            pool.push(&mut copy.list, reader);
        }
        Self {
            span,
            count: self.count,
            prune_at: self.prune_at,
            ..copy
        }
    }

    /// Takes in the readers of another part.
    fn absorb(
        &mut self,
        mut other: Self,
        pool: &mut Pool<Sequence>,
        matters: impl Fn(Sequence) -> bool,
    ) {
        if self.count < other.count {
            std::mem::swap(self, &mut other);
        }
        self.span = (self.span.0.min(other.span.0), self.span.1.max(other.span.1));
        while let Some(reader) = pool.pop(&mut other.list) {
            pool.push(&mut self.list, reader);
        }
        self.count += other.count;
        if self.count >= self.prune_at {
            self.prune(pool, matters);
        }
    }
}

/// Gives up what the run `gone` has overwritten, of `recent` readers and of those
/// of parts.
pub fn overwritten(
    recent: &mut Readers,
    parts: &mut Vec<Readers>,
    gone: Span,
    pool: &mut Pool<Sequence>,
    matters: impl Fn(Sequence) -> bool,
) {
    for at in (0..parts.len()).rev() {
        if meets(parts[at].span, gone) {
            let mut part = parts.swap_remove(at);
            cut(&mut part, parts, gone, pool);
        }
    }
    if !recent.is_empty() && meets(recent.span, gone) {
        cut(recent, parts, gone, pool);
    }
    // What is left of the same part belongs together.
    let mut at = 0;
    while at < parts.len() {
        let same = (at + 1..parts.len()).find(|&other| parts[other].span == parts[at].span);
        match same {
            Some(other) => {
                let other = parts.swap_remove(other);
                parts[at].absorb(other, pool, &matters);
            }
            None => at += 1,
        }
    }
    while parts.len() > PARTS {
        let last = parts.pop();
        if let (Some(last), Some(kept)) = (last, parts.last_mut()) {
            kept.absorb(last, pool, &matters);
        }
    }
    parts.retain(|part| !part.is_empty());
}

/// Moves readers to the parts that are left of their span.
fn cut(readers: &mut Readers, parts: &mut Vec<Readers>, gone: Span, pool: &mut Pool<Sequence>) {
    let [before, behind] = without(readers.span, gone);
    if before != NOTHING && behind != NOTHING {
        let copy = readers.copy(behind, pool);
        parts.push(copy);
        parts.push(readers.take(before));
    } else if before != NOTHING {
        parts.push(readers.take(before));
    } else if behind != NOTHING {
        parts.push(readers.take(behind));
    } else {
        readers.clear(pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_without_a_run_is_what_lies_before_and_behind() {
        assert_eq!(without((10, 20), (5, 12)), [NOTHING, (12, 20)]);
        assert_eq!(without((10, 20), (15, 30)), [(10, 15), NOTHING]);
        assert_eq!(without((10, 20), (12, 14)), [(10, 12), (14, 20)]);
        assert_eq!(without((10, 20), (20, 30)), [(10, 20), NOTHING]);
        assert_eq!(without((10, 20), (10, 20)), [NOTHING; 2]);
    }

    #[test]
    fn readers_of_an_edge_are_not_looked_at_for_the_rest() {
        let mut pool = Pool::new();
        let (mut recent, mut parts) = (Readers::new(), Vec::new());
        for step in 0..1000 {
            recent.add((0, 100), step, &mut pool, |_| true);
            let seen = |hull: Span, recent: &Readers, parts: &[Readers]| {
                let earlier: usize = parts.iter().map(|it| it.of(hull, &pool).count()).sum();
                recent.of(hull, &pool).count() + earlier
            };
            // The middle, then both sides of it but for the outermost.
            assert!(seen((20, 80), &recent, &parts) <= 2);
            assert_eq!(seen((0, 5), &recent, &parts), step as usize + 1);
            for gone in [(20, 80), (10, 20), (80, 100)] {
                overwritten(&mut recent, &mut parts, gone, &mut pool, |_| true);
            }
            assert!(recent.is_empty() && parts.len() == 1);
        }
        overwritten(&mut recent, &mut parts, (0, 10), &mut pool, |_| true);
        assert!(parts.is_empty() && pool.len() == 0);
    }
}
