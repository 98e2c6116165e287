// SPDX-License-Identifier: MIT OR Apache-2.0
//! Declared intent: what a command list has written is likely to be read next.
//!
//! Whether a context reads its results through the aperture is learned: the start
//! of a result is mapped ahead when lately results were read often enough.

use std::collections::VecDeque;

use augur_memory::{ContextId, PAGE_SHIFT, PageNumber};

use crate::command::Command;

/// Results of one list that are looked at.
const RESULTS: usize = 64;
/// Results whose use is awaited.
const AWAITED: usize = 256;
/// How fast the share of results that are read is followed.
const RATE: f32 = 0.125;
/// Results are mapped ahead when at least this share of them is read. A first
/// result of a context is given the benefit of the doubt.
const WORTHWHILE: f32 = 0.2;
const AT_FIRST: f32 = 0.5;

/// Pages that a list has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: PageNumber,
    pub pages: u64,
}

/// What the commands of a list leave behind for others: destinations of its
/// commands that no later command of the list reads. What transfers bring in
/// the program had already.
pub(crate) fn results(commands: &[Command]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let Some(destination) = command.operands.first() else {
            continue;
        };
        let start = destination.address.0;
        let end = start + destination.span;
        let later = commands.get(index + 1..).unwrap_or_default();
        // Long lists have intermediate results only; the last ones count.
        if command.is_transfer() || later.len() > RESULTS {
            continue;
        }
        let consumed = later.iter().any(|command| {
            command
                .operands
                .iter()
                .skip(1)
                .any(|source| source.address.0 < end && start < source.address.0 + source.span)
        });
        if consumed {
            continue;
        }
        let first = start >> PAGE_SHIFT;
        let span = Span {
            first: PageNumber(first),
            pages: ((end - 1) >> PAGE_SHIFT) - first + 1,
        };
        spans.retain(|known| *known != span);
        spans.push(span);
    }
    spans
}

/// Which results are read.
#[derive(Default)]
pub(crate) struct Readback {
    /// First units of results that were mapped ahead or left to be asked for.
    awaited: VecDeque<(ContextId, PageNumber)>,
    /// For each context the share of its results that were read.
    shares: std::collections::BTreeMap<ContextId, f32>,
}

impl Readback {
    /// A result begins at `unit`. Answers whether it is worth mapping ahead.
    pub fn expect(&mut self, context: ContextId, unit: PageNumber) -> bool {
        if self.awaited.contains(&(context, unit)) {
            // It was written again before it was read.
            self.observe(context, false);
        } else {
            self.awaited.push_back((context, unit));
            if self.awaited.len() > AWAITED
                && let Some((late, _)) = self.awaited.pop_front()
            {
                self.observe(late, false);
            }
        }
        self.shares.get(&context).copied().unwrap_or(AT_FIRST) >= WORTHWHILE
    }

    /// A unit was used.
    pub fn used(&mut self, context: ContextId, unit: PageNumber) {
        if let Some(place) = self.awaited.iter().position(|&one| one == (context, unit)) {
            self.awaited.remove(place);
            self.observe(context, true);
        }
    }

    /// Drops what is known of contexts that are gone.
    pub fn keep(&mut self, exists: impl Fn(ContextId) -> bool) {
        self.awaited.retain(|&(context, _)| exists(context));
        self.shares.retain(|&context, _| exists(context));
    }

    fn observe(&mut self, context: ContextId, read: bool) {
        let share = self.shares.entry(context).or_insert(AT_FIRST);
        *share += (f32::from(u8::from(read)) - *share) * RATE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_are_never_read_are_not_mapped_for_long() {
        let mut readback = Readback::default();
        let (reader, other) = (ContextId(1), ContextId(2));
        for round in 0..40 {
            assert!(readback.expect(reader, PageNumber(round)));
            readback.used(reader, PageNumber(round));
            readback.expect(other, PageNumber(7));
        }
        assert!(!readback.expect(other, PageNumber(7)));
        assert!(readback.expect(reader, PageNumber(99)));
        readback.keep(|context| context == reader);
        assert!(readback.expect(other, PageNumber(7)), "a new context");
    }
}
