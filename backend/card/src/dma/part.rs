// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transfers between guest and device memory, in parts that channels move side by
//! side.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use augur_abi::Status;
use augur_memory::{Access, Pin, PinError, Segment};

use super::{DmaJob, PIECE};
use crate::dispatch::Work;
use crate::guest::GuestAccess;
use crate::operation::Operation;
use crate::shared::{Shared, Totals};
use crate::status::status_of;
use crate::transfer::Transfer;

/// Bytes that are pinned at a time.
const STRIDE: u64 = 1 << 20;
/// What another channel is woken for, at least: below, waking it takes longer than
/// the copy.
const LEAST_PART: u64 = 256 << 10;
/// How long a channel sleeps before it looks again at what it waits for.
const PATIENCE: Duration = Duration::from_millis(10);

/// What became of a part of a transfer.
enum Progress {
    /// So many bytes are done.
    Moved(u64),
    /// A window is on the move, or the guest is stopped: later.
    Blocked,
    Failed(Status),
}

/// A transfer command that a channel has taken, or several together.
struct Transferring {
    work: Work,
    /// Parts that have not ended.
    parts: AtomicUsize,
    /// Why a part failed; the others are given up then.
    failure: OnceLock<Status>,
}

/// Bytes of a transfer that one channel moves at a time.
pub(crate) struct Part {
    transfer: Arc<Transferring>,
    /// From where on it has yet to be done, in bytes of the command.
    done: u64,
    end: u64,
}

impl Part {
    /// All of a transfer command.
    pub fn whole(work: Work) -> Self {
        let bytes = work.list.commands().get(work.command);
        let operand = bytes.and_then(|command| command.operands.first());
        let end = operand.map_or(0, |operand| operand.span);
        Part {
            transfer: Arc::new(Transferring {
                work,
                parts: AtomicUsize::new(1),
                failure: OnceLock::new(),
            }),
            done: 0,
            end,
        }
    }

    /// Bytes that have yet to be done.
    pub fn bytes(&self) -> u64 {
        self.end - self.done
    }

    /// Cuts off what `others` channels can do meanwhile, unless each would have
    /// little to do.
    fn cut(&mut self, others: usize) -> Vec<Part> {
        let shares = (others as u64 + 1).min(self.bytes() / LEAST_PART).max(1);
        let share = (self.bytes() / shares).next_multiple_of(PIECE);
        let end = self.end;
        self.end = end.min(self.done + share);
        let mut cut = Vec::new();
        let mut done = self.end;
        while done < end {
            self.transfer.parts.fetch_add(1, Ordering::Relaxed);
            cut.push(Part {
                transfer: self.transfer.clone(),
                done,
                end: end.min(done + share),
            });
            done += share;
        }
        cut
    }

    /// The part has ended, and with the last one the transfer.
    fn finish(self, shared: &Shared, result: Result<(), Status>) {
        let transfer = self.transfer;
        if let Err(status) = result {
            // The first failure is as good as any.
            let _ = transfer.failure.set(status);
        }
        if transfer.parts.fetch_sub(1, Ordering::AcqRel) == 1 {
            let failure = transfer.failure.get().copied();
            shared.transfer_ended(&transfer.work, failure.map_or(Ok(()), Err));
        }
    }
}

/// Continues a part until it is done or something more urgent waits. Counts the
/// channel's time for the context.
pub(super) fn transfer(shared: &Shared, mut part: Part) {
    let start = shared.now();
    let context = part.transfer.work.list.context;
    for other in part.cut(shared.dma.idle()) {
        shared.dma.push(DmaJob::Transfer(other));
    }
    advance(shared, part);
    if let Some(info) = shared.core().contexts.get_mut(&context) {
        info.dma += shared.now() - start;
    }
}

fn advance(shared: &Shared, mut part: Part) {
    let result = loop {
        let work = &part.transfer.work;
        if work.list.is_cancelled() || shared.stopping.load(Ordering::Relaxed) {
            break Err(Status::Cancelled);
        }
        if part.bytes() == 0 || part.transfer.failure.get().is_some() {
            break Ok(());
        }
        match move_some(shared, work, part.done, part.bytes()) {
            // The guest's runs end before the transfer: it was checked that they don't.
            Progress::Moved(0) => break Err(Status::DeviceError),
            Progress::Moved(bytes) => {
                part.done += bytes;
                if part.bytes() > 0 && shared.dma.has_urgent() {
                    shared.dma.push(DmaJob::Transfer(part));
                    return;
                }
            }
            Progress::Blocked => {
                if !shared.dma.has_urgent() {
                    drop(shared.wait_for_change(shared.core(), PATIENCE));
                }
                shared.dma.push(DmaJob::Transfer(part));
                return;
            }
            Progress::Failed(status) => break Err(status),
        }
    };
    part.finish(shared, result);
}

/// Moves at most [`STRIDE`] bytes of a command, from byte `done` on.
fn move_some(shared: &Shared, work: &Work, done: u64, most: u64) -> Progress {
    let Some(command) = work.list.commands().get(work.command) else {
        return Progress::Failed(Status::DeviceError);
    };
    let (index, offset, inward) = match command.operation {
        Operation::TransferIn { transfer, offset } => (transfer, offset, true),
        Operation::TransferOut { transfer, offset } => (transfer, offset, false),
        _ => return Progress::Failed(Status::DeviceError),
    };
    let (Some(transfer), Some(operand)) =
        (work.list.transfers.get(index), command.operands.first())
    else {
        return Progress::Failed(Status::DeviceError);
    };
    let bytes = most.min(STRIDE);
    let mut address = operand.address;
    address.0 += done;
    let access = Access {
        address,
        bytes,
        write: inward,
    };
    let pin = {
        let mut core = shared.core();
        let pinned = core
            .manager
            .pin(work.list.context, &[access], shared.guest_time());
        shared.carry_out(core);
        match pinned {
            Ok(pin) => pin,
            Err(PinError::Moving) => return Progress::Blocked,
            Err(PinError::Memory(error)) => return Progress::Failed(status_of(error)),
        }
    };
    let progress = move_bytes(shared, work, transfer, offset + done, &pin, inward);
    let mut core = shared.core();
    if let (Progress::Moved(bytes), Some(info)) =
        (&progress, core.contexts.get_mut(&work.list.context))
    {
        info.transferred_bytes += bytes;
    }
    core.manager.unpin(pin, shared.guest_time());
    shared.carry_out(core);
    progress
}

/// Moves pinned bytes, until all are moved or something more urgent waits.
fn move_bytes(
    shared: &Shared,
    work: &Work,
    transfer: &Transfer,
    offset: u64,
    pin: &Pin,
    inward: bool,
) -> Progress {
    let segments = pin.segments().first().map_or(&[][..], Vec::as_slice);
    let mut moved = 0;
    let mut pieces = pieces(transfer, offset, segments);
    'pieces: while let Some(piece) = pieces.next() {
        // The gate is entered for each piece, so that a stop is short.
        let Some(guest) = shared.guest.enter() else {
            if moved > 0 {
                break;
            }
            return Progress::Blocked;
        };
        // The gate may have been closed since the last piece, and another driver
        // have begun, whose memory this is now. The list was cancelled before
        // the gate was opened again.
        if work.list.is_cancelled() {
            return Progress::Failed(Status::Cancelled);
        }
        let mut piece = piece;
        let mut left = PIECE;
        loop {
            if !move_piece(shared, &guest, piece, inward) {
                return Progress::Failed(Status::BadAddress);
            }
            moved += piece.bytes;
            left = left.saturating_sub(piece.bytes);
            if left == 0 || shared.dma.has_urgent() {
                break;
            }
            match pieces.next() {
                Some(next) => piece = next,
                None => break 'pieces,
            }
        }
        if shared.dma.has_urgent() {
            break;
        }
    }
    let counter = if inward {
        &shared.totals.dma_in_bytes
    } else {
        &shared.totals.dma_out_bytes
    };
    Totals::add(counter, moved);
    Progress::Moved(moved)
}

fn move_piece(shared: &Shared, guest: &GuestAccess<'_>, piece: Bytes, inward: bool) -> bool {
    if inward {
        guest.copy_in(
            &shared.memory,
            piece.guest,
            piece.device.offset,
            piece.bytes,
        )
    } else {
        guest.copy_out(
            &shared.memory,
            piece.device.offset,
            piece.guest,
            piece.bytes,
        )
    }
}

/// Bytes that are contiguous on both sides.
#[derive(Clone, Copy)]
struct Bytes {
    guest: u64,
    device: Segment,
    bytes: u64,
}

/// Cuts guest runs and device segments into parts that are contiguous on both
/// sides and no larger than [`PIECE`].
fn pieces<'a>(
    transfer: &'a Transfer,
    offset: u64,
    segments: &'a [Segment],
) -> impl Iterator<Item = Bytes> + 'a {
    let mut runs = transfer.runs_from(offset);
    let mut run = runs.next();
    let mut segments = segments.iter().copied();
    let mut segment = segments.next();
    std::iter::from_fn(move || {
        let (guest, device) = (run.as_mut()?, segment.as_mut()?);
        let bytes = guest.bytes.min(device.bytes).min(PIECE);
        let piece = Bytes {
            guest: guest.address,
            device: *device,
            bytes,
        };
        guest.address += bytes;
        guest.bytes -= bytes;
        device.offset.0 += bytes;
        device.bytes -= bytes;
        if guest.bytes == 0 {
            run = runs.next();
        }
        if device.bytes == 0 {
            segment = segments.next();
        }
        Some(piece)
    })
}
