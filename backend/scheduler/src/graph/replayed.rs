// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists whose analysis was replayed: edges between their instructions are in
//! their templates, not in the graph.

use std::collections::VecDeque;
use std::sync::Arc;

use super::edge::Edge;
use super::{Graph, Node, Release, Sequence};
use crate::attributes::Attributes;
use crate::replay::Template;

/// A replayed list.
#[derive(Debug)]
pub struct Replayed {
    /// Its first instruction.
    pub first: Sequence,
    pub template: Arc<Template>,
}

/// Those of which something is remembered, by number.
#[derive(Debug, Default)]
pub struct ReplayedLists {
    lists: VecDeque<Replayed>,
    /// The number of the first of them.  Numbers wrap.
    first: u32,
}

impl ReplayedLists {
    /// The number of the list that is added next.
    pub fn next(&self) -> u32 {
        self.first.wrapping_add(self.lists.len() as u32)
    }

    pub fn push(&mut self, list: Replayed) {
        self.lists.push_back(list);
    }

    #[inline]
    pub fn get(&self, number: u32) -> Option<&Replayed> {
        self.lists.get(number.wrapping_sub(self.first) as usize)
    }

    /// Forgets lists all of whose instructions lie before `oldest`.
    pub fn forget_before(&mut self, oldest: Sequence) {
        while let Some(Replayed { first, template }) = self.lists.front()
            && first + template.len() as u64 <= oldest
        {
            self.lists.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

impl Graph {
    /// Adds all instructions of a list whose analysis is known, each with `held`
    /// holds and its own of `holds`, and one of the `attributes`.  Nothing that
    /// has failed may be remembered.
    pub(crate) fn replay(
        &mut self,
        template: &Arc<Template>,
        held: u32,
        holds: &[u32],
        attributes: impl ExactSizeIterator<Item = Attributes>,
    ) -> Sequence {
        let first = self.next();
        let list = self.lists.next();
        let steps = template.steps.iter().zip(attributes);
        self.nodes.extend(steps.map(|(step, attributes)| {
            Node::replayed(first, list, step.waits + held, step.level, attributes)
        }));
        for (sequence, &own) in (first..).zip(holds) {
            if let Some(node) = self.nodes.get_mut(sequence) {
                node.pending += own;
            }
        }
        let floor = self.await_boundary(template, first, list);
        if floor > 0 {
            self.nodes.for_each_since(first, |node| node.level += floor);
        }
        for &place in template.roots.iter().rev() {
            let sequence = first + u64::from(place);
            if let Some(node) = self.nodes.get(sequence)
                && node.pending == 0
            {
                self.released.push(Release::of(sequence, node));
            }
        }
        self.lists.push(Replayed {
            first,
            template: template.clone(),
        });
        self.in_flight += template.len();
        self.edge_total += template.inside() as u64;
        first
    }

    /// Makes the instructions of a list wait for those before it that are in
    /// flight; returns the length of the longest chain before any of them.
    fn await_boundary(&mut self, template: &Template, first: Sequence, list: u32) -> u32 {
        let mut floor = 0;
        // All that lies further back has ended.
        let reach = first - self.nodes.base();
        let boundary = template.boundary();
        let known = boundary.partition_point(|part| u64::from(part.back) > reach);
        for (group, part) in boundary.iter().enumerate().skip(known) {
            let Some(node) = self.nodes.known_mut(first - u64::from(part.back)) else {
                continue;
            };
            if node.ended {
                continue;
            }
            floor = floor.max(node.level + 1);
            let waiting = template.waiting(group);
            let edge = match waiting {
                [only] => Edge::one(first + only.place(), only.reads()),
                _ => Edge::part(list, group),
            };
            node.add(edge, &mut self.edges);
            self.edge_total += waiting.len() as u64;
            for after in waiting {
                if let Some(node) = self.nodes.known_mut(first + after.place()) {
                    node.pending += 1;
                }
            }
        }
        floor
    }
}
