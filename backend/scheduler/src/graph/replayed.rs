// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists whose analysis is replayed: edges between their instructions are in
//! their templates, not in the graph.

use std::sync::Arc;

use super::edge::Edge;
use super::{Graph, Node, Sequence};
use crate::attributes::Attributes;
use crate::replay::{Follower, Template};
use crate::ring::entry;

impl Graph {
    /// Adds all instructions of the list of this number, whose analysis is known,
    /// each with `held` holds and its own of `holds`, and one of the `attributes`.
    /// Nothing that has failed may be remembered.
    pub(crate) fn replay(
        &mut self,
        list: u32,
        template: &Arc<Template>,
        held: u32,
        holds: &[u32],
        attributes: &[Attributes],
    ) -> Sequence {
        let first = self.next();
        self.waits.clear();
        self.waits.extend_from_slice(&template.waits);
        if held > 0 {
            self.waits.iter_mut().for_each(|waits| *waits += held);
        }
        for (waits, &own) in self.waits.iter_mut().zip(holds) {
            *waits += own;
        }
        let floor = self.await_boundary(template, first, list);
        // The latest first.
        let beyond = first + self.waits.len() as u64;
        for (back, &waits) in (1..).zip(self.waits.iter().rev()) {
            if waits == 0 {
                self.released.push(beyond - back);
            }
        }
        let mut sequence = first;
        let nodes = template.steps.iter().zip(&self.waits).zip(attributes);
        self.nodes.extend(nodes.map(|((step, &waits), &known)| {
            let attributes = Attributes { list, ..known };
            let level = step.level + floor;
            let node = Node::replayed(sequence, waits, level, step.inside, attributes);
            sequence += 1;
            node
        }));
        self.lists.replay(template);
        self.in_flight += template.len();
        self.edge_total += template.edges as u64;
        first
    }

    /// Makes the instructions of a list, which are added next, wait for those
    /// before it that are in flight; returns the length of the longest chain
    /// before any of them.
    fn await_boundary(&mut self, template: &Template, first: Sequence, list: u32) -> u32 {
        // All that lies further back has ended.
        let reach = first - self.nodes.base();
        let boundary = &template.boundary;
        let known = boundary.partition_point(|part| u64::from(part.back) > reach);
        let (mut floor, mut edges) = (0, 0);
        let (slots, waits) = (self.nodes.slots_mut(), self.waits.as_mut_slice());
        let followers = template.followers.as_slice();
        for part in boundary.get(known..).unwrap_or_default() {
            let Some(node) = entry(slots, first - u64::from(part.back)) else {
                continue;
            };
            if node.has_ended() {
                continue;
            }
            let Some([latest, others @ ..]) = followers.get(part.start as usize..) else {
                continue;
            };
            floor = floor.max(node.level + 1);
            edges += 1;
            await_one(waits, *latest);
            if latest.is_last() {
                let edge = Edge::one(latest.after(first), latest.reads());
                node.add(edge, &mut self.edges);
                continue;
            }
            node.add(Edge::run(list, part.start), &mut self.edges);
            for other in others {
                edges += 1;
                await_one(waits, *other);
                if other.is_last() {
                    break;
                }
            }
        }
        self.edge_total += edges;
        floor
    }
}

/// Counts one more that `after`, one of a list, waits for.
#[inline(always)]
fn await_one(waits: &mut [u32], after: Follower) {
    if let Some(waits) = waits.get_mut(after.behind()) {
        *waits += 1;
    }
}
