// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moves objects in device memory while work goes on, so that what commands use
//! together lies side by side, an object lies in one run, and memory is not used far
//! above the most that has lived at once.
//!
//! Nobody waits for it: a part of an object is copied by a DMA channel that has
//! nothing else to do, and the memory manager lets the copy count only when nothing has
//! changed the pages meanwhile and nothing uses them. What fails is tried again, ever
//! more rarely. Objects move again for the sake of others only when twice as many
//! commands use them together, so they do not wander.

mod plan;
mod survey;

use std::collections::{BTreeMap, VecDeque};

use augur_memory::{
    ContextId, Frame, Frames, HomeRun, Lru, Manager, Nanos, NotMoved, PageNumber, RelocationId,
};
use augur_scheduler::placement::together::Group;

use self::plan::Goal;
use self::survey::{Gathered, Proposal, Survey};
use crate::shared::{ContextInfo, Shared};

/// Objects larger than a local memory gain nothing from what lies beside them.
pub(crate) const LARGEST: u64 = 1 << 20;
/// Frames that are moved at a time.
const STEP: u32 = 256;
/// How long nothing must have changed before a plan is made.
const CALM: Nanos = Nanos(10_000_000);
/// How long a copy waits for what uses its object.
const PATIENCE: Nanos = Nanos(50_000_000);
/// The first pause after a step that came to nothing, and how often it is doubled
/// before the plan is given up.
const PAUSE: Nanos = Nanos(1_000_000);
const TRIES: u32 = 8;
/// The longest pause between plans that come to nothing.
const LONGEST: Nanos = Nanos(10_000_000_000);

/// A step under way.
struct Step {
    relocation: RelocationId,
    goal: Goal,
    since: Nanos,
}

/// What has to be as it was for nothing to be planned again: objects made, objects
/// there, and what is used together.
type Seen = (u64, u64, u64);

/// See the module's description.
#[derive(Default)]
pub(crate) struct Placer {
    goals: VecDeque<Goal>,
    step: Option<Step>,
    failures: u32,
    not_before: Nanos,
    /// The pause after the next plan that is given up.
    pause: Nanos,
    seen: Seen,
    seen_at: Nanos,
    planned: Option<Seen>,
    /// The group that the plan is for.
    gathering: Option<(ContextId, Group)>,
    gathered: Gathered,
}

/// Makes a plan when there is reason for one. The card's lock is held only to note
/// where everything is: to find a better place for thousands of objects takes longer
/// than a fault may wait. What has changed meanwhile is left where it is, as the memory
/// manager moves nothing to or from where it is not.
pub(crate) fn plan(shared: &Shared) {
    if !shared.config.moves_objects {
        return;
    }
    let survey = {
        let mut core = shared.core();
        let core = &mut *core;
        let now = shared.now();
        core.placer.survey(&core.manager, &core.contexts, now)
    };
    let Some(mut survey) = survey else {
        return;
    };
    let proposal = survey.propose();
    let mut core = shared.core();
    core.placer.adopt(survey, proposal);
    shared.place(&mut core);
    shared.carry_out(core);
}

impl Placer {
    /// Goes on with what is to be moved.
    pub fn advance(&mut self, manager: &mut Manager<Lru>, now: Nanos) {
        if let Some(step) = self.step.take() {
            if manager.is_relocating(step.relocation) {
                if now - step.since > PATIENCE {
                    manager.abandon_relocation(step.relocation);
                }
                self.step = Some(step);
                return;
            }
            self.ended(manager, step.goal, now);
        }
        if now >= self.not_before {
            self.begin(manager, now);
        }
    }

    /// A step has ended, one way or the other.
    fn ended(&mut self, manager: &Manager<Lru>, done: Goal, now: Nanos) {
        if manager.home_frame(done.object, done.first) != Some(done.to) {
            self.fail(now);
            return;
        }
        self.failures = 0;
        let Some(goal) = self.goals.front_mut() else {
            return;
        };
        goal.first = PageNumber(goal.first.0 + u64::from(done.frames));
        goal.frames -= done.frames.min(goal.frames);
        goal.from = Frame(goal.from.0 + done.frames);
        goal.to = Frame(goal.to.0 + done.frames);
        if goal.frames == 0 {
            self.goals.pop_front();
            if self.goals.is_empty() {
                self.pause = PAUSE;
                if let Some((context, group)) = self.gathering.take() {
                    let uses = |object| ((context, object), group.uses);
                    self.gathered.extend(group.objects.into_iter().map(uses));
                }
            }
        }
    }

    fn fail(&mut self, now: Nanos) {
        self.failures += 1;
        self.not_before = now + Nanos(PAUSE.0 << self.failures.min(TRIES));
        if self.failures > TRIES {
            self.give_up(now);
        }
    }

    /// What is left of the plan is not worth trying.
    fn give_up(&mut self, now: Nanos) {
        self.goals.clear();
        self.gathering = None;
        self.failures = 0;
        self.planned = None;
        self.pause = Nanos((self.pause.0 * 2).clamp(PAUSE.0, LONGEST.0));
        self.not_before = now + self.pause;
    }

    fn begin(&mut self, manager: &mut Manager<Lru>, now: Nanos) {
        let Some(goal) = self.goals.front() else {
            return;
        };
        let down = goal.from.0.saturating_sub(goal.to.0);
        // A part that slides onto itself does so in steps no longer than its way.
        let frames = if down > 0 && down < goal.frames {
            goal.frames.min(down).min(STEP)
        } else {
            goal.frames.min(STEP)
        };
        let step = Goal { frames, ..*goal };
        let to = HomeRun {
            first: step.to,
            count: Frames(frames),
        };
        match manager.relocate(step.context, step.object, step.first, to) {
            Ok(relocation) => {
                self.step = Some(Step {
                    relocation,
                    goal: step,
                    since: now,
                });
            }
            Err(NotMoved::NoObject) => self.give_up(now),
            Err(NotMoved::NotFree | NotMoved::Moving) => self.fail(now),
        }
    }

    /// Notes what a plan is made from, when there is reason for one.
    fn survey(
        &mut self,
        manager: &Manager<Lru>,
        contexts: &BTreeMap<ContextId, ContextInfo>,
        now: Nanos,
    ) -> Option<Survey> {
        if self.step.is_some() || !self.goals.is_empty() || now < self.not_before {
            return None;
        }
        let counters = manager.counters();
        let uses: u64 = contexts
            .values()
            .map(|info| info.usage.together().version())
            .sum();
        let seen = (counters.objects_made, counters.objects, uses);
        if seen != self.seen {
            (self.seen, self.seen_at) = (seen, now);
        }
        // Frames that are being freed are nobody's yet.
        let calm = now - self.seen_at >= CALM && manager.scrubbing_frames() == 0;
        if self.planned == Some(seen) || !calm {
            return None;
        }
        // Unless something comes of it.
        self.planned = Some(seen);
        Survey::take(manager, contexts, &mut self.gathered)
    }

    /// What a survey has led to.
    fn adopt(&mut self, survey: Survey, proposal: Option<Proposal>) {
        self.gathered = survey.into_gathered();
        if let Some(proposal) = proposal {
            log::debug!("{}", proposal.plan.reason);
            self.planned = None;
            self.gathering = proposal.gathering;
            self.goals = proposal.plan.goals.into();
        }
    }
}
