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
        Some(list.instruction(sequence))
    }

    /// The same when it is taken.
    #[inline]
    pub fn take(&mut self, number: u32, sequence: Sequence) -> Option<Taken> {
        let place = number.wrapping_sub(self.first) as usize;
        let list = self.lists.get_mut(place)?;
        Some(Taken {
            first: !std::mem::replace(&mut list.taken, true),
            ..list.instruction(sequence)
        })
    }

    /// Forgets lists all of whose instructions lie before `oldest`.
    pub fn forget_before(&mut self, oldest: Sequence) {
        while self.lists.front().is_some_and(|it| it.end <= oldest) {
            self.lists.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

impl Flying {
    /// One of its instructions, which is not taken.
    fn instruction(&self, sequence: Sequence) -> Taken {
        Taken {
            list: self.id,
            position: (sequence - self.first) as u32,
            sequence,
            first: false,
        }
    }
}
