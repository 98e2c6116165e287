// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists whose analysis is replayed: edges between their instructions are in
//! their templates, not in the graph.

use std::sync::Arc;

use super::edge::Edge;
use super::{Graph, Node, Release, Sequence};
use crate::attributes::Attributes;
use crate::replay::Template;

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
        let steps = &template.steps;
        self.waits.clear();
        self.waits
            .extend(steps.iter().map(|step| step.waits + held));
        for (waits, &own) in self.waits.iter_mut().zip(holds) {
            *waits += own;
        }
        let floor = self.await_boundary(template, first, list);
        let (known, released) = (self.released.len(), &mut self.released);
        let mut sequence = first;
        let nodes = steps.iter().zip(&self.waits).zip(attributes);
        self.nodes.extend(nodes.map(|((step, &waits), &known)| {
            let attributes = Attributes { list, ..known };
            let level = step.level + floor;
            let node = Node::replayed(sequence, waits, level, step.inside, attributes);
            if waits == 0 {
                released.push(Release::of(sequence, &node));
            }
            sequence += 1;
            node
        }));
        // The latest first.
        self.released.get_mut(known..).unwrap_or_default().reverse();
        self.lists.replay(template);
        self.in_flight += template.len();
        self.edge_total += template.edges as u64;
        first
    }

    /// Makes the instructions of a list, which are added next, wait for those
    /// before it that are in flight; returns the length of the longest chain
    /// before any of them.
    fn await_boundary(&mut self, template: &Template, first: Sequence, list: u32) -> u32 {
        let mut floor = 0;
        // All that lies further back has ended.
        let reach = first - self.nodes.base();
        let boundary = &template.boundary;
        let known = boundary.partition_point(|part| u64::from(part.back) > reach);
        for part in boundary.get(known..).unwrap_or_default() {
            let Some(node) = self.nodes.known_mut(first - u64::from(part.back)) else {
                continue;
            };
            if node.ended {
                continue;
            }
            floor = floor.max(node.level + 1);
            let waiting = template.waiting(part);
            let edge = match waiting {
                [only] => Edge::one(only.after(first), only.reads()),
                _ => Edge::run(list, part.start),
            };
            node.add(edge, &mut self.edges);
            self.edge_total += waiting.len() as u64;
            for after in waiting {
                if let Some(waits) = self.waits.get_mut(after.behind()) {
                    *waits += 1;
                }
            }
        }
        floor
    }
}
