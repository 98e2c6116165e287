// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is only ever read beside what is written over and over costs no more for
//! having been read often.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends where it fails"
)]

use augur_scheduler::analyser::{Analyser, Limits};
use augur_scheduler::list::{Access, Object, Operand};
use augur_scheduler::policy::Policy;
use augur_scheduler::region::Region;

const COLUMNS: u64 = 8;
const STEPS: u64 = 2000;
/// Bytes of a column, and of its neighbours that a step reads.
const WIDTH: u64 = 256;
const HALO: u64 = 64;

/// Two buffers, each with a halo at both ends that no step writes.
fn buffer(number: u64) -> Object {
    Object::new(number << 20, 2 * HALO + COLUMNS * WIDTH).expect("an object")
}

fn step(step: u64, column: u64) -> [Operand; 2] {
    let (from, to) = (buffer(step % 2), buffer((step + 1) % 2));
    let first = column * WIDTH;
    let region = |object: Object, into: u64, bytes: u64| {
        Region::contiguous(object.start() + into, bytes).expect("a region")
    };
    [
        Operand {
            region: region(to, HALO + first, WIDTH),
            object: to,
            access: Access::Write,
        },
        Operand {
            region: region(from, first, 2 * HALO + WIDTH),
            object: from,
            access: Access::Read,
        },
    ]
}

#[test]
fn an_edge_that_is_only_read_adds_no_orderings() {
    for policy in [Policy::Exact, Policy::Adaptive] {
        let mut analyser = Analyser::new(policy, Limits::CARD);
        let mut edges = Vec::new();
        for number in 0..STEPS {
            // Nothing ends, so that every ordering that is asked for is an edge.
            for column in 0..COLUMNS {
                analyser.make_room().expect("room");
                analyser.submit(&step(number, column), 0);
            }
            edges.push(analyser.graph().edge_total());
        }
        let of = |from: usize, to: usize| edges[to] - edges[from];
        // The second tenth and the last, after what adapting does at first.
        assert_eq!(of(200, 400), of(1799, 1999), "{policy}");
    }
}
