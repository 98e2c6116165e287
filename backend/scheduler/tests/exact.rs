// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of exact analysis, against an oracle that knows only bytes:
//! every pair of conflicting instructions is ordered, and no edge joins two
//! instructions that do not conflict.

#![allow(
    clippy::expect_used,
    reason = "helpers of tests may stop at a surprise"
)]

mod arena;

use std::collections::HashMap;

use augur_scheduler::analyser::{Analyser, Limits};
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{Object, Operand};
use augur_scheduler::policy::Policy;

use arena::{ARENA, Bytes, Random, conflict, instruction_in, meet};

/// A random instruction that writes unless `reads_only` says so.
fn instruction(random: &mut Random, reads_only: bool) -> (Vec<Operand>, Bytes) {
    let object = Object::new(0, ARENA).expect("the arena is an object");
    instruction_in(random, reads_only, |_| Some(object))
}

struct Tally {
    missed: u64,
    false_edges: u64,
    conflicts: u64,
    edges: u64,
}

/// Analyses one random list and compares every pair with the oracle.
fn check_list(policy: Policy, random: &mut Random, length: usize, tally: &mut Tally) {
    let mut analyser = Analyser::new(policy, Limits::NONE);
    let mut all = Vec::new();
    for _ in 0..length {
        let (operands, bytes) = instruction(random, false);
        analyser.submit(&operands, 0);
        all.push(bytes);
    }
    let words = length.div_ceil(64);
    let mut before = vec![vec![0u64; words]; length];
    let mut edges: HashMap<usize, Vec<usize>> = HashMap::new();
    for earlier in 0..length {
        analyser
            .graph()
            .for_each_successor(earlier as u64, |later| {
                edges.entry(later as usize).or_default().push(earlier);
            });
    }
    for later in 0..length {
        for &earlier in edges.get(&later).into_iter().flatten() {
            tally.edges += 1;
            tally.false_edges += u64::from(!conflict(&all[earlier], &all[later]));
            let (left, right) = before.split_at_mut(later);
            right[0][earlier / 64] |= 1 << (earlier % 64);
            for (mine, theirs) in right[0].iter_mut().zip(&left[earlier]) {
                *mine |= theirs;
            }
        }
        for earlier in 0..later {
            if conflict(&all[earlier], &all[later]) {
                tally.conflicts += 1;
                let ordered = before[later][earlier / 64] >> (earlier % 64) & 1 == 1;
                tally.missed += u64::from(!ordered);
            }
        }
    }
}

fn check(policy: Policy, instructions: u64, seed: u64) -> Tally {
    let mut random = Random(seed);
    let mut tally = Tally {
        missed: 0,
        false_edges: 0,
        conflicts: 0,
        edges: 0,
    };
    let mut done = 0;
    while done < instructions {
        let length = 1 + random.below(512) as usize;
        check_list(policy, &mut random, length, &mut tally);
        done += length as u64;
    }
    tally
}

/// `AUGUR_ORACLE_INSTRUCTIONS` makes the run longer.
fn instructions() -> u64 {
    std::env::var("AUGUR_ORACLE_INSTRUCTIONS")
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(20_000)
}

#[test]
fn exact_orders_every_conflict_and_nothing_else() {
    let tally = check(Policy::Exact, instructions(), 0x5eed_0001);
    println!(
        "exact: {} conflicts, {} edges",
        tally.conflicts, tally.edges
    );
    assert!(tally.conflicts > tally.edges && tally.edges > 0);
    assert_eq!((tally.missed, tally.false_edges), (0, 0));
}

#[test]
fn adaptive_orders_every_conflict_and_nothing_else() {
    let tally = check(Policy::Adaptive, instructions(), 0x5eed_0002);
    println!(
        "adaptive: {} conflicts, {} edges",
        tally.conflicts, tally.edges
    );
    assert_eq!((tally.missed, tally.false_edges), (0, 0));
}

#[test]
fn coarse_policies_miss_no_conflict() {
    for policy in [Policy::Tensor, Policy::Block(6), Policy::Block(9)] {
        let tally = check(policy, instructions() / 10, 0x5eed_0003);
        assert_eq!(tally.missed, 0, "{policy}");
    }
}

/// Runs a random program with instructions ending in any order, some failing,
/// under limits so small that the past is forgotten all the time.
/// Writes are one in `writes`.  Returns how often granularity changed.
fn run_live(policy: Policy, seed: u64, length: usize, failing: bool, writes: u64) -> (u64, u64) {
    // What failed is remembered until it is overwritten, so it needs room.
    let limits = Limits {
        window: 40,
        edges: 200,
        cells: if failing { 4096 } else { 60 },
        links: if failing { 1 << 20 } else { 400 },
        failures: 1 << 12,
    };
    let mut random = Random(seed);
    let mut analyser = Analyser::new(policy, limits);
    let mut all: Vec<Bytes> = Vec::new();
    // What program order says: who fails because of what it reads.
    let mut tainted = vec![0u64; ARENA as usize / 64];
    let mut fails_itself = Vec::new();
    let mut must_be_poisoned = Vec::new();
    let mut ended: Vec<bool> = Vec::new();
    let mut failed: Vec<bool> = Vec::new();
    let mut ready: Vec<(usize, bool)> = Vec::new();
    let mut next = instruction(&mut random, false);
    while all.len() < length || ended.iter().any(|ended| !ended) {
        if all.len() < length && random.below(3) > 0 && analyser.make_room().is_ok() {
            analyser.submit(&next.0, 0);
            let reads_only = random.below(writes) > 0;
            let bytes = std::mem::replace(&mut next, instruction(&mut random, reads_only)).1;
            let poisoned = meet(&tainted, &bytes.reads);
            let fails = failing && random.below(10) == 0;
            for (word, writes) in tainted.iter_mut().zip(&bytes.writes) {
                if poisoned || fails {
                    *word |= writes;
                } else {
                    *word &= !writes;
                }
            }
            must_be_poisoned.push(poisoned);
            fails_itself.push(fails);
            all.push(bytes);
            ended.push(false);
            failed.push(false);
        } else if !ready.is_empty() {
            let at = random.below(ready.len() as u64) as usize;
            let (index, poisoned) = ready.swap_remove(at);
            // Whoever reads what a failure left behind is poisoned; whoever is
            // poisoned conflicts with a failure that it reads from.
            assert!(poisoned || !must_be_poisoned[index], "instruction {index}");
            let reads_failure = (0..index)
                .any(|earlier| failed[earlier] && meet(&all[earlier].writes, &all[index].reads));
            assert!(!poisoned || reads_failure, "instruction {index}");
            failed[index] = poisoned || fails_itself[index];
            let outcome = if failed[index] {
                Outcome::Failed
            } else {
                Outcome::Done
            };
            assert!(analyser.finish(index as u64, outcome));
            assert!(!analyser.finish(index as u64, outcome), "it ends once");
            ended[index] = true;
        }
        while let Some(release) = analyser.pop_released() {
            let index = release.sequence as usize;
            for earlier in 0..index {
                assert!(
                    ended[earlier] || !conflict(&all[earlier], &all[index]),
                    "{policy}: {index} was released before {earlier} had ended"
                );
            }
            ready.push((index, release.poisoned));
        }
        assert!(analyser.graph().window() <= limits.window);
        assert!(analyser.cells() <= limits.cells + 4 + limits.window * 4);
    }
    analyser.granularity_changes()
}

#[test]
fn nothing_is_released_early_and_failures_reach_readers_only() {
    for seed in 1..40 {
        for failing in [false, true] {
            run_live(Policy::Exact, seed, 400, failing, 1);
            run_live(Policy::Adaptive, seed + 1000, 400, failing, 1);
        }
    }
}

#[test]
fn splitting_and_merging_while_work_is_queued_misses_nothing() {
    let mut changes = (0, 0);
    for seed in 1..8 {
        let (splits, merges) = run_live(Policy::Adaptive, seed, 3000, seed % 3 == 0, 300);
        changes = (changes.0 + splits, changes.1 + merges);
    }
    assert!(changes.0 > 3 && changes.1 > 0, "{changes:?}");
}
