// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of replay: lists that come again, after whatever other lists,
//! are ordered as an oracle says that knows only bytes, neither less nor more.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests may stop at a surprise"
)]

mod arena;

use std::num::NonZeroU32;

use arena::{ARENA, Bytes, Random, conflict, instruction_in, meet};
use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{CommandList, Object, Unit};
use augur_scheduler::policy::Policy;
use augur_scheduler::scheduler::{Config, Engine, Scheduler, Work};

const OBJECT: u64 = ARENA / 4;
const BYTES: usize = ARENA as usize / 64;
/// Instructions of the longest list.
const LONGEST: usize = 40;

#[derive(Clone)]
struct List {
    commands: CommandList,
    bytes: Vec<Bytes>,
}

/// A list that writes only the first `written` objects.
fn list(random: &mut Random, written: u64) -> List {
    let mut commands = CommandList::new(64);
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(LONGEST as u64) {
        loop {
            let (operands, touched) = instruction_in(random, false, |region| {
                let start = region.start() / OBJECT * OBJECT;
                let inside = region.end() <= start + OBJECT;
                inside.then(|| Object::new(start, OBJECT).unwrap())
            });
            let writes = |it: &augur_scheduler::list::Operand| {
                it.access.writes() && it.object.start() >= written * OBJECT
            };
            if !operands.iter().any(writes) {
                commands.push(&operands, Nanos(1), Unit::Compute).unwrap();
                bytes.push(touched);
                break;
            }
        }
    }
    List { commands, bytes }
}

/// One instruction as the oracle sees it.
struct Seen {
    bytes: Bytes,
    taken: bool,
    ended: bool,
    failed: bool,
}

/// Submits lists of a small stock in random order and ends work in random
/// order, some of it failed.  Returns how many instructions were replayed.
fn run(policy: Policy, seed: u64, limits: Limits, failures: bool, rounds: usize) -> u64 {
    let mut random = Random(seed);
    let stock: Vec<List> = (0..5).map(|at| list(&mut random, at % 5)).collect();
    let mut scheduler = Scheduler::new(Config {
        compute_engines: 3,
        dma_engines: 1,
        policy,
        limits,
        queued_instructions: limits.window / 4,
    });
    let context = scheduler.add_context(NonZeroU32::MIN);
    let mut all: Vec<Seen> = Vec::new();
    let mut firsts = Vec::new();
    let mut running: Vec<(usize, Work)> = Vec::new();
    let mut next = 0;
    let mut submitted = 0;
    let mut waits_for_all = false;
    while submitted < rounds || !scheduler.is_idle() {
        let roll = random.below(10);
        waits_for_all &= !scheduler.is_idle();
        if submitted < rounds && roll < 2 && !waits_for_all {
            waits_for_all = random.below(6) == 0;
            // Mostly in turn, now and then any.
            next = if random.below(24) == 0 {
                random.below(stock.len() as u64) as usize
            } else {
                (next + 1) % stock.len()
            };
            let list = &stock[next];
            let sent = scheduler.submit(context, list.commands.clone(), &[], Nanos(0));
            if let Ok(id) = sent {
                submitted += 1;
                firsts.push((id, all.len()));
                all.extend(list.bytes.iter().map(|bytes| Seen {
                    bytes: bytes.clone(),
                    taken: false,
                    ended: false,
                    failed: false,
                }));
            }
        } else if roll < 6 || running.is_empty() {
            let engine = random.below(3) as usize;
            match scheduler.take(Engine::Compute(engine), Nanos(0)) {
                Some(work) => {
                    let first = firsts.iter().find(|(id, _)| *id == work.list).unwrap().1;
                    let index = first + work.position as usize;
                    let poisoned = poisoned(&all);
                    for earlier in 0..index {
                        assert!(
                            !conflict(&all[earlier].bytes, &all[index].bytes)
                                || all[earlier].ended
                                || poisoned[earlier].1,
                            "{policy} seed {seed}: {index} was taken before {earlier} had ended"
                        );
                    }
                    assert!(!poisoned[index].0, "{policy} seed {seed}: {index}");
                    assert!(!std::mem::replace(&mut all[index].taken, true));
                    running.push((index, work));
                }
                None if limits.links == Limits::CARD.links => {
                    nothing_more_may_run(&all, limits.window, policy, seed);
                }
                None => {}
            }
        } else {
            // One, or several at once.
            let most = if random.below(4) == 0 { 8 } else { 1 };
            let mut done = Vec::new();
            while done.len() < most && !running.is_empty() {
                let at = random.below(running.len() as u64) as usize;
                let (index, work) = running.swap_remove(at);
                let fails = failures && random.below(400) == 0;
                let outcome = if fails {
                    Outcome::Failed
                } else {
                    Outcome::Done
                };
                all[index].ended = true;
                all[index].failed = fails;
                done.push((work, outcome));
            }
            scheduler.finish_all(&done, Nanos(0));
        }
        while scheduler.pop_ended().is_some() {}
    }
    for (seen, (_, poisoned)) in all.iter().zip(poisoned(&all)) {
        assert!(seen.ended || poisoned, "{policy} seed {seed}");
    }
    scheduler.analyser(context).unwrap().replayed()
}

/// For each instruction, whether it must be poisoned and whether it may be: it
/// reads what a failed one, or one that is poisoned, wrote; in the first case
/// nobody has overwritten that since.
fn poisoned(all: &[Seen]) -> Vec<(bool, bool)> {
    let mut marks = vec![(false, false); all.len()];
    if all.iter().any(|seen| seen.failed) {
        let (mut surely, mut perhaps) = (vec![0; BYTES], vec![0; BYTES]);
        for (seen, mark) in all.iter().zip(&mut marks) {
            let Bytes { reads, writes } = &seen.bytes;
            *mark = (meet(&surely, reads), meet(&perhaps, reads));
            let (bad, doubtful) = (seen.failed || mark.0, seen.failed || mark.1);
            for ((surely, perhaps), written) in surely.iter_mut().zip(&mut perhaps).zip(writes) {
                *surely = if bad {
                    *surely | written
                } else {
                    *surely & !written
                };
                *perhaps |= if doubtful { *written } else { 0 };
            }
        }
    }
    marks
}

/// Every instruction that has not been taken waits for one that conflicts, or
/// for room: a list is analysed when it fits behind the oldest in flight.
fn nothing_more_may_run(all: &[Seen], window: usize, policy: Policy, seed: u64) {
    let poisoned = poisoned(all);
    let over = |index: usize| all[index].ended || poisoned[index].0;
    let oldest = (0..all.len()).find(|&index| !over(index));
    let analysed = oldest.map_or(0, |oldest| oldest + window - LONGEST);
    for (index, seen) in all.iter().enumerate().take(analysed) {
        let open =
            |earlier: &usize| !all[*earlier].ended && conflict(&all[*earlier].bytes, &seen.bytes);
        assert!(
            seen.taken || (0..index).any(|earlier| open(&earlier)) || poisoned[index].1,
            "{policy} seed {seed}: {index} waits for nobody"
        );
    }
}

#[test]
fn replayed_lists_are_ordered_as_the_oracle_says() {
    let limits = Limits {
        window: 512,
        ..Limits::CARD
    };
    let mut replayed = 0;
    for seed in 1..6 {
        for policy in [Policy::Exact, Policy::Adaptive] {
            replayed += run(policy, seed, limits, false, 120);
        }
    }
    assert!(replayed > 1_000, "{replayed} instructions were replayed");
}

#[test]
fn failures_reach_the_readers_of_replayed_lists() {
    let limits = Limits {
        window: 512,
        ..Limits::CARD
    };
    let mut replayed = 0;
    for seed in 101..106 {
        for policy in [Policy::Exact, Policy::Adaptive] {
            replayed += run(policy, seed, limits, true, 60);
        }
    }
    assert!(replayed > 1_000, "{replayed} instructions were replayed");
}

#[test]
fn replay_and_forgetting_get_on() {
    let limits = Limits {
        window: 128,
        cells: 300,
        links: 6_000,
        ..Limits::CARD
    };
    for seed in 201..207 {
        for policy in [Policy::Exact, Policy::Adaptive] {
            run(policy, seed, limits, false, 100);
        }
    }
}
