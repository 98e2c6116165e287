// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lists of a context of which something is in flight, and where in them an
//! instruction is.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::graph::Sequence;
use crate::replay::Template;
use crate::scheduler::ListId;

/// An instruction of a list.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub list: ListId,
    pub position: u32,
    pub sequence: Sequence,
    /// Perhaps the first of its list: later ones are not.
    pub first: bool,
}

/// The list of which something was taken last.
#[derive(Clone, Copy, Debug)]
pub struct Latest {
    /// More than any, when there is none.
    number: u64,
    id: ListId,
    first: Sequence,
}

impl Latest {
    /// Nothing was taken.
    pub const NONE: Self = Self {
        number: u64::MAX,
        id: ListId::NONE,
        first: 0,
    };
}

/// A list of which something is in flight.
#[derive(Debug)]
struct Flying {
    id: ListId,
    /// The sequence of its first instruction.
    first: Sequence,
    /// That behind the last which was analysed.
    end: Sequence,
    /// Whether some of it was taken since it is in flight.
    taken: bool,
    /// What is known of it, when it is replayed.
    template: Option<Arc<Template>>,
}

/// Oldest first, each with a number.
#[derive(Debug, Default)]
pub struct FlyingLists {
    lists: VecDeque<Flying>,
    /// The number of the oldest, which wraps.
    first: u32,
}

impl FlyingLists {
    /// The number of the list whose instruction at `position` gets the sequence
    /// `next`; it is added when nothing of it is in flight.
    pub fn number_of(&mut self, id: ListId, position: usize, next: Sequence) -> u32 {
        if self.lists.back().is_none_or(|it| it.id != id) {
            self.lists.push_back(Flying {
                id,
                first: next - position as u64,
                end: next,
                taken: false,
                template: None,
            });
        }
        self.first.wrapping_add(self.lists.len() as u32 - 1)
    }

    /// Notes that the newest list is analysed up to `end`.
    pub fn analysed(&mut self, end: Sequence) {
        if let Some(newest) = self.lists.back_mut() {
            newest.end = end;
        }
    }

    /// Notes that the newest list is replayed.
    pub fn replay(&mut self, template: &Arc<Template>) {
        if let Some(newest) = self.lists.back_mut() {
            newest.template = Some(template.clone());
        }
    }

    /// The first instruction of the replayed list of this number, and what is known of
    /// the list.
    #[inline]
    pub fn replayed(&self, number: u32) -> Option<(Sequence, &Template)> {
        let list = self.lists.get(number.wrapping_sub(self.first) as usize)?;
        Some((list.first, list.template.as_ref()?))
    }

    /// The instruction of the list of this number that has a sequence.
    pub fn instruction(&self, number: u32, sequence: Sequence) -> Option<Taken> {
        let list = self.lists.get(number.wrapping_sub(self.first) as usize)?;
        Some(Taken {
            list: list.id,
            position: (sequence - list.first) as u32,
            sequence,
            first: false,
        })
    }

    /// The same when it is taken; `latest` is the list of the one taken before, and becomes
    /// its own.
    #[inline(always)]
    pub fn take(&mut self, number: u32, sequence: Sequence, latest: &mut Latest) -> Option<Taken> {
        let other = latest.number != u64::from(number);
        let first = other && self.open(number, latest)?;
        Some(Taken {
            list: latest.id,
            position: (sequence - latest.first) as u32,
            sequence,
            first,
        })
    }

    /// Makes the list of this number the latest of which something is taken; whether nothing
    /// was before.
    fn open(&mut self, number: u32, latest: &mut Latest) -> Option<bool> {
        let place = number.wrapping_sub(self.first) as usize;
        let list = self.lists.get_mut(place)?;
        *latest = Latest {
            number: u64::from(number),
            id: list.id,
            first: list.first,
        };
        Some(!std::mem::replace(&mut list.taken, true))
    }

    /// Forgets lists all of whose instructions lie before `oldest`.
    pub fn forget_before(&mut self, oldest: Sequence) {
        while self.lists.front().is_some_and(|it| it.end <= oldest) {
            self.lists.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}
