// SPDX-License-Identifier: MIT OR Apache-2.0
//! Things with names that are looked up all the time: contexts and lists.
//!
//! A name is a number that is never given twice, and the slot the thing lies
//! in, so that finding it is one comparison.  Slots are used again, so memory
//! follows the number of things there are at once.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The name of a thing: ordered by age.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    number: u64,
    slot: u32,
}

impl Name {
    /// Nothing has this name.
    pub const NONE: Self = Self {
        number: u64::MAX,
        slot: u32::MAX,
    };
}

// The number alone tells names apart.
impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

/// Things by their names.
#[derive(Debug)]
pub struct Slots<T> {
    slots: Vec<Option<(u64, T)>>,
    free: Vec<u32>,
    next: u64,
}

impl<T> Slots<T> {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            next: 0,
        }
    }

    /// The name that the next thing will get.
    pub fn next_name(&self) -> Name {
        let slot = self.free.last().copied();
        Name {
            number: self.next,
            slot: slot.unwrap_or(self.slots.len() as u32),
        }
    }

    /// Adds a thing.
    pub fn insert(&mut self, thing: T) -> Name {
        let name = self.next_name();
        self.next += 1;
        let entry = Some((name.number, thing));
        match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = entry;
                }
            }
            None => self.slots.push(entry),
        }
        name
    }

    /// Whether a name was ever given.
    pub fn was_named(&self, name: Name) -> bool {
        name.number < self.next
    }

    pub fn get(&self, name: Name) -> Option<&T> {
        match self.slots.get(name.slot as usize) {
            Some(Some((number, thing))) if *number == name.number => Some(thing),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, name: Name) -> Option<&mut T> {
        match self.slots.get_mut(name.slot as usize) {
            Some(Some((number, thing))) if *number == name.number => Some(thing),
            _ => None,
        }
    }

    pub fn remove(&mut self, name: Name) -> Option<T> {
        let slot = self.slots.get_mut(name.slot as usize)?;
        if slot
            .as_ref()
            .is_none_or(|(number, _)| *number != name.number)
        {
            return None;
        }
        self.free.push(name.slot);
        slot.take().map(|(_, thing)| thing)
    }

    pub fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// All things with their names, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &T)> {
        (0..).zip(&self.slots).filter_map(|(slot, entry)| {
            let (number, thing) = entry.as_ref()?;
            let number = *number;
            Some((Name { number, slot }, thing))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_old_names_find_nothing() {
        let mut slots = Slots::new();
        let (first, second) = (slots.insert('a'), slots.insert('b'));
        assert_eq!(slots.remove(first), Some('a'));
        assert_eq!(slots.remove(first), None);
        let third = slots.insert('c');
        assert_eq!(slots.slots.len(), 2);
        assert_eq!((slots.get(first), slots.get(third)), (None, Some(&'c')));
        assert!(first < second && second < third);
        let named: Vec<char> = slots.iter().map(|(_, thing)| *thing).collect();
        assert_eq!(named, ['c', 'b']);
        assert!(slots.was_named(first) && !slots.was_named(slots.next_name()));
    }
}
