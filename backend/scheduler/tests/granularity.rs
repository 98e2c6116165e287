// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of adaptive granularity: units of tracking settle.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may stop at a surprise"
)]

use augur_scheduler::analyser::{Analyser, Limits};
use augur_scheduler::clock::Nanos;
use augur_scheduler::graph::Outcome;
use augur_scheduler::list::{Access, CommandList, Object, Operand, Unit};
use augur_scheduler::policy::Policy;
use augur_scheduler::region::Region;
use augur_scheduler::workload::Workload;

/// Runs the list once and returns the splits and merges that it took.
fn pass(analyser: &mut Analyser, list: &CommandList) -> u64 {
    let before = analyser.granularity_changes();
    for (_, operands) in list.iter() {
        while analyser.make_room().is_err() {
            end_one(analyser);
        }
        analyser.submit(operands, 0);
        if analyser.graph().in_flight() > 64 {
            end_one(analyser);
        }
    }
    while analyser.graph().in_flight() > 0 {
        end_one(analyser);
    }
    let after = analyser.granularity_changes();
    after.0 + after.1 - before.0 - before.1
}

fn end_one(analyser: &mut Analyser) {
    let release = analyser.pop_released().unwrap();
    assert!(analyser.finish(release.sequence, Outcome::Done));
}

#[test]
fn every_program_has_its_units_of_tracking_after_three_repeats() {
    for workload in [
        Workload::Attention,
        Workload::ResnetBlock,
        Workload::Rows,
        Workload::Halo,
    ] {
        let program = workload.program().unwrap();
        let mut analyser = Analyser::new(Policy::Adaptive, Limits::CARD);
        let changes: Vec<u64> = (0..6).map(|_| pass(&mut analyser, &program.list)).collect();
        assert_eq!(changes[3..], [0, 0, 0], "{workload}: {changes:?}");
    }
}

#[test]
fn a_program_that_writes_now_and_then_is_split_ever_more_seldom() {
    let object = Object::new(0, 1 << 16).unwrap();
    let operand = |start: u64, access| Operand {
        region: Region::contiguous(start, 64).unwrap(),
        object,
        access,
    };
    // One write, then so many reads that the object is merged at first.
    let mut list = CommandList::new(1 << 20);
    let mut push = |operand| list.push(&[operand], Nanos(1), Unit::Compute).unwrap();
    push(operand(0, Access::Write));
    for read in 0..140_000u64 {
        push(operand(read % 1000 * 64, Access::Read));
    }
    let mut analyser = Analyser::new(Policy::Adaptive, Limits::CARD);
    let changes: Vec<u64> = (0..16).map(|_| pass(&mut analyser, &list)).collect();
    assert!(changes[1] > 0, "{changes:?}");
    assert_eq!(changes[11..], [0; 5], "{changes:?}");
}
