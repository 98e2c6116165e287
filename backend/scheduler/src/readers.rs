// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has read a cell since it was written, and which part of it nobody has
//! overwritten since.
//!
//! Readers of a part stay apart from those of the whole: an edge that is only
//! ever read keeps its readers for long, and no write of the rest may have to
//! look at them.

use smallvec::SmallVec;

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

#[inline]
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

/// What is left of `span` without the run `gone`, when that is one part or nothing.
#[inline]
pub fn left_of(span: Span, gone: Span) -> Option<Span> {
    if gone.0 <= span.0 {
        if gone.1 >= span.1 {
            Some(NOTHING)
        } else {
            Some((gone.1.max(span.0), span.1))
        }
    } else if gone.1 >= span.1 {
        Some((span.0, gone.0.min(span.1)))
    } else {
        None
    }
}

/// Where the readers of all cells lie.
#[derive(Debug)]
pub struct ReaderPool {
    sequences: Pool<Sequence>,
    parts: Pool<Part>,
}

impl ReaderPool {
    pub fn new() -> Self {
        Self {
            sequences: Pool::new(),
            parts: Pool::new(),
        }
    }

    /// Number of recorded reads.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }
}

/// Some readers of the same bytes.
#[derive(Clone, Copy, Debug)]
struct Readers {
    list: u32,
    count: u32,
    prune_at: u32,
}

/// Readers of a part of a cell.
#[derive(Clone, Copy, Debug)]
struct Part {
    span: Span,
    readers: Readers,
}

impl Readers {
    const NONE: Self = Self {
        list: EMPTY,
        count: 0,
        prune_at: FIRST_PRUNE,
    };

    /// Keeps the readers that `matters` names.
    fn prune(&mut self, pool: &mut Pool<Sequence>, matters: impl Fn(Sequence) -> bool) {
        self.count = pool.retain(&mut self.list, |reader| matters(*reader));
        self.prune_at = (self.count * 2).max(FIRST_PRUNE);
    }

    fn clear(&mut self, pool: &mut Pool<Sequence>) {
        pool.clear(&mut self.list);
        *self = Self::NONE;
    }

    fn copy(&self, pool: &mut Pool<Sequence>) -> Self {
        let mut copy = *self;
        copy.list = EMPTY;
        let mut all: SmallVec<[Sequence; 16]> = pool.iter(self.list).collect();
        while let Some(reader) = all.pop() {
            pool.push(&mut copy.list, reader);
        }
        copy
    }

    /// Takes in other readers of the same bytes.
    fn absorb(
        &mut self,
        mut other: Self,
        pool: &mut Pool<Sequence>,
        matters: impl Fn(Sequence) -> bool,
    ) {
        if self.count < other.count {
            std::mem::swap(self, &mut other);
        }
        while let Some(reader) = pool.pop(&mut other.list) {
            pool.push(&mut self.list, reader);
        }
        self.count += other.count;
        if self.count >= self.prune_at {
            self.prune(pool, matters);
        }
    }
}

/// Who has read a cell since it was written.
#[derive(Clone, Copy, Debug)]
pub struct CellReaders {
    /// Of all of it.
    whole: Readers,
    /// Of parts that nobody has overwritten since, in the pool.
    parts: u32,
}

impl CellReaders {
    pub const NONE: Self = Self {
        whole: Readers::NONE,
        parts: EMPTY,
    };

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.whole.list == EMPTY && self.parts == EMPTY
    }

    /// Calls `visit` with those who have read something of `hull`; the cell spans
    /// `cell`.
    #[inline]
    pub fn for_each(
        &self,
        cell: Span,
        hull: Span,
        pool: &ReaderPool,
        mut visit: impl FnMut(Sequence),
    ) {
        if meets(cell, hull) {
            pool.sequences.iter(self.whole.list).for_each(&mut visit);
        }
        for part in pool.parts.iter(self.parts) {
            if meets(part.span, hull) {
                let readers = pool.sequences.iter(part.readers.list);
                readers.for_each(&mut visit);
            }
        }
    }

    /// Adds a reader of the whole cell; those that `matters` does not name may
    /// go.
    #[inline]
    pub fn add(
        &mut self,
        reader: Sequence,
        pool: &mut ReaderPool,
        matters: impl Fn(Sequence) -> bool,
    ) {
        if self.whole.count >= self.whole.prune_at {
            self.whole.prune(&mut pool.sequences, matters);
        }
        pool.sequences.push(&mut self.whole.list, reader);
        self.whole.count += 1;
    }

    /// Keeps the readers that `matters` names.
    pub fn prune(&mut self, pool: &mut ReaderPool, matters: impl Fn(Sequence) -> bool) {
        self.whole.prune(&mut pool.sequences, &matters);
        let ReaderPool { sequences, parts } = pool;
        parts.retain(&mut self.parts, |part| {
            part.readers.prune(sequences, &matters);
            part.readers.count > 0
        });
    }

    pub fn clear(&mut self, pool: &mut ReaderPool) {
        self.whole.clear(&mut pool.sequences);
        while let Some(mut part) = pool.parts.pop(&mut self.parts) {
            part.readers.clear(&mut pool.sequences);
        }
    }

    /// Gives up what the run `gone` has overwritten of the cell, which spans
    /// `cell`.
    pub fn overwritten(
        &mut self,
        cell: Span,
        gone: Span,
        pool: &mut ReaderPool,
        matters: impl Fn(Sequence) -> bool,
    ) {
        if self.is_empty() || self.overwritten_at_an_end(cell, gone, pool) {
            return;
        }
        let mut left: SmallVec<[Part; 2 * PARTS]> = SmallVec::new();
        let mut touched = false;
        while let Some(part) = pool.parts.pop(&mut self.parts) {
            touched |= meets(part.span, gone);
            cut(part, gone, &mut left, &mut pool.sequences, &matters);
        }
        if self.whole.list != EMPTY && meets(cell, gone) {
            touched = true;
            let whole = Part {
                span: cell,
                readers: std::mem::replace(&mut self.whole, Readers::NONE),
            };
            cut(whole, gone, &mut left, &mut pool.sequences, &matters);
        }
        while touched && left.len() > PARTS {
            if let (Some(last), Some(kept)) = (left.pop(), left.last_mut()) {
                kept.span = (kept.span.0.min(last.span.0), kept.span.1.max(last.span.1));
                let (own, sequences) = (&mut kept.readers, &mut pool.sequences);
                own.absorb(last.readers, sequences, &matters);
            }
        }
        while let Some(part) = left.pop() {
            pool.parts.push(&mut self.parts, part);
        }
    }
}

impl CellReaders {
    /// The same where it is simple, as it mostly is: all have read the same bytes, and what
    /// nobody has overwritten since is one part.  False, and nothing has changed, when it is
    /// not.
    #[inline]
    fn overwritten_at_an_end(&mut self, cell: Span, gone: Span, pool: &mut ReaderPool) -> bool {
        let mut span = cell;
        let part = pool.parts.only_mut(self.parts);
        if self.parts != EMPTY {
            match &part {
                Some(part) if self.whole.list == EMPTY => span = part.span,
                _ => return false,
            }
        }
        let Some(left) = left_of(span, gone) else {
            return false;
        };
        if left == NOTHING {
            self.clear(pool);
        } else if let Some(part) = part {
            part.span = left;
        } else if left != span {
            let readers = std::mem::replace(&mut self.whole, Readers::NONE);
            let part = Part {
                span: left,
                readers,
            };
            pool.parts.push(&mut self.parts, part);
        }
        true
    }
}

/// Adds what is left of a part without the run `gone` to those that are `left`;
/// readers of the same bytes belong together.
fn cut(
    part: Part,
    gone: Span,
    left: &mut SmallVec<[Part; 2 * PARTS]>,
    pool: &mut Pool<Sequence>,
    matters: &impl Fn(Sequence) -> bool,
) {
    let Part { span, mut readers } = part;
    let mut keep = |span: Span, readers: Readers, pool: &mut Pool<Sequence>| match left
        .iter_mut()
        .find(|other| other.span == span)
    {
        Some(other) => other.readers.absorb(readers, pool, matters),
        None => left.push(Part { span, readers }),
    };
    match without(span, gone) {
        [NOTHING, NOTHING] => readers.clear(pool),
        [span, NOTHING] | [NOTHING, span] => keep(span, readers, pool),
        [before, behind] => {
            let copy = readers.copy(pool);
            keep(before, readers, pool);
            keep(behind, copy, pool);
        }
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
        const CELL: Span = (0, 100);
        let mut pool = ReaderPool::new();
        let mut readers = CellReaders::NONE;
        for step in 0..1000 {
            readers.add(step, &mut pool, |_| true);
            let seen = |hull: Span| {
                let mut seen = 0;
                readers.for_each(CELL, hull, &pool, |_| seen += 1);
                seen
            };
            // The middle, then both sides of it but for the outermost.
            assert!(seen((20, 80)) <= 2);
            assert_eq!(seen((0, 5)), step + 1);
            for gone in [(20, 80), (10, 20), (80, 100)] {
                readers.overwritten(CELL, gone, &mut pool, |_| true);
            }
            assert!(readers.whole.list == EMPTY && pool.parts.len() == 1);
        }
        readers.overwritten(CELL, (0, 10), &mut pool, |_| true);
        assert!(readers.is_empty() && pool.len() == 0 && pool.parts.len() == 0);
    }

    #[test]
    fn of_more_parts_than_are_kept_apart_some_become_one_and_nobody_is_lost() {
        const CELL: Span = (0, 1000);
        let mut pool = ReaderPool::new();
        let mut readers = CellReaders::NONE;
        readers.add(7, &mut pool, |_| true);
        for hole in 1..20 {
            readers.overwritten(CELL, (hole * 50, hole * 50 + 10), &mut pool, |_| true);
            assert!(pool.parts.len() <= PARTS);
        }
        for at in (0..1000).filter(|at| at % 50 > 10) {
            let mut seen = 0;
            readers.for_each(CELL, (at, at + 1), &pool, |reader| {
                assert_eq!(reader, 7);
                seen += 1;
            });
            assert!(seen > 0, "{at}");
        }
        readers.clear(&mut pool);
        assert_eq!((pool.len(), pool.parts.len()), (0, 0));
    }
}
