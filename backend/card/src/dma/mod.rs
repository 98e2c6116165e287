// SPDX-License-Identifier: MIT OR Apache-2.0
//! DMA channels: transfers between guest and device memory, moves between home
//! and visible frames, scrubbing.
//!
//! Demand comes before predictions, predictions before transfers, transfers
//! before scrubbing and moving objects; a fill ahead of use and a transfer look every 64 KiB whether
//! something more urgent waits. So that nothing starves, the least urgent job that
//! waits gets a turn after [`TURNS`] others.
//!
//! A long transfer is moved in parts by all the channels that have nothing else to
//! do.

mod part;
mod queue;

use augur_memory::{Piece, WindowRef};

pub(crate) use self::part::Part;
use self::queue::{AHEAD, DEMAND};
pub(crate) use self::queue::{DmaJob, DmaQueue};
use crate::shared::{Shared, Totals};

/// Bytes that are moved without looking for something more urgent.
const PIECE: u64 = 64 << 10;
/// Windows filled ahead of use that the driver is told of at once, at most.
const BATCH: usize = 8;

/// A channel: works until the queue is closed.
pub(crate) fn run(shared: &Shared, channel: usize) {
    let ready = || shared.dispatch.take_transfer(channel, shared.now());
    let mut untold = 0;
    while let Some(job) = shared.dma.pop(ready) {
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
            DmaJob::Scrub(run) => {
                if let Err(error) = shared.memory.punch(run.first.offset(), run.count.bytes()) {
                    log::warn!("cannot give host memory back, zeroing instead: {error}");
                    shared.memory.zero(run.first.offset(), run.count.bytes());
                }
                let mut core = shared.core();
                core.manager.scrubbed(run);
                shared.carry_out(core);
            }
            DmaJob::Relocate { relocation, copies } => {
                for copy in copies {
                    shared.memory.copy(copy.from, copy.to, copy.bytes);
                }
                let mut core = shared.core();
                core.manager.relocated(relocation);
                shared.place(&mut core);
                shared.carry_out(core);
            }
            DmaJob::Transfer(part) => part::transfer(shared, part),
        }
        Totals::add(&shared.totals.dma_ns, (shared.now() - start).0);
    }
}

/// Fills a window that was predicted, unless something more urgent waits. The
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
        if shared.dma.waits(DEMAND) {
            shared.dma.put_back(DmaJob::Fill {
                window,
                pieces,
                done,
            });
            break;
        }
        shared.fill_part(&pieces, done, PIECE);
        done += PIECE;
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

/// Moves what is ready, at most `transfers` and none larger than the piece that a
/// channel moves between two looks for something more urgent. To wake a channel costs
/// more than that.
pub(crate) fn stand_in(shared: &Shared, transfers: usize) {
    for _ in 0..transfers {
        if shared.dma.has_urgent() {
            return;
        }
        let Some(work) = shared.dispatch.take_transfer(0, shared.now()) else {
            return;
        };
        let part = Part::whole(work);
        if part.bytes() > PIECE {
            shared.dma.push_bulk(part);
            return;
        }
        let start = shared.now();
        part::transfer(shared, part);
        Totals::add(&shared.totals.dma_ns, (shared.now() - start).0);
    }
}
