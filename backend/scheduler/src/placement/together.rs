// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which objects instructions use together, and so which are to lie side by side.
//!
//! Counts grow with the instructions that name two objects and are halved when there
//! are too many to keep, so that what was long ago does not count for ever.  Where
//! the objects lie is not known here.

use hashbrown::HashMap;

use crate::list::{Object, Operand};

/// Pairs of one list that are counted.
const MAX_OF_LIST: usize = 64;
/// Pairs that are remembered.
const MAX_PAIRS: usize = 1024;
/// Instructions that have to use two objects before that counts.
const ENOUGH: u64 = 32;

/// Two objects, the lower first.
pub type Pair = (Object, Object);

/// The pairs of objects that the instructions of one list use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    counts: Vec<(Pair, u64)>,
}

impl Pairs {
    /// An instruction uses these; objects of more than `largest` bytes gain nothing
    /// from what lies beside them, and are not counted.
    pub fn add(&mut self, operands: &[Operand], largest: u64) {
        for (at, one) in operands.iter().enumerate() {
            for other in operands.get(at + 1..).unwrap_or_default() {
                let (a, b) = (one.object, other.object);
                if a != b && a.bytes() <= largest && b.bytes() <= largest {
                    let pair = if a.start() < b.start() {
                        (a, b)
                    } else {
                        (b, a)
                    };
                    self.count(pair);
                }
            }
        }
    }

    fn count(&mut self, pair: Pair) {
        // The next instruction mostly uses what the one before did.
        match self.counts.iter().rposition(|(known, _)| *known == pair) {
            Some(at) => {
                if let Some((_, count)) = self.counts.get_mut(at) {
                    *count += 1;
                }
            }
            None if self.counts.len() < MAX_OF_LIST => self.counts.push((pair, 1)),
            None => {}
        }
    }

    /// Whether no instruction uses two objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// What the lists of a context use together.  See the module's description.
#[derive(Clone, Debug, Default)]
pub struct Together {
    counts: HashMap<Pair, u64>,
    /// Changes when more pairs count.
    version: u64,
}

/// Objects that are to lie side by side, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The objects.
    pub objects: Vec<Object>,
    /// Instructions that use two of them.
    pub uses: u64,
}

impl Group {
    /// Bytes of all objects.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|it| it.bytes()).sum()
    }
}

impl Together {
    /// A list was submitted.
    pub fn note(&mut self, pairs: &Pairs) {
        for &(pair, count) in &pairs.counts {
            if self.counts.len() >= MAX_PAIRS && !self.counts.contains_key(&pair) {
                self.counts.retain(|_, count| {
                    *count /= 2;
                    *count > 0
                });
            }
            let known = self.counts.entry(pair).or_default();
            let before = *known;
            *known = known.saturating_add(count);
            self.version += u64::from(before < ENOUGH && *known >= ENOUGH);
        }
    }

    /// Another number when groups may be others.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Forgets objects that are gone.
    pub fn retain(&mut self, exists: impl Fn(Object) -> bool) {
        self.counts.retain(|&(a, b), _| exists(a) && exists(b));
    }

    /// The objects that are used together most, in groups of at most `most` bytes.
    #[must_use]
    pub fn groups(&self, most: u64) -> Vec<Group> {
        let mut pairs: Vec<(Pair, u64)> = self.counts.iter().map(|(&it, &n)| (it, n)).collect();
        pairs.retain(|&(_, count)| count >= ENOUGH);
        let place = |(a, b): Pair| (a.start(), b.start());
        pairs.sort_unstable_by_key(|&(pair, count)| (std::cmp::Reverse(count), place(pair)));
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of: HashMap<Object, usize> = HashMap::new();
        for ((a, b), uses) in pairs {
            let mut find = |object: Object| {
                *group_of.entry(object).or_insert_with(|| {
                    groups.push(Group {
                        objects: vec![object],
                        uses: 0,
                    });
                    groups.len() - 1
                })
            };
            let (one, other) = (find(a), find(b));
            let bytes = |at: usize| groups.get(at).map_or(u64::MAX, Group::bytes);
            if one == other {
                if let Some(group) = groups.get_mut(one) {
                    group.uses += uses;
                }
            } else if bytes(one).saturating_add(bytes(other)) <= most {
                let (into, from) = (one.min(other), one.max(other));
                let joined = groups.get_mut(from).map(|group| Group {
                    objects: std::mem::take(&mut group.objects),
                    uses: std::mem::take(&mut group.uses),
                });
                if let (Some(joined), Some(group)) = (joined, groups.get_mut(into)) {
                    for &object in &joined.objects {
                        group_of.insert(object, into);
                    }
                    group.objects.extend(joined.objects);
                    group.uses += joined.uses + uses;
                }
            }
        }
        groups.retain(|group| group.objects.len() > 1);
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Access;
    use crate::region::Region;

    fn object(number: u64) -> Object {
        Object::new(number << 20, 4096).unwrap()
    }

    fn uses(numbers: &[u64]) -> Vec<Operand> {
        let operand = |&number: &u64| Operand {
            region: Region::contiguous(number << 20, 64).unwrap(),
            object: object(number),
            access: Access::Read,
        };
        numbers.iter().map(operand).collect()
    }

    fn noted(lists: &[(&[u64], u64)]) -> Together {
        let mut together = Together::default();
        for (numbers, times) in lists {
            let mut pairs = Pairs::default();
            for _ in 0..*times {
                pairs.add(&uses(numbers), 1 << 20);
            }
            together.note(&pairs);
        }
        together
    }

    #[test]
    fn what_is_used_together_often_is_a_group_until_that_is_large_enough() {
        let together = noted(&[(&[1, 2, 1], 40), (&[3, 4], 50), (&[2, 3], 39), (&[5, 6], 9)]);
        let numbers = |most| -> Vec<Vec<u64>> {
            let groups = together.groups(most).into_iter();
            groups
                .map(|group| group.objects.iter().map(|it| it.start() >> 20).collect())
                .collect()
        };
        // 1 and 2 are named twice by each.
        assert_eq!(numbers(3 * 4096), [vec![1, 2], vec![3, 4]]);
        assert_eq!(numbers(4 * 4096), [vec![1, 2, 3, 4]]);
        assert_eq!(together.groups(1 << 20)[0].uses, 80 + 50 + 39);
        assert_eq!(together.version(), 3);
        assert!(noted(&[(&[1, 1], 99)]).groups(1 << 20).is_empty());
    }

    #[test]
    fn large_objects_do_not_count_and_what_is_remembered_is_bounded() {
        let mut pairs = Pairs::default();
        pairs.add(&uses(&[1, 2]), 4095);
        assert!(pairs.is_empty());
        let mut together = noted(&[(&[1, 2], 1 << 20)]);
        for number in 10..5000 {
            let mut pairs = Pairs::default();
            pairs.add(&uses(&[number, number + 1]), 4096);
            together.note(&pairs);
            assert!(together.counts.len() <= MAX_PAIRS);
        }
        assert_eq!(together.groups(8192).len(), 1);
        together.retain(|it| it != object(1));
        assert!(together.groups(8192).is_empty());
    }
}
