// SPDX-License-Identifier: MIT OR Apache-2.0
//! Append pointers, as of KV caches and rings: places where page after page is
//! touched for the first time, each visited now and then.

use super::{Expert, Moment};
use crate::proposal::Proposals;
use crate::table::Table;

/// Pages proposed beyond a pointer.
const AHEAD: u64 = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Pointer {
    /// Times that the pointer moved on by one page.
    moves: u32,
    /// Where it started, for rings.
    origin: u64,
}

/// Proposes the pages after append pointers, and the start of a ring.
#[derive(Debug)]
pub struct Append {
    /// Keyed by the page that a pointer stands on.
    pointers: Table<Pointer>,
}

impl Append {
    /// Knows nothing.
    pub fn new() -> Self {
        Self {
            pointers: Table::new(12),
        }
    }
}

impl Expert for Append {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        let page = moment.page;
        let moved = self.pointers.remove(page.wrapping_sub(1));
        let pointer = match (moved, self.pointers.get(page)) {
            (Some(pointer), _) => Pointer {
                moves: pointer.moves + 1,
                ..pointer
            },
            (None, Some(&pointer)) => pointer,
            (None, None) => Pointer {
                moves: 0,
                origin: page,
            },
        };
        *self.pointers.entry(page) = pointer;
        if pointer.moves == 0 {
            return;
        }
        let trust = if pointer.moves > 2 { 0 } else { AHEAD as usize };
        for step in 1..=AHEAD {
            to.add(page.wrapping_add(step), me, trust + step as usize - 1);
        }
        if pointer.moves > 8 {
            to.add(pointer.origin, me, 2 * AHEAD as usize);
        }
    }
}
