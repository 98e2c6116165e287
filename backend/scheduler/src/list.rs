// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lists as the scheduler takes them: instructions with checked
//! operands, in program order.
//!
//! A list is checked while it is built, once, and cannot be wrong afterwards.
//! It knows regions and the objects they lie in, not what the instructions
//! compute.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use hashbrown::{DefaultHashBuilder, HashMap};
use thiserror::Error;

use crate::clock::Nanos;
use crate::overlap::overlaps;
use crate::region::{ADDRESS_LIMIT, Region};

/// Most operands of one instruction.
pub const MAX_OPERANDS: usize = 32;

/// What an instruction does with an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads it.
    Read,
    /// Overwrites it without looking at it.
    Write,
    /// Reads and overwrites it.
    ReadWrite,
}

impl Access {
    /// Whether the old bytes matter.
    #[must_use]
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// Whether the bytes change.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// The object (allocation) an operand lies in: whole-tensor tracking and the
/// granularity controller work by object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    start: u64,
    bytes: u64,
}

impl Object {
    /// The object of `bytes` bytes at device address `start`.
    ///
    /// # Errors
    /// [`ListError::Object`] when it is empty or leaves the address space.
    pub fn new(start: u64, bytes: u64) -> Result<Self, ListError> {
        match start.checked_add(bytes) {
            Some(end) if bytes > 0 && end <= ADDRESS_LIMIT => Ok(Self { start, bytes }),
            _ => Err(ListError::Object),
        }
    }

    /// First byte.
    #[must_use]
    pub fn start(self) -> u64 {
        self.start
    }

    /// Size in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    fn holds(self, region: &Region) -> bool {
        self.start <= region.start() && region.end() <= self.start + self.bytes
    }
}

/// One operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// The bytes.
    pub region: Region,
    /// Where they lie.
    pub object: Object,
    /// What is done with them.
    pub access: Access,
}

/// Which engines can run an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A compute engine.
    #[default]
    Compute,
    /// A DMA engine.
    Dma,
}

/// One instruction of a list, without its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    first_operand: u32,
    operands: u32,
    /// Modelled or estimated time on one engine.
    pub cost: Nanos,
    /// Who can run it.
    pub unit: Unit,
}

/// A name of all that decides whom the instructions of a list wait for, what they cost
/// and who can run them: a hash under two keys of this process, so that nobody can make
/// two lists alike.
pub type ListName = (u64, u64);

static KEYS: LazyLock<(DefaultHashBuilder, DefaultHashBuilder)> = LazyLock::new(Default::default);

/// Why an instruction does not go into a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// The list is as long as it may be.
    #[error("a list has at most {0} instructions")]
    TooLong(usize),
    /// More than [`MAX_OPERANDS`].
    #[error("an instruction has at most {MAX_OPERANDS} operands, not {0}")]
    TooManyOperands(usize),
    /// Two operands of one instruction write the same byte.
    #[error("operands {0} and {1} write the same byte")]
    OverlappingWrites(usize, usize),
    /// An operand reaches outside the object it is said to lie in.
    #[error("operand {0} reaches outside its object")]
    OutsideObject(usize),
    /// An object is empty or leaves the address space.
    #[error("the object is empty or leaves the address space")]
    Object,
}

/// Instructions in program order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandList {
    instructions: Vec<Instruction>,
    /// Of instructions that [`CommandList::share`] found alike, and in all parts
    /// of a list, they are there once.
    operands: Arc<Vec<Operand>>,
    limit: usize,
    name: ListName,
}

impl CommandList {
    /// An empty list that takes up to `limit` instructions.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            instructions: Vec::new(),
            operands: Arc::default(),
            limit,
            name: ListName::default(),
        }
    }

    /// Makes room for so many instructions more, and their operands.
    pub fn reserve(&mut self, instructions: usize, operands: usize) {
        self.instructions.reserve(instructions);
        Arc::make_mut(&mut self.operands).reserve(operands);
    }

    /// What the list is known by when it comes again: lists of equal
    /// instructions have equal names.
    #[must_use]
    pub fn name(&self) -> ListName {
        self.name
    }

    /// Appends an instruction.  An operand that is read and another that
    /// writes exactly the same bytes become one.
    ///
    /// # Errors
    /// Any of [`ListError`] but [`ListError::Object`]; the list is unchanged.
    pub fn push(&mut self, operands: &[Operand], cost: Nanos, unit: Unit) -> Result<(), ListError> {
        if self.instructions.len() >= self.limit {
            return Err(ListError::TooLong(self.limit));
        }
        if operands.len() > MAX_OPERANDS {
            return Err(ListError::TooManyOperands(operands.len()));
        }
        for (position, operand) in operands.iter().enumerate() {
            if !operand.object.holds(&operand.region) {
                return Err(ListError::OutsideObject(position));
            }
            if operand.access.writes() {
                let earlier = operands.iter().take(position).position(|other| {
                    other.access.writes() && overlaps(&other.region, &operand.region)
                });
                if let Some(earlier) = earlier {
                    return Err(ListError::OverlappingWrites(earlier, position));
                }
            }
        }
        let all = Arc::make_mut(&mut self.operands);
        let first = all.len();
        for operand in operands {
            let mine = all.get_mut(first..).unwrap_or_default();
            match mine.iter_mut().find(|other| other.region == operand.region) {
                Some(other) if other.access == operand.access => {}
                Some(other) => other.access = Access::ReadWrite,
                None => all.push(operand.clone()),
            }
        }
        let count = all.len() - first;
        self.add(Instruction {
            first_operand: first as u32,
            operands: count as u32,
            cost,
            unit,
        });
        Ok(())
    }

    /// Adds an instruction whose operands are there.
    fn add(&mut self, instruction: Instruction) {
        let mine = operands_of(&self.operands, &instruction);
        let name_under = |key: &DefaultHashBuilder, before: u64| {
            let mut hasher = key.build_hasher();
            hasher.write_u64(before);
            (instruction.cost, instruction.unit).hash(&mut hasher);
            for operand in mine {
                operand.hash(&mut hasher);
            }
            hasher.finish()
        };
        self.name = (
            name_under(&KEYS.0, self.name.0),
            name_under(&KEYS.1, self.name.1),
        );
        self.instructions.push(instruction);
    }

    /// Lets the newest instruction have its operands in common with an earlier
    /// one that has the same, if `seen`, which is of this list, knows one: long
    /// programs do the same again and again.
    pub(crate) fn share(&mut self, seen: &mut HashMap<u64, u32>) {
        let Some(newest) = self.instructions.last_mut() else {
            return;
        };
        let own = operands_of(&self.operands, newest);
        let first = newest.first_operand;
        let known = *seen.entry(KEYS.0.hash_one(own)).or_insert(first);
        let earlier = Instruction {
            first_operand: known,
            ..*newest
        };
        if known != first && operands_of(&self.operands, &earlier) == own {
            *newest = earlier;
            Arc::make_mut(&mut self.operands).truncate(first as usize);
        }
    }

    /// The list as lists of `length` and a shorter one, which have its operands
    /// in common.
    #[must_use]
    pub fn parts(&self, length: usize) -> Vec<Self> {
        let parts = self.instructions.chunks(length.max(1)).map(|instructions| {
            let mut part = Self {
                instructions: Vec::with_capacity(instructions.len()),
                operands: self.operands.clone(),
                limit: length,
                name: ListName::default(),
            };
            for &instruction in instructions {
                part.add(instruction);
            }
            part
        });
        parts.collect()
    }

    /// Number of instructions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Empties the list; its limit stays.
    pub fn clear(&mut self) {
        self.instructions.clear();
        match Arc::get_mut(&mut self.operands) {
            Some(operands) => operands.clear(),
            None => self.operands = Arc::default(),
        }
        self.name = ListName::default();
    }

    /// The instructions with their operands, in program order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Instruction, &[Operand])> {
        self.instructions
            .iter()
            .map(|instruction| (instruction, operands_of(&self.operands, instruction)))
    }

    /// The instruction at `position` with its operands.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<(&Instruction, &[Operand])> {
        let instruction = self.instructions.get(position)?;
        Some((instruction, operands_of(&self.operands, instruction)))
    }

    /// The operands of all instructions, by the first that has them: the list of
    /// which this is a part may have more.
    #[must_use]
    pub fn operands(&self) -> &[Operand] {
        &self.operands
    }
}

fn operands_of<'a>(operands: &'a [Operand], instruction: &Instruction) -> &'a [Operand] {
    let first = instruction.first_operand as usize;
    operands
        .get(first..first + instruction.operands as usize)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operand(start: u64, length: u64, access: Access) -> Operand {
        Operand {
            region: Region::contiguous(start, length).unwrap(),
            object: Object::new(0, 4096).unwrap(),
            access,
        }
    }

    fn push(list: &mut CommandList, operands: &[Operand]) -> Result<(), ListError> {
        list.push(operands, Nanos(1), Unit::Compute)
    }

    #[test]
    fn what_is_read_and_written_is_one_operand() {
        let mut list = CommandList::new(1);
        let operands = [
            operand(0, 64, Access::Read),
            operand(64, 64, Access::Read),
            operand(0, 64, Access::Write),
        ];
        push(&mut list, &operands).unwrap();
        let (_, merged) = list.get(0).unwrap();
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].access, Access::ReadWrite);
        assert_eq!(push(&mut list, &operands), Err(ListError::TooLong(1)));
    }

    #[test]
    fn instructions_with_the_same_operands_have_them_in_common() {
        let at = |start, access| operand(start, 64, access);
        let mut plain = CommandList::new(100);
        let mut shared = CommandList::new(100);
        let mut seen = HashMap::new();
        for step in 0..100u64 {
            let start = step % 5 * 64;
            let operands = [
                at(start, Access::Read),
                at(1024, Access::Write),
                at(start, Access::Write),
            ];
            push(&mut plain, &operands).unwrap();
            push(&mut shared, &operands).unwrap();
            shared.share(&mut seen);
        }
        assert_eq!((plain.operands().len(), shared.operands().len()), (200, 10));
        assert_eq!(plain.name(), shared.name());
        assert!(
            plain
                .iter()
                .map(|(_, it)| it)
                .eq(shared.iter().map(|(_, it)| it))
        );
        let parts = shared.parts(30);
        assert_eq!(parts.iter().map(CommandList::len).sum::<usize>(), 100);
        let of_parts = parts.iter().flat_map(CommandList::iter);
        assert!(
            of_parts
                .map(|(_, it)| it)
                .eq(plain.iter().map(|(_, it)| it))
        );
        assert_eq!(parts[0].name(), plain.parts(30)[0].name());
    }

    #[test]
    fn wrong_instructions_leave_the_list_as_it_was() {
        let mut list = CommandList::new(8);
        let twice = [operand(0, 64, Access::Write), operand(63, 2, Access::Write)];
        assert_eq!(
            push(&mut list, &twice),
            Err(ListError::OverlappingWrites(0, 1))
        );
        let outside = [operand(4090, 7, Access::Read)];
        assert_eq!(push(&mut list, &outside), Err(ListError::OutsideObject(0)));
        let many = vec![operand(0, 1, Access::Read); MAX_OPERANDS + 1];
        assert_eq!(
            push(&mut list, &many),
            Err(ListError::TooManyOperands(MAX_OPERANDS + 1))
        );
        assert_eq!(Object::new(8, 0), Err(ListError::Object));
        assert!(list.is_empty() && list.operands().is_empty());
    }
}
