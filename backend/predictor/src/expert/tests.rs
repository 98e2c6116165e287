// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each expert proposes what its pattern says, and nothing before it is there.

use augur_memory::ContextId;

use super::*;

const STREAM: Stream = Stream {
    context: ContextId(0),
    queue: 0,
};

/// What `expert` proposes at the last of `pages`, each of which faults.
fn proposed(expert: &mut dyn Expert, pages: &[u64]) -> Vec<u64> {
    let accesses: Vec<_> = pages.iter().map(|&page| (STREAM, page)).collect();
    proposed_beside(expert, &accesses)
}

/// The same where several streams take turns.
fn proposed_beside(expert: &mut dyn Expert, accesses: &[(Stream, u64)]) -> Vec<u64> {
    let mut history = History::new();
    let mut proposals = Proposals::new();
    for &(stream, page) in accesses {
        history.record(stream, page);
        proposals.clear();
        let moment = Moment {
            stream,
            page,
            fault: true,
            recent: history.stream(stream),
            history: &history,
        };
        expert.propose(&moment, 0, &mut proposals);
    }
    proposals.iter().map(|proposal| proposal.page).collect()
}

#[test]
fn next_pages_are_proposed_before_those_behind() {
    let pages = proposed(&mut NextPages, &[100]);
    assert_eq!(pages[..3], [101, 102, 103]);
    assert!(pages.contains(&99));
}

#[test]
fn a_stride_is_followed_once_it_repeats() {
    assert!(proposed(&mut Strides::new(), &[100, 107]).is_empty());
    let pages = proposed(&mut Strides::new(), &[100, 107, 114]);
    assert_eq!(pages[..2], [121, 128]);
}

#[test]
fn contexts_and_queues_that_take_turns_have_strides_of_their_own() {
    let (context, queue) = (ContextId(1), 1);
    for other in [Stream { context, ..STREAM }, Stream { queue, ..STREAM }] {
        let accesses = [
            (STREAM, 1024),
            (other, 1040),
            (STREAM, 1031),
            (other, 1051),
            (STREAM, 1038),
        ];
        let pages = proposed_beside(&mut Strides::new(), &accesses);
        assert_eq!(pages[..2], [1045, 1052], "beside {other:?}");
    }
}

#[test]
fn zones_that_a_stream_visits_in_turn_have_strides_of_their_own() {
    let pages = proposed(&mut Strides::new(), &[1024, 9000, 1031, 9011, 1038]);
    assert_eq!(pages[..2], [1045, 1052]);
}

#[test]
fn a_sequence_of_deltas_is_recognised_at_another_place() {
    let mut pages = Vec::new();
    let mut page = 1000;
    for _ in 0..6 {
        for delta in [3, 5, 11] {
            pages.push(page);
            page += delta;
        }
    }
    // The last delta was 5: 11 comes next, then 3.
    let found = proposed(&mut DeltaSignature::new(), &pages);
    let last = pages.last().copied().unwrap();
    assert!(found.contains(&(last + 11)), "{found:?}");
    assert!(found.contains(&(last + 14)), "{found:?}");
}

#[test]
fn successors_are_those_of_last_time() {
    let mut expert = Successors::new();
    let found = proposed(&mut expert, &[10, 500, 20, 900, 10]);
    assert_eq!(found, [500]);
}

#[test]
fn a_program_is_replayed_several_steps_ahead() {
    let program = [40, 7, 1000, 3, 77, 12];
    let twice: Vec<u64> = program.iter().chain(&program[..3]).copied().collect();
    let found = proposed(&mut Replay::new(), &twice);
    assert_eq!(found[..3], [3, 77, 12]);
}

#[test]
fn a_way_through_pages_is_known_in_another_place() {
    let way = [0, 1, 17, 18, 5, 6, 30, 31];
    let mut pages: Vec<u64> = way.iter().map(|page| 1000 + page).collect();
    // The second jump, by the same three deltas as there, shows where it is.
    pages.extend([5000, 5001, 5017, 5018, 5005]);
    let found = proposed(&mut Translations::new(), &pages);
    assert_eq!(found, [5006, 5030]);
    // The next place as far away is known before its first page.
    pages.extend([5006, 5030, 5031]);
    let found = proposed(&mut Translations::new(), &pages);
    assert_eq!(found[..3], [9000, 9001, 9017]);
}

#[test]
fn what_is_done_again_in_the_same_place_is_no_translation() {
    let twice = [1000, 1017, 1003, 1040, 1000, 1017, 1003, 1040];
    assert!(proposed(&mut Translations::new(), &twice).is_empty());
}

#[test]
fn a_zone_entered_anew_is_expected_to_be_used_as_before() {
    let mut pages = vec![64, 67, 70];
    pages.extend((0..300).map(|i| 10_000 + 32 * i));
    pages.push(64);
    let found = proposed(&mut Footprint::new(), &pages);
    assert_eq!(found, [67, 70]);
}

#[test]
fn the_gaps_of_a_dense_block_are_proposed() {
    let pages: Vec<u64> = (0..10).map(|i| 128 + i).collect();
    let found = proposed(&mut DensityTree, &pages);
    assert_eq!(found, (138..144).collect::<Vec<u64>>());
    assert!(proposed(&mut DensityTree, &[128, 129]).is_empty());
}

#[test]
fn rows_of_a_tile_are_followed_by_the_next_row() {
    let rows = [0_u64, 100, 200].map(|row| [1000 + row, 1001 + row, 1002 + row]);
    let mut pages = rows.concat();
    pages.push(1300);
    let found = proposed(&mut TwoDimensional::new(), &pages);
    assert_eq!(found[..3], [1400, 1401, 1402]);
}

#[test]
fn append_pointers_are_followed_between_other_accesses() {
    let pages = [100, 5000, 101, 9000, 102, 5001, 103];
    let found = proposed(&mut Append::new(), &pages);
    assert_eq!(found[..3], [104, 105, 106]);
}

#[test]
fn hot_pages_are_proposed_after_they_were_evicted() {
    let mut expert = HotSet::new();
    proposed(&mut expert, &[5; 20]);
    let hot: Vec<u64> = (0..20).flat_map(|i| [5, 1000 + i]).collect();
    proposed(&mut expert, &hot);
    expert.unmapped(5, true);
    assert_eq!(proposed(&mut expert, &[9999]), [5]);
    assert!(proposed(&mut expert, &[9998]).is_empty());
}

#[test]
fn declared_pages_are_proposed_in_their_order_until_used() {
    let mut expert = Declared::new();
    expert.declared(STREAM, &[70, 30, 90]);
    assert_eq!(proposed(&mut expert, &[1]), [70, 30, 90]);
    assert_eq!(proposed(&mut expert, &[30]), [90]);
}

#[test]
fn declarations_without_end_are_bounded() {
    let mut expert = Declared::new();
    let pages: Vec<u64> = (0..1_000_000).collect();
    expert.declared(STREAM, &pages);
    expert.declared(STREAM, &pages);
    // Used up in steps of sixteen, the queue is empty after 4096 pages.
    for page in (15..4096).step_by(16) {
        proposed(&mut expert, &[page]);
    }
    assert!(proposed(&mut expert, &[5]).is_empty());
}
