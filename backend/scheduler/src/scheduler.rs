// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lists of several contexts in, work for engines out.
//!
//! A list is analysed as far as there is room as soon as it is submitted, and
//! the rest as soon as work ends.  Engines ask for work; the context that has
//! had the least engine time for its weight is served first.  Lists are
//! numbered in submission order and may only wait for lists that are already
//! there, so no cycle of waits can be built.

mod settle;
mod submitted;
mod work;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::analyser::Analyser;
use crate::clock::Nanos;
use crate::context::{Context, Releaser};
use crate::graph::Outcome;
use crate::list::{CommandList, Unit};
use crate::slots::Slots;
use crate::totals::Totals;
use settle::Task;
use submitted::Submitted;

pub use work::{Config, ContextId, Engine, ListEnd, ListId, SubmitError, Work};

/// Orders the work of all contexts.
#[derive(Debug)]
pub struct Scheduler {
    config: Config,
    contexts: Slots<Context>,
    /// Contexts in the order in which ties are broken.
    turn: Vec<ContextId>,
    lists: Slots<Submitted>,
    ended: VecDeque<ListEnd>,
    /// What [`Scheduler::settle`] still has to do.
    tasks: Vec<Task>,
    /// What was done for contexts that are gone.
    past: Totals,
}

impl Scheduler {
    /// No contexts.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            contexts: Slots::new(),
            turn: Vec::new(),
            lists: Slots::new(),
            ended: VecDeque::new(),
            tasks: Vec::new(),
            past: Totals::default(),
        }
    }

    /// A new context; while several want engines, each gets time in proportion
    /// to its weight.
    pub fn add_context(&mut self, weight: NonZeroU32) -> ContextId {
        let floor = self.least_served().unwrap_or_default();
        let context = Context::new(&self.config, weight, floor);
        let id = ContextId(self.contexts.insert(context));
        self.turn.push(id);
        id
    }

    /// Gives a context another weight: it counts for engine time from now on.
    pub fn set_weight(&mut self, context: ContextId, weight: NonZeroU32) {
        if let Some(known) = self.contexts.get_mut(context.0) {
            known.set_weight(weight);
        }
    }

    /// Ends a context: what has not been taken never runs, and its lists end
    /// as failed.  Work already taken is still to be finished; its outcome no
    /// longer matters.  Its memory must not be given away before that: returns
    /// the number of instructions taken and not finished.
    pub fn remove_context(&mut self, context: ContextId, now: Nanos) -> usize {
        let Some(removed) = self.contexts.remove(context.0) else {
            return 0;
        };
        self.past += Totals {
            regions: 0,
            ..removed.totals()
        };
        self.turn.retain(|&other| other != context);
        let mut lists: Vec<ListId> = self
            .lists
            .iter()
            .filter(|(_, list)| list.context == context)
            .map(|(id, _)| ListId(id))
            .collect();
        lists.sort_unstable();
        for id in &lists {
            if let Some(list) = self.lists.get_mut(id.0) {
                list.failed.get_or_insert(0);
                list.remaining = 0;
                list.gates = 0;
            }
        }
        self.tasks.extend(lists.into_iter().rev().map(Task::Close));
        self.settle(now);
        removed.running()
    }

    /// Takes a list, to start when every list of `after` has ended.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing has changed then.
    pub fn submit(
        &mut self,
        context: ContextId,
        list: impl Into<Arc<CommandList>>,
        after: &[ListId],
        now: Nanos,
    ) -> Result<ListId, SubmitError> {
        self.add_list(context, list.into(), Vec::new(), after, now)
    }

    /// Takes a list whose instructions wait for something beside each other:
    /// each is held until [`Scheduler::lift`] was called for it as often as
    /// `holds` says.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing has changed then.
    pub fn submit_held(
        &mut self,
        context: ContextId,
        list: CommandList,
        holds: Vec<u32>,
        now: Nanos,
    ) -> Result<ListId, SubmitError> {
        self.add_list(context, list.into(), holds, &[], now)
    }

    /// Takes one hold from an instruction of a list that was submitted with
    /// some.
    pub fn lift(&mut self, list: ListId, position: u32, now: Nanos) {
        let Some(submitted) = self.lists.get(list.0) else {
            return;
        };
        let context = submitted.context;
        let Some(owner) = self.contexts.get_mut(context.0) else {
            return;
        };
        if position < submitted.analysed {
            let sequence = submitted.first + u64::from(position);
            owner.lift(sequence..sequence + 1);
            self.tasks.push(Task::Advance(context, Releaser::NONE));
            self.settle(now);
        } else {
            owner.take_hold(list, position);
        }
    }

    fn add_list(
        &mut self,
        context: ContextId,
        list: Arc<CommandList>,
        holds: Vec<u32>,
        after: &[ListId],
        now: Nanos,
    ) -> Result<ListId, SubmitError> {
        let floor = self.least_served().unwrap_or_default();
        let owner = self
            .contexts
            .get_mut(context.0)
            .ok_or(SubmitError::NoContext)?;
        if after.iter().any(|list| !self.lists.was_named(list.0)) {
            return Err(SubmitError::UnknownList);
        }
        let length = list.len() as u32;
        let id = ListId(self.lists.next_name());
        owner.catch_up(floor);
        owner.enqueue(id, list, holds, self.config.queued_instructions)?;
        let mut gates = 0;
        for waited in after {
            if let Some(waited) = self.lists.get_mut(waited.0) {
                waited.waiters.push(id);
                gates += 1;
            }
        }
        self.lists.insert(Submitted {
            context,
            remaining: length,
            failed: None,
            started: None,
            gates,
            waiters: Vec::new(),
            first: 0,
            analysed: 0,
        });
        self.tasks.push(Task::Close(id));
        self.tasks.push(Task::Advance(context, Releaser::NONE));
        self.settle(now);
        Ok(id)
    }

    /// Whether a context has submitted instructions that wait for room to be
    /// analysed.
    #[must_use]
    pub fn is_analysing(&self, context: ContextId) -> bool {
        self.contexts
            .get(context.0)
            .is_some_and(Context::is_analysing)
    }

    /// Whether an instruction for engines of a kind may run.
    #[must_use]
    pub fn has_ready(&self, unit: Unit) -> bool {
        self.contexts
            .iter()
            .any(|(_, context)| context.has_ready(unit))
    }

    /// Instructions for engines of a kind that may run now.
    #[must_use]
    pub fn ready_count(&self, unit: Unit) -> usize {
        let contexts = self.contexts.iter();
        contexts.map(|(_, context)| context.ready_count(unit)).sum()
    }

    /// The instruction that `engine` runs next, if one may run.
    #[inline]
    pub fn take(&mut self, engine: Engine, now: Nanos) -> Option<Work> {
        let mut taken = None;
        self.take_while(engine, now, |work| {
            taken = Some(work);
            false
        });
        taken
    }

    /// Calls `more` with each instruction that `engine` runs next, one after the other,
    /// until it answers that it wants no more or none may run.
    #[inline]
    pub fn take_while(&mut self, engine: Engine, now: Nanos, mut more: impl FnMut(Work) -> bool) {
        let (unit, number) = (engine.unit(), engine.number());
        let by = Releaser::new(unit, number);
        loop {
            let (id, alone) = match self.turn[..] {
                [only] => (only, true),
                _ => match self.least_served_with(unit) {
                    Some(id) => (id, false),
                    None => return,
                },
            };
            let Some(context) = self.contexts.get_mut(id.0) else {
                return;
            };
            let (lists, mut wanted) = (&mut self.lists, false);
            context.take_while(unit, number, |taken, cost| {
                if taken.first
                    && let Some(list) = lists.get_mut(taken.list.0)
                {
                    list.started.get_or_insert(now);
                }
                wanted = more(Work {
                    context: id,
                    list: taken.list,
                    position: taken.position,
                    cost,
                    sequence: taken.sequence,
                    by,
                });
                // The turn goes round when there are several.
                wanted && alone
            });
            if !wanted || alone {
                return;
            }
        }
    }

    /// The context that has something ready and was served least.
    fn least_served_with(&self, unit: Unit) -> Option<ContextId> {
        let mut best: Option<(u128, ContextId)> = None;
        for id in &self.turn {
            if let Some(context) = self.contexts.get(id.0)
                && context.has_ready(unit)
                && best.is_none_or(|(served, _)| context.served() < served)
            {
                best = Some((context.served(), *id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Reports what became of work that was taken.
    #[inline]
    pub fn finish(&mut self, work: &Work, outcome: Outcome, now: Nanos) {
        self.finish_all(&[(*work, outcome)], now);
    }

    /// Reports what became of several, in the order in which they ended.
    #[inline]
    pub fn finish_all(&mut self, done: &[(Work, Outcome)], now: Nanos) {
        let mut rest = done;
        while let Some((first, _)) = rest.first() {
            let beside = rest.iter().take_while(|(work, _)| work.is_beside(first));
            let (beside, others) = rest.split_at(beside.count());
            self.finish_some(first, beside);
            rest = others;
        }
        if !self.tasks.is_empty() {
            self.settle(now);
        }
    }

    /// Reports what became of work that one engine has taken, the first of it of this context.
    fn finish_some(&mut self, first: &Work, done: &[(Work, Outcome)]) {
        let Some(owner) = self.contexts.get_mut(first.context.0) else {
            return;
        };
        let (lists, tasks) = (&mut self.lists, &mut self.tasks);
        let mut note = |id: ListId, position: u32, instructions: u32, outcome: Outcome| {
            if let Some(list) = lists.get_mut(id.0) {
                list.note_end(position, instructions, outcome);
                if list.remaining == 0 {
                    tasks.push(Task::Close(id));
                }
            }
        };
        // Those that were done of a list, one behind the other, are noted at once.
        let (mut latest, mut ended) = (first.list, 0);
        owner.finish(done, first.by, |work, outcome| {
            if outcome == Outcome::Failed {
                note(work.list, work.position, 1, outcome);
                return;
            }
            if work.list != latest {
                note(latest, 0, ended, Outcome::Done);
                (latest, ended) = (work.list, 0);
            }
            ended += 1;
        });
        note(latest, 0, ended, Outcome::Done);
        if owner.is_analysing() || owner.has_poisoned() {
            self.end_poisoned(first.context);
            self.advance(first.context, first.by);
        }
    }

    /// A list that has ended since the last call.
    pub fn pop_ended(&mut self) -> Option<ListEnd> {
        self.ended.pop_front()
    }

    /// What was done for all contexts so far, those that are gone included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.past;
        for context in &self.turn {
            if let Some(context) = self.contexts.get(context.0) {
                totals += context.totals();
            }
        }
        totals
    }

    /// The analysis of a context: what it has counted and holds.
    #[must_use]
    pub fn analyser(&self, context: ContextId) -> Option<&Analyser> {
        self.contexts.get(context.0).map(Context::analyser)
    }

    /// Instructions that a context has submitted and that have not ended.
    #[must_use]
    #[inline]
    pub fn pending(&self, context: ContextId) -> usize {
        self.contexts.get(context.0).map_or(0, Context::pending)
    }

    /// Whether nothing is queued, ready or running.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lists.is_empty()
    }

    fn least_served(&self) -> Option<u128> {
        let active = self.contexts.iter().map(|(_, context)| context);
        let active = active.filter(|context| context.is_active());
        active.map(Context::served).min()
    }
}
