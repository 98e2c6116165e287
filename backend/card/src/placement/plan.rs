// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where objects should go: what is used together side by side, each object in one
//! run, and all of them no higher than a little above the most that has lived at once.
//! How they get there is not known here.

use std::collections::HashMap;

use augur_memory::{ContextId, DeviceAddress, Frame, HomePart, ObjectId, PageNumber};
use augur_scheduler::placement::layout::{Layout, room};
use augur_scheduler::placement::together::Group;

/// Pages of an object and the frames that they are to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub context: ContextId,
    pub object: ObjectId,
    pub first: PageNumber,
    pub frames: u32,
    pub from: Frame,
    pub to: Frame,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// So many objects are used together by so many commands.
    Together { objects: usize, uses: u64 },
    /// An object lies in so many runs.
    Scattered { runs: usize },
    /// Memory is used up to here, in frames, of what may be.
    High { end: u64, room: u64 },
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

/// What is to move, in this order, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub reason: Reason,
    pub goals: Vec<Goal>,
}

/// Parts that lie side by side and stay together.
#[derive(Debug)]
struct Item {
    parts: Vec<HomePart>,
    first: u64,
    frames: u64,
}

/// Where everything is, and what belongs together.
#[derive(Debug)]
pub(super) struct Snapshot {
    base: u32,
    frames: u64,
    peak: u64,
    items: Vec<Item>,
    /// The parts of each object, by context and first page, lowest first.
    of_object: HashMap<(ContextId, PageNumber), Vec<HomePart>>,
    layout: Layout,
}

fn end_of(part: &HomePart) -> u32 {
    part.run.first.0 + part.run.count.0
}

fn goal(part: &HomePart, to: u64) -> Goal {
    Goal {
        context: part.context,
        object: part.object,
        first: part.first,
        frames: part.run.count.0,
        from: part.run.first,
        to: Frame(to as u32),
    }
}

impl Snapshot {
    /// `parts` in memory of so many frames from `base` on, `peak` of which have been
    /// objects at one time. `groups` belong together where they lie together.
    pub fn new(
        mut parts: Vec<HomePart>,
        (base, frames): (Frame, u64),
        peak: u64,
        groups: &[(ContextId, Group)],
    ) -> Self {
        parts.sort_unstable_by_key(|part| part.run.first.0);
        let mut group_of = HashMap::new();
        for (number, (context, group)) in groups.iter().enumerate() {
            for object in &group.objects {
                group_of.insert((*context, object.start()), number);
            }
        }
        let group = |part: &HomePart| group_of.get(&(part.context, part.start.address().0));
        let mut items: Vec<Item> = Vec::new();
        let mut of_object: HashMap<_, Vec<HomePart>> = HashMap::new();
        for part in parts {
            let object = of_object.entry((part.context, part.start));
            object.or_default().push(part);
            let joins = items.last().and_then(|item| item.parts.last());
            let joins = joins.is_some_and(|before| {
                end_of(before) == part.run.first.0
                    && (before.object == part.object
                        || group(before).is_some() && group(before) == group(&part))
            });
            let frames = u64::from(part.run.count.0);
            match items.last_mut() {
                Some(item) if joins => {
                    item.frames += frames;
                    item.parts.push(part);
                }
                _ => items.push(Item {
                    first: u64::from(part.run.first.0.saturating_sub(base.0)),
                    frames,
                    parts: vec![part],
                }),
            }
        }
        let mut layout = Layout::default();
        for (number, item) in items.iter().enumerate() {
            layout.put(number, item.first, item.frames);
        }
        Snapshot {
            base: base.0,
            frames,
            peak,
            items,
            of_object,
            layout,
        }
    }

    /// Frames up to which memory is used.
    pub fn end(&self) -> u64 {
        let top = self.layout.topmost();
        top.map_or(0, |(_, offset, frames)| offset + frames)
    }

    /// Frames up to which it may be.
    fn room(&self) -> u64 {
        room(self.peak).min(self.frames)
    }

    /// Puts the objects of a group side by side; `None` when they are, when one of them
    /// is gone, or where there is no room.
    pub fn gather(&self, context: ContextId, group: &Group) -> Option<Plan> {
        let mut members: Vec<HomePart> = Vec::new();
        for object in &group.objects {
            let start = DeviceAddress(object.start()).page();
            members.extend(self.of_object.get(&(context, start))?);
        }
        let reason = Reason::Together {
            objects: group.objects.len(),
            uses: group.uses,
        };
        Some(Plan {
            reason,
            goals: self.side_by_side(members)?,
        })
    }

    /// Puts an object that lies in several runs into one.
    pub fn mend(&self) -> Option<Plan> {
        let mut scattered: Vec<&Vec<HomePart>> = self
            .of_object
            .values()
            .filter(|parts| parts.len() > 1)
            .collect();
        scattered.sort_unstable_by_key(|parts| parts.first().map(|part| part.object));
        scattered.into_iter().find_map(|parts| {
            let mut members = parts.clone();
            members.sort_unstable_by_key(|part| part.first.0);
            Some(Plan {
                reason: Reason::Scattered {
                    runs: members.len(),
                },
                goals: self.side_by_side(members)?,
            })
        })
    }

    /// Lowers what lies highest, when memory is used too far up.
    pub fn lower(&self) -> Option<Plan> {
        let (end, room) = (self.end(), self.room());
        let (top, _, frames) = self.layout.topmost().filter(|_| end > room)?;
        let mut rest = self.layout.clone();
        rest.free(top);
        let (place, slides) = rest.find(frames, room)?;
        let mut goals = Vec::new();
        for slide in slides {
            self.move_item(slide.item, slide.to, &mut goals);
        }
        self.move_item(top, place, &mut goals);
        let reason = Reason::High { end, room };
        (!goals.is_empty()).then_some(Plan { reason, goals })
    }

    fn move_item(&self, item: usize, to: u64, goals: &mut Vec<Goal>) {
        let Some(item) = self.items.get(item) else {
            return;
        };
        let mut to = u64::from(self.base) + to;
        for part in &item.parts {
            goals.push(goal(part, to));
            to += u64::from(part.run.count.0);
        }
    }

    /// Moves as few of these as possible so that they lie side by side; in their
    /// order, when all of them move. `None` when they do, or nowhere can.
    fn side_by_side(&self, members: Vec<HomePart>) -> Option<Vec<Goal>> {
        let whole = |parts: &[HomePart]| {
            parts.windows(2).all(|pair| {
                pair[0].object != pair[1].object
                    || pair[0].first.0 + u64::from(pair[0].run.count.0) == pair[1].first.0
            })
        };
        let frames = |parts: &[HomePart]| -> u64 {
            parts.iter().map(|part| u64::from(part.run.count.0)).sum()
        };
        // The longest stretch of them that lie side by side already, in order.
        let mut sorted = members.clone();
        sorted.sort_unstable_by_key(|part| part.run.first.0);
        let mut kept: &[HomePart] = &[];
        let mut from = 0;
        for at in 1..=sorted.len() {
            let ends = sorted.get(at).is_none_or(|next| {
                let before = sorted.get(at - 1);
                before.is_none_or(|before| end_of(before) != next.run.first.0)
            });
            if ends {
                let stretch = sorted.get(from..at).unwrap_or_default();
                if whole(stretch) && frames(stretch) > frames(kept) {
                    kept = stretch;
                }
                from = at;
            }
        }
        if kept.len() == members.len() {
            return None;
        }
        let is_kept = |part: &HomePart| kept.contains(part);
        let rest: Vec<HomePart> = members.iter().filter(|it| !is_kept(it)).copied().collect();
        let behind = kept
            .last()
            .map_or(0, |part| u64::from(end_of(part).saturating_sub(self.base)));
        // An object must not be kept in part, with its first pages behind its last.
        let split = rest.iter().any(|part| {
            kept.iter()
                .any(|it| it.object == part.object && part.first < it.first)
        });
        if !split && self.layout.room_at(behind, self.frames) >= frames(&rest) {
            return Some(self.in_turn(&rest, behind));
        }
        let size = frames(&members);
        let gap = self.layout.smallest_gap(size, self.room());
        let gap = gap.or_else(|| self.layout.smallest_gap(size, self.frames))?;
        Some(self.in_turn(&members, gap))
    }

    fn in_turn(&self, parts: &[HomePart], from: u64) -> Vec<Goal> {
        let mut to = u64::from(self.base) + from;
        let mut goals = Vec::with_capacity(parts.len());
        for part in parts {
            goals.push(goal(part, to));
            to += u64::from(part.run.count.0);
        }
        goals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use augur_memory::{Frames, HomeRun};
    use augur_scheduler::list::Object;

    const CONTEXT: ContextId = ContextId(1);
    const BASE: u32 = 100;

    /// Objects are named by the number of their first page over 512.
    fn part(object: u64, page: u64, at: u32, frames: u32) -> HomePart {
        let start = PageNumber(object << 9);
        HomePart {
            context: CONTEXT,
            object: ObjectId(object),
            start,
            first: PageNumber(start.0 + page),
            run: HomeRun {
                first: Frame(BASE + at),
                count: Frames(frames),
            },
        }
    }

    fn group(objects: &[u64]) -> Group {
        let object = |number: &u64| Object::new(number << 21, 4096).unwrap();
        Group {
            objects: objects.iter().map(object).collect(),
            uses: 50,
        }
    }

    fn snapshot(parts: &[HomePart], peak: u64, groups: &[Group]) -> Snapshot {
        let groups: Vec<_> = groups.iter().map(|it| (CONTEXT, it.clone())).collect();
        Snapshot::new(parts.to_vec(), (Frame(BASE), 1000), peak, &groups)
    }

    fn moves(plan: Option<Plan>) -> Vec<(u64, u32, u32)> {
        let goals = plan.map_or(Vec::new(), |plan| plan.goals);
        let brief = |it: &Goal| (it.object.0, it.from.0 - BASE, it.to.0 - BASE);
        goals.iter().map(brief).collect()
    }

    #[test]
    fn what_is_used_together_moves_behind_the_longest_that_is_there() {
        let parts = [part(1, 0, 0, 8), part(2, 0, 8, 4), part(3, 0, 20, 4)];
        let wanted = group(&[3, 1]);
        let found = snapshot(&parts, 16, &[]).gather(CONTEXT, &wanted);
        // No room behind 1, so both go to the smallest gap that holds them.
        assert_eq!(moves(found), [(3, 20, 24), (1, 0, 28)]);
        let found = snapshot(&parts, 16, &[]).gather(CONTEXT, &group(&[2, 3]));
        assert_eq!(moves(found), [(3, 20, 12)]);
        let beside = [part(1, 0, 0, 8), part(3, 0, 8, 4)];
        assert_eq!(snapshot(&beside, 12, &[]).gather(CONTEXT, &wanted), None);
        assert_eq!(
            snapshot(&parts, 16, &[]).gather(CONTEXT, &group(&[1, 9])),
            None
        );
        let full = [part(1, 0, 0, 498), part(2, 0, 498, 4), part(3, 0, 502, 498)];
        assert_eq!(snapshot(&full, 1000, &[]).gather(CONTEXT, &wanted), None);
    }

    #[test]
    fn an_object_in_pieces_becomes_one() {
        let parts = [
            part(1, 0, 40, 4),
            part(1, 4, 0, 6),
            part(1, 10, 60, 2),
            part(2, 0, 30, 5),
        ];
        // The longest piece has others before it.
        let found = snapshot(&parts, 20, &[]).mend();
        assert_eq!(moves(found), [(1, 40, 6), (1, 0, 10), (1, 60, 16)]);
        let found = snapshot(&[part(1, 0, 0, 6), part(1, 6, 9, 2)], 8, &[]).mend();
        assert_eq!(moves(found), [(1, 9, 6)]);
        assert_eq!(snapshot(&[part(1, 0, 3, 6)], 6, &[]).mend(), None);
    }

    #[test]
    fn what_lies_too_high_is_lowered_with_what_belongs_to_it() {
        let parts = [part(1, 0, 0, 20), part(2, 0, 90, 5), part(3, 0, 95, 5)];
        assert_eq!(moves(snapshot(&parts, 30, &[]).lower()), [(3, 95, 20)]);
        let together = snapshot(&parts, 30, &[group(&[2, 3])]);
        assert_eq!(moves(together.lower()), [(2, 90, 20), (3, 95, 25)]);
        assert_eq!(snapshot(&parts, 90, &[]).lower(), None);
        // What is in the way slides down for it.
        let parts = [part(1, 0, 2, 20), part(2, 0, 24, 6), part(3, 0, 90, 4)];
        let found = snapshot(&parts, 31, &[]).lower();
        assert_eq!(moves(found), [(3, 90, 30)]);
        let parts = [part(1, 0, 2, 20), part(2, 0, 24, 8), part(3, 0, 90, 4)];
        let found = snapshot(&parts, 31, &[]).lower();
        assert_eq!(moves(found), [(2, 24, 22), (3, 90, 30)]);
    }
}
