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

use std::collections::{BTreeMap, HashMap, VecDeque};

use augur_memory::{
    ContextId, Frame, Frames, HomePart, HomeRun, Lru, Manager, Nanos, NotMoved, PageNumber,
    RelocationId,
};
use augur_scheduler::list::Object;
use augur_scheduler::placement::together::Group;

use self::plan::{Goal, Plan, Reason, Snapshot};
use crate::shared::ContextInfo;

/// Objects larger than a local memory gain nothing from what lies beside them.
pub(crate) const LARGEST: u64 = 1 << 20;
/// Bytes of objects that are kept side by side, at most.
const GROUP: u64 = 16 << 20;
/// Frames that are moved at a time.
const STEP: u32 = 256;
/// Parts of objects among which a place is looked for, at most.
const MAX_PARTS: usize = 4096;
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
    /// For objects that moved for others' sake, the uses that this was for.
    gathered: HashMap<(ContextId, Object), u64>,
    /// Plans that were made.
    pub plans: u64,
}

impl Placer {
    /// Goes on with what is to be moved, or sees whether anything is.
    pub fn advance(
        &mut self,
        manager: &mut Manager<Lru>,
        contexts: &BTreeMap<ContextId, ContextInfo>,
        now: Nanos,
    ) {
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
        if now < self.not_before {
            return;
        }
        if self.goals.is_empty() {
            self.consider(manager, contexts, now);
        }
        self.begin(manager, now);
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

    /// Makes a plan when there is reason for one.
    fn consider(
        &mut self,
        manager: &Manager<Lru>,
        contexts: &BTreeMap<ContextId, ContextInfo>,
        now: Nanos,
    ) {
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
            return;
        }
        match self.plan(manager, contexts) {
            Some(plan) => {
                log::debug!("{}", plan.reason);
                self.plans += 1;
                self.goals = plan.goals.into();
            }
            None => self.planned = Some(seen),
        }
    }

    fn plan(
        &mut self,
        manager: &Manager<Lru>,
        contexts: &BTreeMap<ContextId, ContextInfo>,
    ) -> Option<Plan> {
        let parts: Vec<HomePart> = manager.home_parts().take(MAX_PARTS + 1).collect();
        if parts.len() > MAX_PARTS {
            return None;
        }
        let groups = self.groups(&parts, contexts);
        let config = manager.config();
        let memory = u64::from(config.memory.0 - config.aperture.0);
        let home = (Frame(config.aperture.0), memory);
        let peak = manager.counters().peak_object_frames;
        let snapshot = Snapshot::new(parts, home, peak, &groups);
        for (context, group) in &groups {
            let moved = |object: &Object| self.gathered.get(&(*context, *object));
            let before = group.objects.iter().filter_map(moved).max();
            if before.is_some_and(|&before| group.uses < 2 * before) {
                continue;
            }
            if let Some(plan) = snapshot.gather(*context, group) {
                self.gathering = Some((*context, group.clone()));
                return Some(plan);
            }
        }
        snapshot.mend().or_else(|| snapshot.lower())
    }

    /// What each context uses together, of objects that are there.
    fn groups(
        &mut self,
        parts: &[HomePart],
        contexts: &BTreeMap<ContextId, ContextInfo>,
    ) -> Vec<(ContextId, Group)> {
        let mut bytes: HashMap<(ContextId, u64), u64> = HashMap::new();
        for part in parts {
            let object = (part.context, part.start.address().0);
            *bytes.entry(object).or_default() += part.run.count.bytes();
        }
        let exists = |context: ContextId, object: Object| {
            bytes.get(&(context, object.start())) == Some(&object.bytes())
        };
        self.gathered
            .retain(|&(context, object), _| exists(context, object));
        let mut groups = Vec::new();
        for (&context, info) in contexts {
            let mut together = info.usage.together();
            together.retain(|object| exists(context, object));
            groups.extend(together.groups(GROUP).into_iter().map(|it| (context, it)));
        }
        groups
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Together { objects, uses } => write!(
                formatter,
                "put {objects} objects side by side: {uses} commands use them together"
            ),
            Reason::Scattered { runs } => {
                write!(formatter, "put an object into one run: it lies in {runs}")
            }
            Reason::High { end, room } => write!(
                formatter,
                "lower what lies highest: memory is used up to frame {end} of {room}"
            ),
        }
    }
}
