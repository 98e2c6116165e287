// SPDX-License-Identifier: MIT OR Apache-2.0
//! What scheduling goes by, kept with each instruction in flight.
//!
//! It lies beside what the graph keeps of the instruction, since both are
//! looked up together; dependence analysis never looks at it.

use crate::clock::Nanos;
use crate::grouping::{Group, Grouping};
use crate::list::{Instruction, Operand, Unit};

/// Of one instruction in flight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// Modelled time on one engine.
    pub cost: Nanos,
    /// From its start to the end of the longest chain known to hang on it.
    pub rank: Nanos,
    pub group: Option<Group>,
    /// Which of the lists in flight it is in, counted from the first ever.
    pub list: u32,
    pub unit: Unit,
}

impl Attributes {
    /// Of an instruction of the list of this number in flight; its group follows
    /// what it writes, where there are groups.
    pub fn new(
        instruction: &Instruction,
        operands: &[Operand],
        list: u32,
        grouping: &mut Option<Grouping>,
    ) -> Self {
        Self {
            cost: instruction.cost,
            rank: instruction.cost,
            group: grouping.as_mut().and_then(|it| it.of(operands)),
            list,
            unit: instruction.unit,
        }
    }
}
