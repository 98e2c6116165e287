// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program's graph says before anything runs: its edges, its longest
//! chain, and the shortest time any schedule can take.

use crate::analyser::{Analyser, Limits};
use crate::clock::Nanos;
use crate::list::{CommandList, Operand};
use crate::policy::Policy;
use crate::profile::Profile;

/// The whole dependence graph of a program under one policy, as if nothing had
/// ended before everything was analysed.
#[derive(Debug)]
pub struct WholeGraph {
    analyser: Analyser,
}

impl WholeGraph {
    /// Analyses all of `list`.
    #[must_use]
    pub fn new(list: &CommandList, policy: Policy) -> Self {
        let mut analyser = Analyser::new(policy, Limits::NONE);
        for (_, operands) in list.iter() {
            analyser.submit(operands, 0);
        }
        Self { analyser }
    }

    /// Number of edges.
    #[must_use]
    pub fn edges(&self) -> u64 {
        self.analyser.graph().edge_total()
    }

    /// Calls `visit(before, after)` for every edge, by rising `before`.
    pub fn for_each_edge(&self, mut visit: impl FnMut(u64, u64)) {
        let graph = self.analyser.graph();
        for before in 0..graph.next() {
            graph.for_each_successor(before, |after| visit(before, after));
        }
    }

    /// The longest chain of dependent instructions, by their costs in `list`.
    #[must_use]
    pub fn critical_path(&self, list: &CommandList) -> Nanos {
        let mut starts = vec![Nanos(0); list.len()];
        let mut longest = Nanos(0);
        for (position, (instruction, _)) in list.iter().enumerate() {
            let end = starts
                .get(position)
                .map_or(Nanos(0), |start| start.plus(instruction.cost));
            longest = longest.max(end);
            let graph = self.analyser.graph();
            graph.for_each_successor(position as u64, |after| {
                if let Some(start) = starts.get_mut(after as usize) {
                    *start = end.max(*start);
                }
            });
        }
        longest
    }
}

/// No schedule on `engines` engines is shorter: the longest chain, the work
/// spread evenly, the compulsory bytes at full link speed.
#[must_use]
pub fn lower_bound(
    list: &CommandList,
    exact_critical_path: Nanos,
    engines: usize,
    compulsory_bytes: u64,
    profile: &Profile,
) -> Nanos {
    let work: u64 = list.iter().map(|(instruction, _)| instruction.cost.0).sum();
    exact_critical_path
        .max(Nanos(work.div_ceil(engines.max(1) as u64)))
        .max(profile.transfer(compulsory_bytes))
}

/// The most accesses to cells that analysing `list` under `policy` may take: of
/// one instruction, and of all.
#[must_use]
pub fn most_accesses(list: &CommandList, policy: Policy) -> (u64, u64) {
    let cells = |operand: &Operand| match policy {
        Policy::Block(bits) => {
            let region = &operand.region;
            let spanned = ((region.end() - 1) >> bits) - (region.start() >> bits) + 1;
            let of_run = (region.run_bytes() >> bits) + 2;
            spanned.min(region.runs().saturating_mul(of_run))
        }
        _ => 1,
    };
    list.iter()
        .fold((0, 0), |(most, all): (u64, u64), (_, operands)| {
            let own = operands.iter().map(cells).fold(0, u64::saturating_add);
            (most.max(own), all.saturating_add(own))
        })
}
