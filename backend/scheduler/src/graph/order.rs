// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the graph says of the order in which to run: who waits for whom, and the
//! longest chains.

use super::edge::Waiter;
use super::replayed::Replayed;
use super::{Graph, Sequence};
use crate::clock::Nanos;

impl Graph {
    /// Calls `visit` with each instruction that waits for `sequence`, in no
    /// order.
    pub fn for_each_successor(&self, sequence: Sequence, mut visit: impl FnMut(Sequence)) {
        let Some(node) = self.nodes.get(sequence) else {
            return;
        };
        for edge in node.edges().iter(&self.edges) {
            match edge.waiter() {
                Waiter::One(after, _) => visit(after),
                Waiter::Part(list, group) => {
                    if let Some(Replayed { first, template }) = self.lists.get(list) {
                        let waiting = template.waiting(group).iter();
                        waiting.for_each(|after| visit(first + after.place()));
                    }
                }
            }
        }
        if node.replayed
            && let Some(Replayed { first, template }) = self.lists.get(node.list)
        {
            for after in template.successors((sequence - first) as usize) {
                visit(first + after.place());
            }
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
