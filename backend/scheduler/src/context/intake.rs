// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lists of a context that are not wholly analysed, and their analysis: one
//! instruction after the other, or all at once where it is known.

use std::sync::Arc;

use super::Context;
use crate::analyser::Refusal;
use crate::attributes::Attributes;
use crate::graph::Sequence;
use crate::list::CommandList;
use crate::replay::{Plan, Template};
use crate::scheduler::{ListId, SubmitError};

/// Instructions after which the chains behind all that are in flight are
/// measured again, now that more of them is known.
const RANK_EVERY: usize = 8192;

/// A list that is not wholly analysed.
#[derive(Debug)]
pub struct Queued {
    id: ListId,
    list: Arc<CommandList>,
    /// What each instruction waits for beside others; none when empty.
    holds: Vec<u32>,
    next: usize,
    begun: bool,
    /// What is known of its analysis.
    known: Option<Arc<Template>>,
}

/// The part of a queued list that will never be analysed.
#[derive(Clone, Copy, Debug)]
pub struct Dropped {
    pub list: ListId,
    pub position: u32,
    pub instructions: u32,
}

impl Context {
    /// Queues a list.  The context may hold `limit` lists and as many
    /// instructions; one list is always taken.
    ///
    /// # Errors
    /// [`SubmitError::Busy`].
    pub fn enqueue(
        &mut self,
        id: ListId,
        list: Arc<CommandList>,
        holds: Vec<u32>,
        limit: usize,
    ) -> Result<(), SubmitError> {
        let full = self.lists >= limit || self.pending.saturating_add(list.len()) > limit;
        if self.lists > 0 && full {
            return Err(SubmitError::Busy);
        }
        self.lists += 1;
        self.pending += list.len();
        self.queue.push_back(Queued {
            id,
            list,
            holds,
            next: 0,
            begun: false,
            known: None,
        });
        Ok(())
    }

    /// Analyses queued instructions while there is room.  `held` is told how
    /// many more instructions of a list were analysed, and the sequence of the
    /// first of them, and says whether what is analysed of the list next is
    /// held.
    ///
    /// # Errors
    /// The context can order nothing any more; see [`Context::abandon`].
    pub fn analyse(
        &mut self,
        mut held: impl FnMut(ListId, Sequence, usize) -> bool,
    ) -> Result<(), Refusal> {
        if self.queue.is_empty() {
            return Ok(());
        }
        // The first instruction that was looked at anew.
        let mut fresh = None;
        let mut refusal = Ok(());
        while let Some(queued) = self.queue.front_mut() {
            if !queued.begun {
                queued.begun = true;
                queued.known = self.analyser.begin(&queued.list);
            }
            // Something may have failed since.
            if self.analyser.graph().failures() > 0 {
                queued.known = None;
            }
            let first = self.analyser.graph().next();
            let holds = u32::from(held(queued.id, first, 0));
            if let Some(template) = queued.known.clone() {
                if !self.analyser.has_room(&template) {
                    break;
                }
                held(queued.id, first, queued.list.len());
                self.take_over(&template, holds);
                self.queue.pop_front();
                continue;
            }
            fresh = fresh.or(Some(first));
            let lists = self.analyser.lists();
            let number = lists.number_of(queued.id, queued.next, first);
            let before = queued.next;
            while let Some((instruction, operands)) = queued.list.get(queued.next) {
                refusal = self.analyser.make_room();
                if refusal.is_err() {
                    break;
                }
                let own = queued.holds.get(queued.next).copied().unwrap_or(0);
                let attributes = Attributes::new(instruction, operands, number, &mut self.grouping);
                self.analyser.submit_as(attributes, operands, holds + own);
                self.ready.add_work(instruction.cost);
                queued.next += 1;
            }
            held(queued.id, first, queued.next - before);
            let next = self.analyser.graph().next();
            self.analyser.lists().analysed(next);
            if refusal.is_err() {
                break;
            }
            self.queue.pop_front();
        }
        if let Some(first) = fresh {
            let next = self.analyser.graph().next();
            self.unranked += (next - first) as usize;
            if self.unranked >= RANK_EVERY {
                self.unranked = 0;
                self.analyser.rank(self.analyser.graph().oldest()..next);
            } else {
                self.analyser.rank(first..next);
            }
        }
        match refusal {
            Err(Refusal::Failed) => refusal,
            _ => Ok(()),
        }
    }

    /// Takes a hold from an instruction that is not analysed.
    pub fn take_hold(&mut self, id: ListId, position: u32) {
        let queued = self.queue.iter_mut().find(|queued| queued.id == id);
        let hold = queued.and_then(|queued| queued.holds.get_mut(position as usize));
        if let Some(hold) = hold {
            *hold = hold.saturating_sub(1);
        }
    }

    /// Whether some of what is queued is not analysed.
    pub fn is_analysing(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Gives up everything that is not analysed.
    pub fn abandon(&mut self) -> Vec<Dropped> {
        self.analyser.interrupt();
        let dropped: Vec<Dropped> = self
            .queue
            .drain(..)
            .map(|queued| Dropped {
                list: queued.id,
                position: queued.next as u32,
                instructions: (queued.list.len() - queued.next) as u32,
            })
            .collect();
        for part in &dropped {
            self.pending -= part.instructions as usize;
        }
        dropped
    }

    /// Makes the instructions of the list at the front, whose analysis is
    /// known, the newest in flight, each with `held` holds and its own.
    fn take_over(&mut self, template: &Arc<Template>, held: u32) {
        let Some(queued) = self.queue.front() else {
            return;
        };
        let first = self.analyser.graph().next();
        let lists = self.analyser.lists();
        let number = lists.number_of(queued.id, queued.next, first);
        let grouping = &mut self.grouping;
        let plan = template
            .plan
            .get_or_init(|| Plan::new(template, &queued.list, grouping));
        self.ready.add_work(plan.work);
        self.analyser
            .replay(number, template, held, &queued.holds, &plan.attributes);
        let next = self.analyser.graph().next();
        self.analyser.lists().analysed(next);
    }
}
