// SPDX-License-Identifier: MIT OR Apache-2.0
//! DMA channels: transfers between guest and device memory, moves between home
//! and visible frames, scrubbing.
//!
//! Demand comes before predictions, predictions before transfers, transfers
//! before scrubbing and moving objects; all but demand look every 64 KiB whether
//! something more urgent waits. So that nothing starves, the least urgent job that
//! waits gets a turn after [`TURNS`](queue::TURNS) others, and moves 64 KiB in it at least.
//!
//! A long transfer is moved by all the channels that have nothing else to do, each of
//! which takes the next part when it has moved one.

mod part;
mod queue;

use augur_abi::PAGE_BYTES;
use augur_memory::{Frames, HomeCopy, HomeRun, Nanos, PhysicalOffset, Piece, WindowRef};

pub(crate) use self::part::Part;
use self::queue::{AHEAD, DEMAND};
pub(crate) use self::queue::{DmaJob, DmaQueue};
use crate::device_memory::DeviceMemory;
use crate::shared::{Shared, Totals};

/// Bytes that are moved without looking for something more urgent.
const PIECE: u64 = 64 << 10;
/// How long a thread that takes lists plays the part of a channel whatever it is asked: to
/// wake one takes a quarter of this, and the caller's caches hold what it moves.
const BRIEF: Nanos = Nanos(200_000);
/// How long it does so at most, with transfers that it moves alone. Long ones are left to
/// the channels: with this thread among them 64 MiB took a sixth longer.
const LONGEST: Nanos = Nanos(5_000_000);
/// Windows filled ahead of use that the driver is told of at once, at most.
const BATCH: usize = 8;

/// A channel: works until the queue is closed.
pub(crate) fn run(shared: &Shared, channel: usize) {
    let ready = || shared.dispatch.take_transfer(channel, shared.now());
    let mut untold = 0;
    while let Some(job) = shared.dma.pop(channel, ready) {
        let start = shared.now();
        match job {
            DmaJob::Fill {
                window,
                pieces,
                done,
            } => fill_ahead(shared, window, pieces, done, &mut untold),
            DmaJob::WriteHome { window, pieces } => {
                shared.write_home(&pieces);
                let mut core = shared.core();
                core.manager.written_home(window, shared.guest_time());
                shared.carry_out(core);
            }
            DmaJob::Scrub { run, mut done } => {
                if scrub_piece(&shared.memory, run, &mut done) {
                    shared.dma.put_back(DmaJob::Scrub { run, done });
                } else {
                    let mut core = shared.core();
                    core.manager.scrubbed(run);
                    shared.carry_out(core);
                }
            }
            DmaJob::Relocate {
                relocation,
                mut copies,
            } => {
                if copy_piece(&shared.memory, &mut copies) {
                    shared.dma.put_back(DmaJob::Relocate { relocation, copies });
                } else {
                    let mut core = shared.core();
                    core.manager.relocated(relocation);
                    shared.place(&mut core);
                    shared.carry_out(core);
                }
            }
            // The channel itself looks for what is ready next.
            DmaJob::Transfer(part) => drop(part::transfer(shared, part, &|_| true)),
        }
        Totals::add(&shared.totals.dma_ns, (shared.now() - start).0);
    }
}

/// Makes the next frames of a run read as zero; whether any are left.
fn scrub_piece(memory: &DeviceMemory, run: HomeRun, done: &mut Frames) -> bool {
    let first = run.first.offset().0 + done.bytes();
    let left = Frames(run.count.0 - done.0);
    let bytes = left.bytes().min(PIECE);
    if let Err(error) = memory.punch(PhysicalOffset(first), bytes) {
        log::warn!("cannot give host memory back, zeroing instead: {error}");
        memory.zero(PhysicalOffset(first), bytes);
    }
    done.0 += left.0.min((PIECE / PAGE_BYTES) as u32);
    done.0 < run.count.0
}

/// Copies what comes last and takes it off; whether anything is left.
fn copy_piece(memory: &DeviceMemory, copies: &mut Vec<HomeCopy>) -> bool {
    let mut most = PIECE;
    while most > 0
        && let Some(last) = copies.last_mut()
    {
        let bytes = last.bytes.min(most);
        last.bytes -= bytes;
        let (from, to) = (last.from.0 + last.bytes, last.to.0 + last.bytes);
        memory.copy(PhysicalOffset(from), PhysicalOffset(to), bytes);
        most -= bytes;
        if last.bytes == 0 {
            copies.pop();
        }
    }
    !copies.is_empty()
}

/// Fills a window that was predicted, until something more urgent waits. The
/// driver is told of several such windows at once.
fn fill_ahead(
    shared: &Shared,
    window: WindowRef,
    pieces: Vec<Piece>,
    mut done: u64,
    untold: &mut usize,
) {
    let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    while done < bytes {
        shared.fill_part(&pieces, done, PIECE);
        done += PIECE;
        if done < bytes && shared.dma.waits(DEMAND) {
            shared.dma.put_back(DmaJob::Fill {
                window,
                pieces,
                done,
            });
            break;
        }
    }
    if done >= bytes {
        let mut core = shared.core();
        core.manager.filled(window, shared.guest_time());
        *untold += usize::from(shared.carry_out_untold(core));
    }
    if *untold >= BATCH || (*untold > 0 && !shared.dma.waits(AHEAD)) {
        *untold = 0;
        shared.host.events_pending();
    }
}

/// Plays the part of a channel for at most `transfers` transfers that are ready, as long
/// as the caller is not `asked` for something else, but about as long as it takes to wake
/// one whatever it is asked: all wait while one is woken, and what the caller's caches
/// hold is not in the channel's. What is not `brief` is left to channels when any is
/// awake, and one is woken where there is more. The caller wakes one for what is left.
pub(crate) fn stand_in(shared: &Shared, transfers: usize, brief: bool, asked: &dyn Fn() -> bool) {
    if !brief && !shared.dma.all_idle() {
        return;
    }
    shared.dma.stand_in(true);
    move_ready(shared, transfers, brief, asked);
    shared.dma.stand_in(false);
}

fn move_ready(shared: &Shared, transfers: usize, brief: bool, asked: &dyn Fn() -> bool) {
    let began = shared.now();
    let goes_on = |alone| {
        let now = shared.now();
        now < began + BRIEF || (alone && now < began + LONGEST && !asked())
    };
    for _ in 0..transfers {
        let Some((part, more)) = take(shared) else {
            return;
        };
        if more && !brief {
            shared.dma.wake_beside();
        }
        let start = shared.now();
        let ready = part::transfer(shared, part, &goes_on);
        Totals::add(&shared.totals.dma_ns, (shared.now() - start).0);
        if !ready || !goes_on(true) {
            return;
        }
    }
}

/// A transfer that is ready, and whether there are more; none while something else goes
/// first.
fn take(shared: &Shared) -> Option<(Part, bool)> {
    if shared.dma.has_urgent() || shared.dma.in_order_of_arrival() {
        return None;
    }
    let ready = shared.dispatch.take_transfer(0, shared.now())?;
    Some((Part::whole(ready.work), ready.more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DmaOrder;
    use augur_memory::{Frame, RelocationId, Slot};

    const WINDOW: WindowRef = WindowRef {
        slot: Slot(1),
        generation: 1,
    };

    fn write_home() -> DmaJob {
        DmaJob::WriteHome {
            window: WINDOW,
            pieces: Vec::new(),
        }
    }

    fn fill() -> DmaJob {
        DmaJob::Fill {
            window: WINDOW,
            pieces: Vec::new(),
            done: 0,
        }
    }

    /// Copies a stretch of two runs, and what else comes at certain pieces of it.
    fn copy_beside(order: DmaOrder, arrivals: impl Fn(usize) -> Vec<DmaJob>) -> Vec<&'static str> {
        let memory = DeviceMemory::new(4 << 20).unwrap();
        let byte = |at: u64| (at / 4096 % 251) as u8 + 1;
        for at in (0..1 << 20).step_by(4096) {
            let page = [byte(at); 4096];
            // SAFETY: `page` has as many bytes.
            unsafe { memory.copy_in(page.as_ptr(), PhysicalOffset(at), 4096) };
        }
        let copy = |from, to, bytes| HomeCopy {
            from: PhysicalOffset(from),
            to: PhysicalOffset(to),
            bytes,
        };
        let copies = vec![
            copy(0, 2 << 20, 100 << 10),
            copy(100 << 10, 3 << 20, 220 << 10),
        ];
        let queue = DmaQueue::new(order, 1);
        queue.push(DmaJob::Relocate {
            relocation: RelocationId::default(),
            copies,
        });
        let (mut taken, mut pieces) = (Vec::new(), 0);
        while queue.waits_any() {
            match queue.pop(0, || None).unwrap() {
                DmaJob::Relocate {
                    relocation,
                    mut copies,
                } => {
                    taken.push("copy");
                    arrivals(pieces).into_iter().for_each(|job| queue.push(job));
                    pieces += 1;
                    if copy_piece(&memory, &mut copies) {
                        queue.put_back(DmaJob::Relocate { relocation, copies });
                    }
                }
                DmaJob::WriteHome { .. } => taken.push("demand"),
                DmaJob::Fill { .. } => taken.push("ahead"),
                _ => unreachable!(),
            }
        }
        for (at, to) in [(0, 2 << 20), (96 << 10, (2 << 20) + (96 << 10))] {
            assert_eq!(read(&memory, to), byte(at));
        }
        for at in [0, 4096, 63 << 10, 219 << 10] {
            assert_eq!(read(&memory, (3 << 20) + at), byte((100 << 10) + at));
        }
        taken
    }

    fn read(memory: &DeviceMemory, at: u64) -> u8 {
        let mut found = [0];
        // SAFETY: `found` has one byte.
        unsafe { memory.copy_out(PhysicalOffset(at), found.as_mut_ptr(), 1) };
        found[0]
    }

    #[test]
    fn what_is_more_urgent_overtakes_a_copy_of_pages_under_way() {
        let arrivals = |piece| match piece {
            1 => vec![fill(), write_home()],
            3 => vec![write_home()],
            _ => Vec::new(),
        };
        let taken = copy_beside(DmaOrder::Urgency, arrivals);
        let wanted = [
            "copy", "copy", "demand", "ahead", "copy", "copy", "demand", "copy",
        ];
        assert_eq!(taken, wanted);
        let taken = copy_beside(DmaOrder::Arrival, arrivals);
        assert_eq!(taken[..5], ["copy"; 5]);
    }

    #[test]
    fn a_copy_of_pages_goes_on_while_more_urgent_work_never_ends() {
        let arrivals = |_| (0..2 * queue::TURNS).map(|_| write_home()).collect();
        let taken = copy_beside(DmaOrder::Urgency, arrivals);
        let others = taken.split(|&it| it == "copy").map(<[_]>::len);
        // Before the first of five pieces, between them, and what is left of all.
        assert_eq!(
            others.collect::<Vec<_>>(),
            [0, 16, 16, 16, 16, 5 * 32 - 4 * 16]
        );
    }

    #[test]
    fn frames_are_scrubbed_in_pieces_to_the_last() {
        let memory = DeviceMemory::new(1 << 20).unwrap();
        for at in (0..1 << 20).step_by(4096) {
            let one = [1];
            // SAFETY: `one` has one byte.
            unsafe { memory.copy_in(one.as_ptr(), PhysicalOffset(at), 1) };
        }
        let run = HomeRun {
            first: Frame(3),
            count: Frames(41),
        };
        let (mut done, mut pieces) = (Frames(0), 1);
        while scrub_piece(&memory, run, &mut done) {
            pieces += 1;
        }
        assert_eq!((done, pieces), (Frames(41), 3));
        let is_left = |page: &u64| read(&memory, page * 4096) == 1;
        assert!((0..256).filter(is_left).eq((0..3).chain(44..256)));
    }
}
