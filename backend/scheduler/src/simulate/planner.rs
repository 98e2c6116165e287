// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which atom is brought to the card next.
//!
//! The link is slow, so what it brings first decides what the engines can do
//! meanwhile.  The atom comes first that completes the data of most
//! instructions whose predecessors have theirs, or will have when what was
//! asked for has arrived; then the one that is one step from that; then the
//! one used first.  So operands that share partners come together, and a chain
//! counts once however long it is.  Nothing here orders instructions.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::atoms::{Atom, Atoms};
use crate::list::Access;
use crate::pool::{EMPTY, Pool};

/// Instructions that lack more than this many atoms are alike.
const CLASSES: usize = 3;

/// What is known of an instruction.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Instructions before it that lack data.
    behind: u32,
    /// Atoms that nobody has asked for.
    missing: u32,
    /// Those that come behind it.
    next: u32,
}

/// What is known of an atom.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// Nobody has asked for it, and these instructions want it.
    waiting: Vec<u32>,
    /// Of them, how many can start once they have all, by what they lack.
    scores: [u32; CLASSES],
    first_use: u32,
    last_writer: Option<u32>,
    /// It is on its way.
    asked: bool,
}

type Order = (Reverse<u32>, Reverse<u32>, u32, Atom);

/// Orders the fills of one program.
#[derive(Debug)]
pub struct Planner {
    plans: Vec<Plan>,
    atoms: Vec<Wanted>,
    behind: Pool<u32>,
    order: BTreeSet<Order>,
    scratch: Vec<(Atom, Access)>,
}

impl Planner {
    pub fn new(atoms: usize) -> Self {
        Self {
            plans: Vec::new(),
            atoms: vec![Wanted::default(); atoms],
            behind: Pool::new(),
            order: BTreeSet::new(),
            scratch: Vec::new(),
        }
    }

    /// Adds the next instruction, which uses `uses` and lacks `missing`.
    pub fn add(&mut self, program: &Atoms, uses: &[(Atom, Access)], missing: &[Atom]) {
        let instruction = self.plans.len() as u32;
        let mut plan = Plan {
            behind: 0,
            missing: 0,
            next: EMPTY,
        };
        for &(atom, access) in uses {
            let Some(known) = self.atoms.get_mut(atom as usize) else {
                continue;
            };
            let writer = known.last_writer;
            if access.writes() {
                known.last_writer = Some(instruction);
            }
            if let Some(writer) = writer
                && let Some(before) = self.plans.get_mut(writer as usize)
                && (before.behind > 0 || before.missing > 0)
            {
                self.behind.push(&mut before.next, instruction);
                plan.behind += 1;
            }
        }
        for &atom in missing {
            if let Some(known) = self.atoms.get_mut(atom as usize)
                && !known.asked
            {
                if known.waiting.is_empty() {
                    known.first_use = instruction;
                }
                known.waiting.push(instruction);
                plan.missing += 1;
            }
        }
        self.plans.push(plan);
        if plan.behind == 0 && plan.missing > 0 {
            self.count(program, instruction, plan.missing, true);
        }
    }

    /// The atom to be asked for next.
    pub fn next(&self) -> Option<Atom> {
        self.order.first().map(|&(.., atom)| atom)
    }

    /// Notes that an atom has arrived.
    pub fn arrived(&mut self, atom: Atom) {
        if let Some(known) = self.atoms.get_mut(atom as usize) {
            known.asked = false;
        }
    }

    /// Notes that an atom was asked for.
    pub fn asked(&mut self, program: &Atoms, atom: Atom) {
        let Some(known) = self.atoms.get_mut(atom as usize) else {
            return;
        };
        let waiting = std::mem::take(&mut known.waiting);
        self.order.remove(&key(known, atom));
        known.scores = [0; CLASSES];
        known.asked = true;
        for instruction in waiting {
            let Some(plan) = self.plans.get_mut(instruction as usize) else {
                continue;
            };
            let before = plan.missing;
            plan.missing -= 1;
            let (after, first) = (plan.missing, plan.behind == 0);
            if !first {
                continue;
            }
            if class(before) != class(after) || after == 0 {
                self.count(program, instruction, before, false);
                if after > 0 {
                    self.count(program, instruction, after, true);
                }
            }
            if after == 0 {
                self.complete(program, instruction);
            }
        }
    }

    /// Lets those come that are behind an instruction that has its data.
    fn complete(&mut self, program: &Atoms, instruction: u32) {
        let mut complete = vec![instruction];
        while let Some(instruction) = complete.pop() {
            let Some(plan) = self.plans.get_mut(instruction as usize) else {
                continue;
            };
            let mut next = std::mem::replace(&mut plan.next, EMPTY);
            while let Some(after) = self.behind.pop(&mut next) {
                let Some(plan) = self.plans.get_mut(after as usize) else {
                    continue;
                };
                plan.behind -= 1;
                if plan.behind > 0 {
                    continue;
                }
                match plan.missing {
                    0 => complete.push(after),
                    missing => self.count(program, after, missing, true),
                }
            }
        }
    }

    /// Adds an instruction that lacks `missing` atoms to their scores, or takes
    /// it out.
    fn count(&mut self, program: &Atoms, instruction: u32, missing: u32, add: bool) {
        let mut uses = std::mem::take(&mut self.scratch);
        program.uses(instruction as usize, &mut uses);
        for &(atom, _) in &uses {
            let Some(known) = self.atoms.get_mut(atom as usize) else {
                continue;
            };
            if known.waiting.is_empty() {
                continue;
            }
            if known.scores != [0; CLASSES] {
                self.order.remove(&key(known, atom));
            }
            if let Some(score) = known.scores.get_mut(class(missing)) {
                *score = if add {
                    *score + 1
                } else {
                    score.saturating_sub(1)
                };
            }
            if known.scores != [0; CLASSES] {
                self.order.insert(key(known, atom));
            }
        }
        self.scratch = uses;
    }
}

fn class(missing: u32) -> usize {
    (missing as usize).clamp(1, CLASSES) - 1
}

fn key(wanted: &Wanted, atom: Atom) -> Order {
    let [one, two, _] = wanted.scores;
    (Reverse(one), Reverse(two), wanted.first_use, atom)
}
