// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one event sets off: lists that go on, fail with others, or end, and what
//! their end lets begin.

use super::{ContextId, ListEnd, ListId, Scheduler};
use crate::clock::Nanos;
use crate::context::{Context, Releaser};
use crate::graph::Outcome;

/// What is left to do after an event.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Analyse and release; what is released is near the engine.
    Advance(ContextId, Releaser),
    /// End the list if nothing of it is left.
    Close(ListId),
}

impl Scheduler {
    /// Works through what one event has set off.  A list that ends opens the
    /// gates of others, whose end opens more: a stack here, so that a long
    /// chain is no deep recursion.
    pub(super) fn settle(&mut self, now: Nanos) {
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Advance(context, by) => self.advance(context, by),
                Task::Close(list) => self.close(list, now),
            }
        }
    }

    /// Analyses what there is room for, and gives what was released to the
    /// engines, until nothing moves any more.
    pub(super) fn advance(&mut self, id: ContextId, by: Releaser) {
        while let Some(context) = self.contexts.get_mut(id.0) {
            let lists = &mut self.lists;
            let analysed = context.analyse(|list, sequence, instructions| {
                lists.get_mut(list.0).is_some_and(|list| {
                    if list.analysed == 0 {
                        list.first = sequence;
                    }
                    list.analysed += instructions as u32;
                    list.gates > 0
                })
            });
            if analysed.is_err() {
                for part in context.abandon() {
                    if let Some(list) = lists.get_mut(part.list.0) {
                        list.note_end(part.position, part.instructions, Outcome::Failed);
                        self.tasks.push(Task::Close(part.list));
                    }
                }
            }
            context.release(by);
            if !context.has_poisoned() {
                return;
            }
            self.end_poisoned(id);
        }
    }

    /// Notes what of a context has ended without having run.
    pub(super) fn end_poisoned(&mut self, id: ContextId) {
        let context = self.contexts.get_mut(id.0);
        for taken in context.map(Context::take_poisoned).unwrap_or_default() {
            if let Some(list) = self.lists.get_mut(taken.list.0) {
                list.note_end(taken.position, 1, Outcome::Failed);
                self.tasks.push(Task::Close(taken.list));
            }
        }
    }

    /// Ends a list of which nothing is left, and opens the gates it kept shut.
    fn close(&mut self, id: ListId, now: Nanos) {
        let over = self
            .lists
            .get(id.0)
            .is_some_and(|list| list.remaining == 0 && list.gates == 0);
        if !over {
            return;
        }
        let Some(list) = self.lists.remove(id.0) else {
            return;
        };
        if let Some(owner) = self.contexts.get_mut(list.context.0) {
            owner.list_ended();
        }
        self.ended.push_back(ListEnd {
            context: list.context,
            list: id,
            failed: list.failed,
            started: list.started.unwrap_or(now),
            finished: now,
        });
        for waiter in list.waiters {
            let Some(waiting) = self.lists.get_mut(waiter.0) else {
                continue;
            };
            waiting.gates = waiting.gates.saturating_sub(1);
            if waiting.gates > 0 {
                continue;
            }
            let held = waiting.first..waiting.first + u64::from(waiting.analysed);
            let context = waiting.context;
            if let Some(owner) = self.contexts.get_mut(context.0) {
                owner.lift(held);
            }
            self.tasks.push(Task::Close(waiter));
            self.tasks.push(Task::Advance(context, Releaser::NONE));
        }
    }
}
