// SPDX-License-Identifier: MIT OR Apache-2.0
//! One context: its lists, their analysis, and what of them is ready.
//!
//! It knows nothing of other contexts and nothing of when a list as a whole
//! has ended; that is [`crate::scheduler`]'s.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::analyser::{Analyser, Refusal};
use crate::clock::Nanos;
use crate::graph::{Outcome, Release, Sequence};
use crate::grouping::{Group, Grouping};
use crate::list::{CommandList, Instruction, Unit};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::ready::{Ready, ReadyQueue};
use crate::replay::{Hint, Template};
use crate::ring::Ring;
use crate::scheduler::{Config, ListId, SubmitError};
use crate::totals::Totals;

/// Instructions after which the chains behind all that are in flight are
/// measured again, now that more of them is known.
const RANK_EVERY: usize = 8192;

/// An instruction of a list.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub list: ListId,
    pub position: u32,
    pub sequence: Sequence,
    /// Perhaps the first of its list: later ones are not.
    pub first: bool,
}

/// What is kept of an instruction while it is in flight.
#[derive(Clone, Copy, Debug)]
struct Info {
    cost: Nanos,
    rank: Nanos,
    group: Option<Group>,
    /// Which of the lists in flight it is in, counted from the first ever.
    list: u32,
    unit: Unit,
    running: bool,
}

/// A list of which something is in flight.
#[derive(Clone, Copy, Debug)]
struct Flying {
    id: ListId,
    /// The sequence of its first instruction.
    first: Sequence,
    /// That behind the last which was analysed.
    end: Sequence,
    /// Whether some of it was taken since it is in flight.
    taken: bool,
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
    infos: Ring<Info>,
    /// Lists in flight, oldest first; the number of the first, which wraps.
    flying: VecDeque<Flying>,
    first_flying: u32,
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
            infos: Ring::new(),
            flying: VecDeque::new(),
            first_flying: 0,
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

    /// Analyses queued instructions while there is room.  `held` says, for a
    /// list and the sequence its next instructions start at and their number,
    /// whether they are held.
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
            if let Some(template) = queued.known.clone() {
                if !self.analyser.has_room(&template) {
                    break;
                }
                let held = held(queued.id, self.analyser.graph().next(), queued.list.len());
                self.analyser
                    .replay(&template, u32::from(held), &queued.holds);
                self.take_over(&template);
                self.queue.pop_front();
                continue;
            }
            fresh = fresh.or(Some(self.infos.next()));
            let number = fly(
                (&mut self.flying, self.first_flying),
                queued,
                self.infos.next(),
            );
            while let Some((instruction, operands)) = queued.list.get(queued.next) {
                refusal = self.analyser.make_room();
                if refusal.is_err() {
                    break;
                }
                let held = held(queued.id, self.analyser.graph().next(), 1);
                let own = queued.holds.get(queued.next).copied().unwrap_or(0);
                self.analyser.submit(operands, u32::from(held) + own);
                self.work = self.work.saturating_add(instruction.cost.0);
                self.infos.push(Info {
                    cost: instruction.cost,
                    rank: instruction.cost,
                    group: self.grouping.as_mut().and_then(|it| it.of(operands)),
                    list: number,
                    unit: instruction.unit,
                    running: false,
                });
                queued.next += 1;
            }
            if let Some(flying) = self.flying.back_mut() {
                flying.end = self.infos.next();
            }
            if refusal.is_err() {
                break;
            }
            self.queue.pop_front();
        }
        if let Some(first) = fresh {
            let next = self.infos.next();
            self.unranked += (next - first) as usize;
            if self.unranked >= RANK_EVERY {
                self.unranked = 0;
                self.rank(self.infos.base()..next);
            } else {
                self.rank(first..next);
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
    /// known and was taken over, the newest in flight.
    fn take_over(&mut self, template: &Template) {
        let Some(queued) = self.queue.front() else {
            return;
        };
        let first = self.infos.next();
        let list = fly((&mut self.flying, self.first_flying), queued, first);
        let info = |instruction: &Instruction, hint: Hint| Info {
            cost: instruction.cost,
            rank: hint.rank,
            group: hint.group,
            list,
            unit: instruction.unit,
            running: false,
        };
        let instructions = queued.list.instructions();
        let costs = instructions.iter().map(|it| it.cost.0);
        self.work = costs.fold(self.work, u64::saturating_add);
        if let Some(hints) = template.hints.get() {
            let known = instructions.iter().zip(hints);
            self.infos.extend(known.map(|(it, &hint)| info(it, hint)));
        } else {
            for (instruction, operands) in queued.list.iter() {
                let hint = Hint {
                    rank: instruction.cost,
                    group: self.grouping.as_mut().and_then(|it| it.of(operands)),
                };
                self.infos.push(info(instruction, hint));
            }
        }
        let next = self.infos.next();
        if let Some(flying) = self.flying.back_mut() {
            flying.end = next;
        }
        if template.hints.get().is_none() {
            self.rank(first..next);
            let infos = (first..next).filter_map(|sequence| self.infos.get(sequence));
            let hints = infos.map(|&Info { rank, group, .. }| Hint { rank, group });
            // Nobody else has set them meanwhile.
            let _ = template.hints.set(hints.collect());
        }
    }

    /// The longest chain behind each of these instructions.
    fn rank(&mut self, which: std::ops::Range<Sequence>) {
        let (graph, infos) = (self.analyser.graph(), &mut self.infos);
        for sequence in which.rev() {
            let mut longest = Nanos(0);
            graph.for_each_successor(sequence, |after| {
                if let Some(info) = infos.get(after) {
                    longest = longest.max(info.rank);
                }
            });
            if let Some(info) = infos.get_mut(sequence) {
                info.rank = info.cost.plus(longest);
            }
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
                    let list = self.infos.get(release.sequence).map(|info| info.list);
                    let list = list.map(|list| list.wrapping_sub(self.first_flying));
                    let list = list.and_then(|list| self.flying.get(list as usize));
                    poisoned.extend(list.map(|list| list.instruction(release.sequence)));
                    self.end(release.sequence, Outcome::Failed);
                } else {
                    self.make_ready(release.sequence, engine);
                }
            }
        }
        self.released = released;
        poisoned
    }

    fn make_ready(&mut self, sequence: Sequence, engine: Option<(Unit, usize)>) {
        let Some(info) = self.infos.get(sequence) else {
            return;
        };
        // What hangs on it takes as long as half of what is left.
        let decides = info.rank.0.saturating_mul(2 * self.compute_engines) >= self.work;
        let ready = Ready {
            sequence,
            urgent: decides.then_some(info.rank),
            level: self.analyser.graph().level(sequence),
            group: info.group,
        };
        let near = match engine {
            Some((kind, number)) if kind == info.unit => Some(number),
            _ => None,
        };
        let queue = match info.unit {
            Unit::Compute => &mut self.compute,
            Unit::Dma => &mut self.dma,
        };
        queue.push(ready, near);
    }

    /// Takes what an engine runs next and charges its cost.
    pub fn take(&mut self, unit: Unit, engine: usize) -> Option<Taken> {
        let sequence = match unit {
            Unit::Compute => self.compute.pop(engine),
            Unit::Dma => self.dma.pop(engine),
        }?;
        let info = self.infos.get_mut(sequence)?;
        info.running = true;
        self.running += 1;
        self.served += u128::from(info.cost.0.max(1)) * u128::from(self.rate);
        let list = info.list.wrapping_sub(self.first_flying);
        let list = self.flying.get_mut(list as usize)?;
        Some(Taken {
            first: !std::mem::replace(&mut list.taken, true),
            ..list.instruction(sequence)
        })
    }

    /// Ends an instruction that was taken; false when it was not.
    pub fn finish(&mut self, sequence: Sequence, outcome: Outcome) -> bool {
        let running = self
            .infos
            .get_mut(sequence)
            .is_some_and(|info| std::mem::take(&mut info.running));
        if running {
            self.running -= 1;
            self.end(sequence, outcome);
        }
        running
    }

    fn end(&mut self, sequence: Sequence, outcome: Outcome) {
        if let Some(info) = self.infos.get(sequence) {
            self.work -= info.cost.0.min(self.work);
        }
        self.pending -= 1;
        self.analyser.finish(sequence, outcome);
        if sequence == self.infos.base() {
            let oldest = self.analyser.graph().oldest();
            self.infos.forget_before(oldest);
            while self.flying.front().is_some_and(|it| it.end <= oldest) {
                self.flying.pop_front();
                self.first_flying = self.first_flying.wrapping_add(1);
            }
        }
    }
}

/// The number among the `flying` lists of a list whose next instruction gets
/// the sequence `next`; it is added when nothing of it is in flight.
fn fly(flying: (&mut VecDeque<Flying>, u32), queued: &Queued, next: Sequence) -> u32 {
    let (flying, first) = flying;
    if flying.back().is_none_or(|it| it.id != queued.id) {
        flying.push_back(Flying {
            id: queued.id,
            first: next - queued.next as u64,
            end: next,
            taken: false,
        });
    }
    first.wrapping_add(flying.len() as u32 - 1)
}
