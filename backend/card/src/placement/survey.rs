// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is noted under the card's lock of where objects lie and what uses them together,
//! and which of the plans that can be made of it comes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use augur_memory::{ContextId, Frame, HomePart, Lru, Manager};
use augur_scheduler::list::Object;
use augur_scheduler::placement::together::Group;

use super::plan::{Plan, Snapshot};
use crate::shared::ContextInfo;
use crate::usage::Usage;

/// Bytes of objects that are kept side by side, at most.
const GROUP: u64 = 16 << 20;
/// Parts of objects among which a place is looked for, at most.
const MAX_PARTS: usize = 4096;

/// For objects that moved for others' sake, the uses that this was for.
pub(super) type Gathered = HashMap<(ContextId, Object), u64>;

/// See the module's description.
pub(super) struct Survey {
    parts: Vec<HomePart>,
    usages: Vec<(ContextId, Arc<Usage>)>,
    /// The first home frame, and how many there are.
    home: (Frame, u64),
    /// The most frames that have been objects at one time.
    peak: u64,
    gathered: Gathered,
}

/// What is to move, and the group for whose sake.
pub(super) struct Proposal {
    pub plan: Plan,
    pub gathering: Option<(ContextId, Group)>,
}

impl Survey {
    /// Notes all that there is; `None` when that is too much to find a place in.
    pub fn take(
        manager: &Manager<Lru>,
        contexts: &BTreeMap<ContextId, ContextInfo>,
        gathered: &mut Gathered,
    ) -> Option<Self> {
        let parts: Vec<HomePart> = manager.home_parts().take(MAX_PARTS + 1).collect();
        if parts.len() > MAX_PARTS {
            return None;
        }
        let config = manager.config();
        let frames = config.memory.0 - config.aperture.0;
        Some(Survey {
            parts,
            usages: (contexts.iter())
                .map(|(&context, info)| (context, info.usage.clone()))
                .collect(),
            home: (Frame(config.aperture.0), frames.into()),
            peak: manager.counters().peak_object_frames,
            gathered: std::mem::take(gathered),
        })
    }

    /// What was gathered, of objects that are there.
    pub fn into_gathered(self) -> Gathered {
        self.gathered
    }

    /// What is best moved, if anything is.
    pub fn propose(&mut self) -> Option<Proposal> {
        let groups = self.groups();
        let parts = std::mem::take(&mut self.parts);
        let snapshot = Snapshot::new(parts, self.home, self.peak, &groups);
        for (context, group) in &groups {
            let moved = |object: &Object| self.gathered.get(&(*context, *object));
            let before = group.objects.iter().filter_map(moved).max();
            if before.is_some_and(|&before| group.uses < 2 * before) {
                continue;
            }
            if let Some(plan) = snapshot.gather(*context, group) {
                return Some(Proposal {
                    plan,
                    gathering: Some((*context, group.clone())),
                });
            }
        }
        let plan = snapshot.mend().or_else(|| snapshot.lower())?;
        Some(Proposal {
            plan,
            gathering: None,
        })
    }

    /// What each context uses together, of objects that are there.
    fn groups(&mut self) -> Vec<(ContextId, Group)> {
        let mut bytes: HashMap<(ContextId, u64), u64> = HashMap::new();
        for part in &self.parts {
            let object = (part.context, part.start.address().0);
            *bytes.entry(object).or_default() += part.run.count.bytes();
        }
        let exists = |context: ContextId, object: Object| {
            bytes.get(&(context, object.start())) == Some(&object.bytes())
        };
        self.gathered
            .retain(|&(context, object), _| exists(context, object));
        let mut groups = Vec::new();
        for (context, usage) in &self.usages {
            // Lists are noted in it as they come.
            let together = {
                let mut together = usage.together();
                together.retain(|object| exists(*context, object));
                together.clone()
            };
            groups.extend(together.groups(GROUP).into_iter().map(|it| (*context, it)));
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use augur_memory::{DeviceAddress, Frames, HomeRun, ObjectId};
    use augur_scheduler::list::{Access, Operand};
    use augur_scheduler::placement::together::Pairs;
    use augur_scheduler::region::Region;

    const CONTEXT: ContextId = ContextId(1);

    fn object(number: u64) -> Object {
        Object::new(number << 21, 4096).unwrap()
    }

    fn part(number: u64, frame: u32) -> HomePart {
        let start = DeviceAddress(object(number).start()).page();
        HomePart {
            context: CONTEXT,
            object: ObjectId(number),
            start,
            first: start,
            run: HomeRun {
                first: Frame(frame),
                count: Frames(1),
            },
        }
    }

    fn use_together(usage: &Usage, numbers: [u64; 2], times: u64) {
        let operand = |number| Operand {
            region: Region::contiguous(object(number).start(), 64).unwrap(),
            object: object(number),
            access: Access::Read,
        };
        let mut pairs = Pairs::default();
        for _ in 0..times {
            pairs.add(&numbers.map(operand), 1 << 20);
        }
        usage.together().note(&pairs);
    }

    #[test]
    fn a_group_moves_again_when_twice_as_many_commands_use_it() {
        let usage = Arc::new(Usage::default());
        use_together(&usage, [1, 3], 40);
        let propose = |gathered: Gathered| {
            let mut survey = Survey {
                parts: vec![part(1, 10), part(2, 11), part(3, 12)],
                usages: vec![(CONTEXT, usage.clone())],
                home: (Frame(10), 100),
                peak: 3,
                gathered,
            };
            let proposal = survey.propose();
            let objects = |it: Proposal| it.gathering.unwrap().1.objects;
            (proposal.map(objects), survey.into_gathered())
        };
        let wanted = Some(vec![object(1), object(3)]);
        assert_eq!(propose(Gathered::new()).0, wanted);
        // What is not there any more is forgotten.
        let known: Gathered = [1, 3, 9]
            .map(|number| ((CONTEXT, object(number)), 40))
            .into();
        let (found, known) = propose(known);
        assert_eq!((found, known.len()), (None, 2));
        use_together(&usage, [1, 3], 39);
        assert_eq!(propose(known.clone()).0, None);
        use_together(&usage, [1, 3], 1);
        assert_eq!(propose(known).0, wanted);
    }
}
