// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pages next to the one touched, mostly those after it.

use super::{Expert, Moment};
use crate::proposal::Proposals;

/// Pages ahead, in the order of their ranks.
const AHEAD: u64 = 16;
/// Pages behind.
const BEHIND: u64 = 4;

/// Proposes neighbours.
#[derive(Debug)]
pub struct NextPages;

impl Expert for NextPages {
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals) {
        for step in 1..=AHEAD {
            to.add(moment.page.wrapping_add(step), me, step as usize - 1);
        }
        for step in 1..=BEHIND {
            to.add(
                moment.page.wrapping_sub(step),
                me,
                (AHEAD + step) as usize - 1,
            );
        }
    }
}
