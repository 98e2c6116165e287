// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the graph says of the order in which to run: who waits for whom, and the
//! longest chains.

use super::edge::Waiter;
use super::{Graph, Sequence, Standing};
use crate::clock::Nanos;
use crate::replay::Inside;

impl Graph {
    /// Calls `visit` with each instruction that waits for `sequence`, in no
    /// order.
    pub fn for_each_successor(&self, sequence: Sequence, mut visit: impl FnMut(Sequence)) {
        if self.standing(sequence) == Standing::InFlight {
            self.for_each_waiter(sequence, |after, _| visit(after));
        }
    }

    /// The same with whether it reads what `sequence` writes; `sequence` may have ended, if
    /// what waited for it has not been let go.
    pub(super) fn for_each_waiter(
        &self,
        sequence: Sequence,
        mut visit: impl FnMut(Sequence, bool),
    ) {
        let Some(node) = self.nodes.get(sequence) else {
            return;
        };
        for edge in node.edges().iter(&self.edges) {
            match edge.waiter() {
                Waiter::One(after, reads) => visit(after, reads),
                Waiter::Run(list, start) => {
                    if let Some((first, template)) = self.lists.replayed(list) {
                        template.for_each_of_run(start, |it| visit(it.after(first), it.reads()));
                    }
                }
            }
        }
        if node.inside != Inside::NOBODY
            && let Some((_, template)) = self.lists.replayed(node.attributes.list)
        {
            template.for_each_inside(node.inside, |it| visit(it.after(sequence), it.reads()));
        }
    }

    /// Finds the longest chain behind each of these instructions; those behind
    /// later ones are known.
    pub(crate) fn rank(&mut self, which: std::ops::Range<Sequence>) {
        for sequence in which.rev() {
            let mut longest = Nanos(0);
            self.for_each_successor(sequence, |after| {
                if let Some(node) = self.nodes.get(after) {
                    longest = longest.max(node.attributes.rank);
                }
            });
            if let Some(node) = self.nodes.get_mut(sequence) {
                node.attributes.rank = node.attributes.cost.plus(longest);
            }
        }
    }
}
