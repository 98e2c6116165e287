// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of the scheduler with whoever drives the engines.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may stop at a surprise"
)]

use std::num::NonZeroU32;

use augur_scheduler::analyser::Limits;
use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{Access, CommandList, Object, Operand, Unit};
use augur_scheduler::policy::Policy;
use augur_scheduler::region::Region;
use augur_scheduler::scheduler::{
    Config, ContextId, Engine, ListEnd, Scheduler, SubmitError, Work,
};

const NOW: Nanos = Nanos(7);

fn scheduler(limits: Limits, queued_instructions: usize) -> Scheduler {
    Scheduler::new(Config {
        compute_engines: 2,
        dma_engines: 1,
        policy: Policy::Exact,
        limits,
        queued_instructions,
    })
}

fn weight(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn operand(start: u64, length: u64, access: Access) -> Operand {
    Operand {
        region: Region::contiguous(start, length).unwrap(),
        object: Object::new(0, 1 << 20).unwrap(),
        access,
    }
}

/// Each instruction reads the first slot, if any, and writes the second.
fn list(instructions: &[(Option<u64>, u64)]) -> CommandList {
    let mut list = CommandList::new(1 << 20);
    for &(from, to) in instructions {
        let mut operands = vec![operand(to * 64, 64, Access::Write)];
        operands.extend(from.map(|from| operand(from * 64, 64, Access::Read)));
        list.push(&operands, Nanos(100), Unit::Compute).unwrap();
    }
    list
}

fn take_all(scheduler: &mut Scheduler) -> Vec<Work> {
    std::iter::from_fn(|| scheduler.take(Engine::Compute(0), NOW)).collect()
}

fn run_all(scheduler: &mut Scheduler) -> Vec<ListEnd> {
    while let Some(work) = scheduler.take(Engine::Compute(1), NOW) {
        scheduler.finish(&work, Outcome::Done, NOW);
    }
    std::iter::from_fn(|| scheduler.pop_ended()).collect()
}

fn positions(works: &[Work]) -> Vec<u32> {
    let mut positions: Vec<u32> = works.iter().map(|work| work.position).collect();
    positions.sort_unstable();
    positions
}

fn started(limits: Limits) -> (Scheduler, ContextId) {
    let mut scheduler = scheduler(limits, 1 << 16);
    let context = scheduler.add_context(weight(1));
    (scheduler, context)
}

#[test]
fn independent_instructions_are_ready_together_and_dependent_ones_in_turn() {
    let (mut scheduler, context) = started(Limits::CARD);
    let program = list(&[(None, 0), (None, 1), (Some(0), 2), (Some(2), 0)]);
    let id = scheduler.submit(context, program, &[], NOW).unwrap();
    let first = take_all(&mut scheduler);
    assert_eq!(positions(&first), [0, 1]);
    for work in &first {
        scheduler.finish(work, Outcome::Done, NOW);
    }
    let second = take_all(&mut scheduler);
    assert_eq!(positions(&second), [2]);
    scheduler.finish(&second[0], Outcome::Done, NOW);
    // Finishing twice changes nothing.
    scheduler.finish(&second[0], Outcome::Failed, NOW);
    let ends = run_all(&mut scheduler);
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].list, ends[0].failed), (id, None));
    assert!(scheduler.is_idle());
}

#[test]
fn what_ends_together_ends_as_one_after_the_other() {
    let mut scheduler = scheduler(Limits::CARD, 1 << 16);
    let contexts = [1, 1].map(|share| scheduler.add_context(weight(share)));
    // 2 reads what 0 writes, 3 what 1 writes.
    let program = list(&[(None, 0), (None, 1), (Some(0), 2), (Some(1), 3)]);
    let ids = contexts.map(|context| {
        let submitted = scheduler.submit(context, program.clone(), &[], NOW);
        submitted.unwrap()
    });
    let gone = scheduler.add_context(weight(1));
    scheduler.submit(gone, program, &[], NOW).unwrap();
    let mut taken = Vec::new();
    scheduler.take_while(Engine::Compute(0), NOW, |work| {
        taken.push(work);
        taken.len() < 5
    });
    assert_eq!(taken.len(), 5, "it stops when no more are wanted");
    taken.extend(take_all(&mut scheduler));
    assert_eq!(taken.len(), 6);
    scheduler.remove_context(gone, NOW);
    // The second of the second context fails, and one is told of twice.
    let mut done: Vec<(Work, Outcome)> = taken
        .iter()
        .map(|work| match (work.list == ids[1], work.position) {
            (true, 1) => (*work, Outcome::Failed),
            _ => (*work, Outcome::Done),
        })
        .collect();
    done.push((taken[0], Outcome::Failed));
    scheduler.finish_all(&done, NOW);
    let mut second: Vec<(bool, u32)> = take_all(&mut scheduler)
        .iter()
        .map(|work| (work.list == ids[1], work.position))
        .collect();
    second.sort_unstable();
    assert_eq!(second, [(false, 2), (false, 3), (true, 2)]);
}

#[test]
fn a_failure_reaches_only_what_reads_its_output_across_lists() {
    let (mut scheduler, context) = started(Limits::CARD);
    // 1 reads what 0 writes; 2 overwrites it; 3 reads that; 4 is apart.
    let program = list(&[(None, 0), (Some(0), 1), (None, 0), (Some(0), 2), (None, 3)]);
    let failing = scheduler.submit(context, program, &[], NOW).unwrap();
    let reader = scheduler
        .submit(context, list(&[(Some(1), 4), (Some(2), 5)]), &[], NOW)
        .unwrap();
    let mut ran = Vec::new();
    while let Some(work) = scheduler.take(Engine::Compute(0), NOW) {
        let outcome = if work.list == failing && work.position == 0 {
            Outcome::Failed
        } else {
            Outcome::Done
        };
        ran.push((work.list == failing, work.position));
        scheduler.finish(&work, outcome, NOW);
    }
    ran.sort_unstable();
    assert_eq!(
        ran,
        [(false, 1), (true, 0), (true, 2), (true, 3), (true, 4)]
    );
    let ends: Vec<_> = std::iter::from_fn(|| scheduler.pop_ended())
        .map(|end| (end.list, end.failed))
        .collect();
    assert!(ends.contains(&(failing, Some(0))));
    assert!(ends.contains(&(reader, Some(0))));
    // A list that arrives after the failure is told as well.
    let late = scheduler
        .submit(context, list(&[(Some(1), 6)]), &[], NOW)
        .unwrap();
    assert_eq!(
        scheduler.pop_ended().map(|end| (end.list, end.failed)),
        Some((late, Some(0)))
    );
}

#[test]
fn a_list_waits_for_its_fences_and_only_for_lists_that_exist() {
    let (mut scheduler, context) = started(Limits::CARD);
    let other = scheduler.add_context(weight(1));
    let first = scheduler
        .submit(context, list(&[(None, 0)]), &[], NOW)
        .unwrap();
    let gated = scheduler
        .submit(other, list(&[(None, 0)]), &[first], NOW)
        .unwrap();
    let empty = scheduler.submit(other, list(&[]), &[gated], NOW).unwrap();
    let works = take_all(&mut scheduler);
    assert_eq!(works.len(), 1);
    scheduler.finish(&works[0], Outcome::Done, NOW);
    let ends: Vec<_> = run_all(&mut scheduler).iter().map(|end| end.list).collect();
    assert_eq!(ends, [first, gated, empty]);
    // The identifier of a list of another scheduler that is further on.
    let (mut young, context) = started(Limits::CARD);
    let refused = young.submit(context, list(&[]), &[first], NOW);
    assert_eq!(refused, Err(SubmitError::UnknownList));
}

#[test]
fn a_long_chain_of_fences_ends_without_deep_recursion() {
    let (mut scheduler, context) = started(Limits::CARD);
    let mut last = scheduler
        .submit(context, list(&[(None, 0)]), &[], NOW)
        .unwrap();
    for _ in 0..60_000 {
        last = scheduler.submit(context, list(&[]), &[last], NOW).unwrap();
    }
    assert_eq!(run_all(&mut scheduler).len(), 60_001);
}

#[test]
fn contexts_share_engines_by_weight() {
    let mut scheduler = scheduler(Limits::CARD, 1 << 16);
    let heavy = scheduler.add_context(weight(3));
    let light = scheduler.add_context(weight(1));
    let program: Vec<_> = (0..400).map(|slot| (None, slot)).collect();
    for context in [heavy, light] {
        scheduler.submit(context, list(&program), &[], NOW).unwrap();
    }
    let mut taken = [0, 0];
    for _ in 0..200 {
        let work = scheduler.take(Engine::Compute(0), NOW).unwrap();
        taken[usize::from(work.context == light)] += 1;
        scheduler.finish(&work, Outcome::Done, NOW);
    }
    assert!((148..=152).contains(&taken[0]), "{taken:?}");
}

#[test]
fn a_context_that_was_idle_does_not_starve_the_others() {
    let mut scheduler = scheduler(Limits::CARD, 1 << 16);
    let busy = scheduler.add_context(weight(1));
    let idle = scheduler.add_context(weight(1));
    let program: Vec<_> = (0..400).map(|slot| (None, slot)).collect();
    scheduler.submit(busy, list(&program), &[], NOW).unwrap();
    for _ in 0..200 {
        let work = scheduler.take(Engine::Compute(0), NOW).unwrap();
        scheduler.finish(&work, Outcome::Done, NOW);
    }
    scheduler.submit(idle, list(&program), &[], NOW).unwrap();
    let mut served = 0;
    for _ in 0..20 {
        let work = scheduler.take(Engine::Compute(0), NOW).unwrap();
        served += u32::from(work.context == busy);
        scheduler.finish(&work, Outcome::Done, NOW);
    }
    assert_eq!(served, 10);
}

#[test]
fn a_context_that_submits_without_end_is_refused_and_a_long_list_still_runs() {
    let limits = Limits {
        window: 16,
        edges: 64,
        cells: 8,
        links: 64,
        failures: 8,
    };
    let mut scheduler = scheduler(limits, 500);
    let context = scheduler.add_context(weight(1));
    // One list may be longer than the window and than the queue.
    let program: Vec<_> = (0..1000).map(|slot| (Some(slot), slot + 1)).collect();
    scheduler.submit(context, list(&program), &[], NOW).unwrap();
    let refused = scheduler.submit(context, list(&program), &[], NOW);
    assert_eq!(refused, Err(SubmitError::Busy));
    let ends = run_all(&mut scheduler);
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].failed, None);
    scheduler.submit(context, list(&program), &[], NOW).unwrap();
}

#[test]
fn failures_without_end_fail_the_rest_and_hold_no_memory() {
    let limits = Limits {
        window: 16,
        edges: 64,
        cells: 8,
        links: 64,
        failures: 8,
    };
    let mut scheduler = scheduler(limits, 1 << 16);
    let context = scheduler.add_context(weight(1));
    let program: Vec<_> = (0..1000).map(|slot| (None, slot)).collect();
    let id = scheduler.submit(context, list(&program), &[], NOW).unwrap();
    let mut ran = 0;
    while let Some(work) = scheduler.take(Engine::Compute(0), NOW) {
        scheduler.finish(&work, Outcome::Failed, NOW);
        ran += 1;
    }
    assert!(ran < 50, "{ran} instructions ran");
    let end = scheduler.pop_ended().unwrap();
    assert_eq!((end.list, end.failed), (id, Some(0)));
    assert!(scheduler.is_idle());
}

#[test]
fn removing_a_context_ends_its_lists_and_tells_what_still_runs() {
    let (mut scheduler, context) = started(Limits::CARD);
    let other = scheduler.add_context(weight(1));
    let gone = scheduler
        .submit(context, list(&[(None, 0), (Some(0), 1)]), &[], NOW)
        .unwrap();
    let waiting = scheduler
        .submit(other, list(&[(None, 0)]), &[gone], NOW)
        .unwrap();
    let work = scheduler.take(Engine::Compute(0), NOW).unwrap();
    assert_eq!(work.context, context);
    assert_eq!(scheduler.remove_context(context, NOW), 1);
    scheduler.finish(&work, Outcome::Done, NOW);
    let ends = run_all(&mut scheduler);
    assert_eq!(ends.len(), 2);
    assert_eq!((ends[0].list, ends[0].failed), (gone, Some(0)));
    assert_eq!((ends[1].list, ends[1].failed), (waiting, None));
    let refused = scheduler.submit(context, list(&[]), &[], NOW);
    assert_eq!(refused, Err(SubmitError::NoContext));
}

#[test]
fn held_instructions_wait_for_every_lift_whether_they_are_analysed_or_not() {
    let limits = Limits {
        window: 2,
        ..Limits::CARD
    };
    let (mut scheduler, context) = started(limits);
    let four = list(&[(None, 0), (None, 1), (None, 2), (Some(2), 3)]);
    let id = scheduler
        .submit_held(context, four, vec![1, 2, 1, 0], NOW)
        .unwrap();
    assert!(scheduler.is_analysing(context));
    assert!(take_all(&mut scheduler).is_empty());
    // The third is not analysed: the window holds two.
    scheduler.lift(id, 2, NOW);
    scheduler.lift(id, 1, NOW);
    assert!(take_all(&mut scheduler).is_empty());
    scheduler.lift(id, 0, NOW);
    let first = take_all(&mut scheduler);
    assert_eq!(positions(&first), [0]);
    // One lift too many changes nothing.
    scheduler.lift(id, 0, NOW);
    assert!(take_all(&mut scheduler).is_empty());
    scheduler.finish(&first[0], Outcome::Done, NOW);
    assert_eq!(positions(&take_all(&mut scheduler)), [2]);
    scheduler.lift(id, 1, NOW);
    assert_eq!(positions(&take_all(&mut scheduler)), [1]);
}

#[test]
fn replayed_instructions_are_held_as_well() {
    let (mut scheduler, context) = started(Limits::CARD);
    let pair = || list(&[(None, 0), (None, 1)]);
    for _ in 0..4 {
        let id = scheduler
            .submit_held(context, pair(), vec![0, 1], NOW)
            .unwrap();
        assert_eq!(run_all(&mut scheduler), []);
        scheduler.lift(id, 1, NOW);
        assert_eq!(run_all(&mut scheduler).len(), 1);
    }
    assert!(scheduler.analyser(context).unwrap().replayed() > 0);
}

#[test]
fn dma_engines_take_transfers_only() {
    let (mut scheduler, context) = started(Limits::CARD);
    let mut program = CommandList::new(2);
    program
        .push(&[operand(0, 64, Access::Write)], Nanos(1), Unit::Dma)
        .unwrap();
    program
        .push(&[operand(0, 64, Access::Read)], Nanos(1), Unit::Compute)
        .unwrap();
    scheduler.submit(context, program, &[], NOW).unwrap();
    assert_eq!(scheduler.take(Engine::Compute(0), NOW), None);
    let transfer = scheduler.take(Engine::Dma(0), NOW).unwrap();
    scheduler.finish(&transfer, Outcome::Done, NOW);
    assert_eq!(scheduler.take(Engine::Dma(0), NOW), None);
    assert!(scheduler.take(Engine::Compute(1), NOW).is_some());
}
