// SPDX-License-Identifier: MIT OR Apache-2.0
//! One context: its lists, their analysis, and what of them is ready.
//!
//! It knows nothing of other contexts and nothing of when a list as a whole
//! has ended; that is [`crate::scheduler`]'s.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::analyser::{Analyser, Refusal};
use crate::attributes::Attributes;
use crate::flying::{FlyingLists, Taken};
use crate::graph::{Outcome, Release, Sequence};
use crate::grouping::Grouping;
use crate::list::{CommandList, Unit};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::ready::{Ready, ReadyQueue};
use crate::replay::{Hint, Template};
use crate::scheduler::{Config, ListId, SubmitError};
use crate::totals::Totals;

/// Instructions after which the chains behind all that are in flight are
/// measured again, now that more of them is known.
const RANK_EVERY: usize = 8192;

/// A list that is not wholly analysed.
#[derive(Debug)]
struct Queued {
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

#[derive(Debug)]
pub struct Context {
    analyser: Analyser,
    /// Groups follow the regions only where granularity adapts.
    grouping: Option<Grouping>,
    /// Instructions analysed since all ranks were computed.
    unranked: usize,
    queue: VecDeque<Queued>,
    /// Lists submitted and not ended, and their instructions that have not.
    lists: usize,
    pending: usize,
    running: usize,
    flying: FlyingLists,
    compute: ReadyQueue,
    dma: ReadyQueue,
    /// Costs of what is in flight.
    work: u64,
    compute_engines: u64,
    /// Service charged for a nanosecond: 2^32 by the weight.
    rate: u64,
    served: u128,
    /// Released at once, to be made ready in order.
    released: Vec<Release>,
}

/// Service charged for a nanosecond.
fn rate(weight: NonZeroU32) -> u64 {
    (1 << 32) / u64::from(weight.get())
}

impl Context {
    pub fn new(config: &Config, weight: NonZeroU32, served: u128) -> Self {
        Self {
            analyser: Analyser::new(config.policy, config.limits),
            grouping: (config.policy == Policy::Adaptive)
                .then(|| Grouping::new(Profile::default().local_bytes)),
            unranked: 0,
            queue: VecDeque::new(),
            lists: 0,
            pending: 0,
            running: 0,
            flying: FlyingLists::default(),
            compute: ReadyQueue::new(config.compute_engines),
            dma: ReadyQueue::new(config.dma_engines),
            work: 0,
            compute_engines: config.compute_engines as u64,
            rate: rate(weight),
            served,
            released: Vec::new(),
        }
    }

    /// Charges for engine time by another weight from now on.
    pub fn set_weight(&mut self, weight: NonZeroU32) {
        self.rate = rate(weight);
    }

    /// Engine time taken, by weight.
    pub fn served(&self) -> u128 {
        self.served
    }

    /// Instructions submitted and not ended.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Whether it wants engines, or will.
    pub fn is_active(&self) -> bool {
        self.pending > 0
    }

    /// A context that has been idle does not save up engine time.
    pub fn catch_up(&mut self, served: u128) {
        if !self.is_active() {
            self.served = self.served.max(served);
        }
    }

    /// What analysis has done so far.
    pub fn analyser(&self) -> &Analyser {
        &self.analyser
    }

    /// What was done for it so far.
    pub fn totals(&self) -> Totals {
        let (splits, merges) = self.analyser.granularity_changes();
        let (compute, dma) = (
            self.compute.taken_near_and_stolen(),
            self.dma.taken_near_and_stolen(),
        );
        Totals {
            regions: self.analyser.cells() as u64,
            lookups: self.analyser.cells_touched(),
            edges: self.analyser.graph().edge_total(),
            splits,
            merges,
            replayed: self.analyser.replayed(),
            near: compute.0 + dma.0,
            stolen: compute.1 + dma.1,
        }
    }

    /// Instructions taken and not finished.
    pub fn running(&self) -> usize {
        self.running
    }

    pub fn has_ready(&self, unit: Unit) -> bool {
        self.ready_count(unit) > 0
    }

    /// Instructions for engines of a kind that may run.
    pub fn ready_count(&self, unit: Unit) -> usize {
        match unit {
            Unit::Compute => self.compute.len(),
            Unit::Dma => self.dma.len(),
        }
    }

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
            let number = self.flying.number_of(queued.id, queued.next, first);
            let before = queued.next;
            while let Some((instruction, operands)) = queued.list.get(queued.next) {
                refusal = self.analyser.make_room();
                if refusal.is_err() {
                    break;
                }
                let own = queued.holds.get(queued.next).copied().unwrap_or(0);
                let attributes = Attributes::new(instruction, operands, number, &mut self.grouping);
                self.analyser.submit_as(attributes, operands, holds + own);
                self.work = self.work.saturating_add(instruction.cost.0);
                queued.next += 1;
            }
            held(queued.id, first, queued.next - before);
            self.flying.analysed(self.analyser.graph().next());
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

    /// Notes that a list has ended.
    pub fn list_ended(&mut self) {
        self.lists = self.lists.saturating_sub(1);
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
        let number = self.flying.number_of(queued.id, queued.next, first);
        let instructions = queued.list.instructions();
        let costs = instructions.iter().map(|it| it.cost.0);
        self.work = costs.fold(self.work, u64::saturating_add);
        let holds = &queued.holds;
        if let Some(hints) = template.hints.get() {
            let known = instructions.iter().zip(hints);
            let known = known.map(|(instruction, &Hint { rank, group })| Attributes {
                cost: instruction.cost,
                rank,
                group,
                list: number,
                unit: instruction.unit,
                running: false,
            });
            self.analyser.replay(template, held, holds, known);
        } else {
            let grouping = &mut self.grouping;
            let fresh = queued.list.iter();
            let fresh = fresh.map(|(it, operands)| Attributes::new(it, operands, number, grouping));
            self.analyser.replay(template, held, holds, fresh);
        }
        let next = self.analyser.graph().next();
        self.flying.analysed(next);
        if template.hints.get().is_none() {
            self.analyser.rank(first..next);
            let known = (first..next).filter_map(|sequence| self.analyser.graph().place(sequence));
            let hints = known.map(|(&Attributes { rank, group, .. }, _)| Hint { rank, group });
            // Nobody else has set them meanwhile.
            let _ = template.hints.set(hints.collect());
        }
    }

    /// Lifts the hold of held instructions.
    pub fn lift(&mut self, held: std::ops::Range<Sequence>) {
        held.for_each(|sequence| self.analyser.lift(sequence));
    }

    /// Makes released instructions ready, near the engine that released them,
    /// and ends those that must not run; returns these.
    #[inline]
    pub fn release(&mut self, engine: Option<(Unit, usize)>) -> Vec<Taken> {
        match self.analyser.released() {
            [] => Vec::new(),
            &[only] if !only.poisoned => {
                self.analyser.pop_released();
                self.make_ready(only.sequence, engine);
                Vec::new()
            }
            _ => self.release_many(engine),
        }
    }

    fn release_many(&mut self, engine: Option<(Unit, usize)>) -> Vec<Taken> {
        let mut poisoned = Vec::new();
        let mut released = std::mem::take(&mut self.released);
        while !self.analyser.released().is_empty() {
            self.analyser.swap_released(&mut released);
            // The first in program order is taken first from what is near.
            released.sort_unstable_by_key(|release| release.sequence);
            while let Some(release) = released.pop() {
                if release.poisoned {
                    let known = self.analyser.graph().place(release.sequence);
                    let list = known.map(|(it, _)| it.list);
                    let instruction =
                        list.and_then(|list| self.flying.instruction(list, release.sequence));
                    poisoned.extend(instruction);
                    self.end(release.sequence, Outcome::Failed);
                } else {
                    self.make_ready(release.sequence, engine);
                }
            }
        }
        self.released = released;
        poisoned
    }

    #[inline]
    fn make_ready(&mut self, sequence: Sequence, engine: Option<(Unit, usize)>) {
        let Some((attributes, level)) = self.analyser.graph().place(sequence) else {
            return;
        };
        let (rank, unit) = (attributes.rank, attributes.unit);
        // What hangs on it takes as long as half of what is left.
        let decides = rank.0.saturating_mul(2 * self.compute_engines) >= self.work;
        let ready = Ready {
            sequence,
            urgent: decides.then_some(rank),
            level,
            group: attributes.group,
        };
        let near = match engine {
            Some((kind, number)) if kind == unit => Some(number),
            _ => None,
        };
        let queue = match unit {
            Unit::Compute => &mut self.compute,
            Unit::Dma => &mut self.dma,
        };
        queue.push(ready, near);
    }

    /// Takes what an engine runs next and charges its cost.
    #[inline]
    pub fn take(&mut self, unit: Unit, engine: usize) -> Option<Taken> {
        let sequence = match unit {
            Unit::Compute => self.compute.pop(engine),
            Unit::Dma => self.dma.pop(engine),
        }?;
        let attributes = self.analyser.attributes(sequence)?;
        attributes.running = true;
        self.running += 1;
        self.served += u128::from(attributes.cost.0.max(1)) * u128::from(self.rate);
        self.flying.take(attributes.list, sequence)
    }

    /// Ends an instruction that was taken; false when it was not.
    #[inline]
    pub fn finish(&mut self, sequence: Sequence, outcome: Outcome) -> bool {
        let attributes = self.analyser.attributes(sequence);
        let running = attributes.is_some_and(|it| std::mem::take(&mut it.running));
        if running {
            self.running -= 1;
            self.end(sequence, outcome);
        }
        running
    }

    #[inline]
    fn end(&mut self, sequence: Sequence, outcome: Outcome) {
        let attributes = self.analyser.attributes(sequence);
        let cost = attributes.map_or(0, |it| it.cost.0);
        self.work -= cost.min(self.work);
        self.pending -= 1;
        let oldest = self.analyser.graph().oldest();
        self.analyser.finish(sequence, outcome);
        if sequence == oldest {
            self.flying.forget_before(self.analyser.graph().oldest());
        }
    }
}
