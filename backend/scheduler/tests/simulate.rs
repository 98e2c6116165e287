// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of the simulator: it runs everything once, in an order the
//! exact graph allows, and never beats the lower bound.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may stop at a surprise"
)]

use augur_scheduler::bounds::{WholeGraph, lower_bound};
use augur_scheduler::clock::Nanos;
use augur_scheduler::list::{Access, Operand};
use augur_scheduler::policy::Policy;
use augur_scheduler::profile::Profile;
use augur_scheduler::region::Region;
use augur_scheduler::simulate::{Run, Setup, compulsory_bytes, simulate};
use augur_scheduler::workload::{Program, Workload};

fn run(program: &Program, policy: Policy, engines: usize) -> Run {
    let setup = Setup {
        policy,
        engines,
        dma_engines: 2,
        profile: Profile::default(),
    };
    simulate(program, setup).unwrap()
}

#[test]
fn a_program_that_reads_nothing_runs() {
    let mut program = Program::new();
    let object = program.object("A", 4096).unwrap();
    let write = Operand {
        region: Region::contiguous(object.start(), 1).unwrap(),
        object,
        access: Access::Write,
    };
    program.push("fill", &[write], Nanos(0)).unwrap();
    program.push("nop", &[], Nanos(5)).unwrap();
    assert_eq!(run(&program, Policy::Exact, 1).spans.len(), 2);
}

#[test]
fn a_region_of_more_runs_than_memory_could_list_is_moved_as_a_whole() {
    let mut program = Program::new();
    let object = program.object("A", 1 << 40).unwrap();
    let region = Region::written(object.start(), 1, &[1 << 39], &[2]).unwrap();
    let write = Operand {
        region,
        object,
        access: Access::Write,
    };
    program.push("fill", &[write], Nanos(1)).unwrap();
    let moved = run(&program, Policy::Exact, 1).moved_bytes;
    assert!((1 << 39..=1 << 40).contains(&moved), "{moved}");
}

#[test]
fn every_schedule_respects_the_exact_graph_and_the_lower_bound() {
    let profile = Profile::default();
    for workload in [Workload::Attention, Workload::ResnetBlock] {
        let program = workload.program().unwrap();
        let graph = WholeGraph::new(&program.list, Policy::Exact);
        let compulsory = compulsory_bytes(&program.list, profile.line_bytes);
        for (policy, engines) in [
            (Policy::Tensor, 2),
            (Policy::Block(16), 3),
            (Policy::Exact, 1),
            (Policy::Exact, 16),
            (Policy::Adaptive, 4),
        ] {
            let run = run(&program, policy, engines);
            let mut times = vec![None; program.list.len()];
            for span in &run.spans {
                let cost = program.list.get(span.instruction).unwrap().0.cost;
                assert_eq!(span.end, span.start.plus(cost));
                assert!(
                    times[span.instruction]
                        .replace((span.start, span.end))
                        .is_none()
                );
            }
            assert!(times.iter().all(Option::is_some));
            graph.for_each_edge(|before, after| {
                let (before, after) = (
                    times[before as usize].unwrap(),
                    times[after as usize].unwrap(),
                );
                assert!(before.1 <= after.0, "{workload} {policy}");
            });
            let critical_path = graph.critical_path(&program.list);
            let bound = lower_bound(&program.list, critical_path, engines, compulsory, &profile);
            assert!(run.makespan >= bound && critical_path > Nanos(0));
            assert!(run.moved_bytes >= compulsory, "{workload} {policy}");
            let moves = run.transfers.iter();
            let moved: u64 = moves.map(|it| it.filled + it.drained).sum();
            assert_eq!(moved, run.moved_bytes);
            assert!(
                run.transfers
                    .iter()
                    .all(|it| it.end > it.asked && it.end <= run.makespan)
            );
            let analysed = run.tracking.last().map(|it| it.analysed);
            assert_eq!(analysed, Some(program.list.len()));
        }
    }
}

#[test]
fn nothing_is_moved_twice_and_engines_seldom_wait() {
    let profile = Profile::default();
    let program = Workload::Attention.program().unwrap();
    let compulsory = compulsory_bytes(&program.list, profile.line_bytes);
    let graph = WholeGraph::new(&program.list, Policy::Exact);
    let critical_path = graph.critical_path(&program.list);
    for engines in [1, 2, 4, 8, 16] {
        let bound = lower_bound(&program.list, critical_path, engines, compulsory, &profile);
        for policy in [Policy::Exact, Policy::Adaptive] {
            let run = run(&program, policy, engines);
            assert_eq!(run.moved_bytes, compulsory);
            let ratio = run.makespan.0 as f64 / bound.0 as f64;
            assert!(ratio < 1.05, "{policy} on {engines}: {ratio}");
        }
    }
}

#[test]
fn a_card_too_small_for_a_program_moves_more_and_still_ends() {
    let mut setup = Setup {
        policy: Policy::Adaptive,
        engines: 4,
        dma_engines: 1,
        profile: Profile::default(),
    };
    let program = Workload::Attention.program().unwrap();
    let compulsory = compulsory_bytes(&program.list, setup.profile.line_bytes);
    let mut moved = Vec::new();
    for visible_bytes in [256 << 20, 8 << 20, 1 << 20, 1] {
        setup.profile.visible_bytes = visible_bytes;
        let run = simulate(&program, setup).unwrap();
        assert_eq!(run.spans.len(), program.list.len());
        moved.push(run.moved_bytes);
    }
    assert_eq!(moved[0], compulsory);
    assert!(moved.is_sorted() && moved[0] < moved[3], "{moved:?}");
}

#[test]
fn a_simulation_is_the_same_every_time() {
    let program = Workload::ResnetBlock.program().unwrap();
    let (first, second) = (
        run(&program, Policy::Adaptive, 4),
        run(&program, Policy::Adaptive, 4),
    );
    assert_eq!(first.spans, second.spans);
    assert_eq!(first.moved_bytes, second.moved_bytes);
}

#[test]
fn critical_paths_are_those_of_the_definitions() {
    // Halo: 40 steps, each instruction waits for its neighbours only.
    let halo = Workload::Halo.program().unwrap();
    let path = |policy| WholeGraph::new(&halo.list, policy).critical_path(&halo.list);
    assert_eq!(path(Policy::Exact), Nanos(40 * 10_000));
    assert_eq!(path(Policy::Adaptive), Nanos(40 * 10_000));
    assert_eq!(path(Policy::Tensor), Nanos(40 * 1000 * 10_000));
    assert!(path(Policy::Block(20)) > Nanos(40 * 10_000));
    // Retile: chunk sizes change, the chain stays one instruction a step.
    let retile = Workload::Retile.program().unwrap();
    let exact = WholeGraph::new(&retile.list, Policy::Exact);
    assert_eq!(exact.critical_path(&retile.list), Nanos(40 * 10_000));
}
