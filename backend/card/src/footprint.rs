// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pages that the commands of a list use, found once for all of them, so that
//! they can be held together while the list runs. Whether the memory exists is not
//! known here.

use augur_abi::PAGE_BYTES;
use augur_memory::{Access, DeviceAddress};

use crate::command::Command;

/// Lists shorter than this hold what each command uses.
const SHORTEST: usize = 8;
/// Accesses and bytes that are held for one list, at most.
const MAX_ACCESSES: usize = 64;
const MAX_BYTES: u64 = 64 << 20;
/// Spans that are gathered before those that touch are joined.
const GATHERED: usize = 4096;

/// Pages of one object that a command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    /// Where the object starts: objects that touch are apart all the same.
    object: u64,
    first: u64,
    end: u64,
}

/// Spans, joined where they touch.
#[derive(Default)]
struct Union {
    spans: Vec<Span>,
    /// Spans up to here are sorted and apart.
    joined: usize,
}

impl Union {
    fn add(&mut self, span: Span) {
        // Neighbouring commands use the same pages.
        let recent = self.spans.iter().rev().take(4);
        if recent
            .into_iter()
            .any(|it| it.object == span.object && it.first <= span.first && span.end <= it.end)
        {
            return;
        }
        self.spans.push(span);
        if self.spans.len() >= self.joined + GATHERED {
            self.join();
        }
    }

    fn join(&mut self) {
        self.spans.sort_unstable();
        self.spans.dedup_by(|next, kept| {
            let touch = next.object == kept.object && next.first <= kept.end;
            if touch {
                kept.end = kept.end.max(next.end);
            }
            touch
        });
        self.joined = self.spans.len();
    }

    fn into_spans(mut self) -> Vec<Span> {
        self.join();
        self.spans
    }
}

/// Gathers what the commands of a list use.
#[derive(Default)]
pub(crate) struct Gather {
    all: Union,
    written: Union,
    commands: usize,
}

impl Gather {
    /// A command, with where the object of each operand starts.
    pub fn add(&mut self, command: &Command, objects: impl Iterator<Item = u64>) {
        self.commands += 1;
        for (access, object) in command.accesses().zip(objects) {
            let (first, end) = (access.address.0, access.address.0 + access.bytes);
            let span = Span {
                object,
                first: first - first % PAGE_BYTES,
                end: end.next_multiple_of(PAGE_BYTES),
            };
            self.all.add(span);
            if access.write {
                self.written.add(span);
            }
        }
    }

    /// What all of them use; `None` when it is not worth holding together.
    pub fn finish(self) -> Option<Footprint> {
        if self.commands < SHORTEST {
            return None;
        }
        let mut footprint = Footprint::default();
        let written = self.written.into_spans();
        let mut bytes = 0;
        for span in self.all.into_spans() {
            bytes += span.end - span.first;
            let from = footprint.accesses.len();
            footprint.divide(span, &written);
            footprint.parts.push(Part {
                first: span.first,
                end: span.end,
                accesses: (from, footprint.accesses.len()),
            });
            if footprint.accesses.len() > MAX_ACCESSES || bytes > MAX_BYTES {
                return None;
            }
        }
        Some(footprint)
    }
}

/// Pages that follow each other and have to stay so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// First byte, and the one behind the last.
    pub first: u64,
    pub end: u64,
    /// Its accesses: the first, and the one behind the last.
    pub accesses: (usize, usize),
}

/// What a list uses, in order of addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub accesses: Vec<Access>,
    pub parts: Vec<Part>,
}

impl Footprint {
    /// Adds a span in accesses that are written as a whole or not at all.
    fn divide(&mut self, span: Span, written: &[Span]) {
        let mut push = |first: u64, end: u64, write: bool| {
            if first < end {
                self.accesses.push(Access {
                    address: DeviceAddress(first),
                    bytes: end - first,
                    write,
                });
            }
        };
        let mut done = span.first;
        let from = written.partition_point(|it| (it.object, it.end) <= (span.object, span.first));
        for it in written.get(from..).unwrap_or_default() {
            if it.object != span.object || it.first >= span.end {
                break;
            }
            push(done, it.first, false);
            push(it.first, it.end, true);
            done = it.end;
        }
        push(done, span.end, false);
    }

    /// The part that holds these bytes.
    pub fn part_of(&self, address: u64, bytes: u64) -> Option<usize> {
        let at = self.parts.partition_point(|part| part.end <= address);
        let part = self.parts.get(at)?;
        (part.first <= address && address + bytes <= part.end).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_BYTES;

    fn span(object: u64, first: u64, end: u64) -> Span {
        Span {
            object,
            first: first * PAGE,
            end: end * PAGE,
        }
    }

    fn gathered(spans: &[(Span, bool)]) -> Gather {
        let mut gather = Gather {
            commands: SHORTEST,
            ..Gather::default()
        };
        for &(span, write) in spans {
            gather.all.add(span);
            if write {
                gather.written.add(span);
            }
        }
        gather
    }

    #[test]
    fn pages_are_joined_within_an_object_and_told_apart_by_whether_they_are_written() {
        let footprint = gathered(&[
            (span(16, 18, 20), true),
            (span(0, 0, 4), false),
            (span(0, 12, 16), false),
            (span(16, 16, 24), false),
            (span(0, 3, 6), true),
        ])
        .finish()
        .unwrap();
        let accesses: Vec<_> = footprint
            .accesses
            .iter()
            .map(|it| (it.address.0 / PAGE, it.bytes / PAGE, it.write))
            .collect();
        assert_eq!(
            accesses,
            [
                (0, 3, false),
                (3, 3, true),
                (12, 4, false),
                (16, 2, false),
                (18, 2, true),
                (20, 4, false)
            ]
        );
        assert_eq!(footprint.part_of(PAGE, 5 * PAGE), Some(0));
        assert_eq!(footprint.part_of(PAGE, 5 * PAGE + 1), None);
        // Objects that touch are not one.
        assert_eq!(footprint.part_of(15 * PAGE, 2 * PAGE), None);
        assert_eq!(footprint.part_of(17 * PAGE, 1), Some(2));
        assert_eq!(footprint.part_of(24 * PAGE, 1), None);
    }

    #[test]
    fn what_is_short_large_or_scattered_is_not_held_together() {
        let mut short = gathered(&[(span(0, 0, 1), false)]);
        short.commands = SHORTEST - 1;
        assert_eq!(short.finish(), None);
        let large = MAX_BYTES / PAGE + 1;
        assert_eq!(gathered(&[(span(0, 0, large), false)]).finish(), None);
        let scattered: Vec<_> = (0..=MAX_ACCESSES as u64)
            .map(|at| (span(0, 2 * at, 2 * at + 1), false))
            .collect();
        assert_eq!(gathered(&scattered).finish(), None);
    }
}
