// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transfers between guest and device memory, in parts that channels move side by
//! side.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use augur_abi::Status;
use augur_memory::{Access, Nanos, Pin, PinError, Segment};

use super::{DmaJob, PIECE};
use crate::dispatch::Work;
use crate::guest::GuestAccess;
use crate::operation::Operation;
use crate::shared::{Shared, Totals};
use crate::status::status_of;
use crate::transfer::Transfer;

/// Bytes that are pinned at a time, and that a channel takes at a time of a transfer that
/// it moves alone.
const STRIDE: u64 = 1 << 20;
/// Bytes that a channel takes at first of a long transfer, which tells how fast it is, and
/// at a time of one that several move: what the last one may end later than the others.
const CLAIM: u64 = 256 << 10;
/// What takes no longer is moved by who has it. To wake a channel takes an eighth of this,
/// and what one processor's caches hold the other's channel moves at a third of the speed,
/// so that what was shared once looks long the next time, too: with half of this, 4 MiB
/// that caches hold were moved by two again and again, at half of the speed of one.
const ALONE: Nanos = Nanos(400_000);
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

/// A transfer command that channels move.
struct Transferring {
    work: Work,
    claims: Mutex<Claims>,
}

/// Who moves what of a transfer.
struct Claims {
    bytes: u64,
    /// From here on nobody has taken anything.
    next: u64,
    /// Parts that were taken and have not ended.
    open: usize,
    /// Several channels move it.
    shared: bool,
    /// Why a part failed; the rest is given up then.
    failure: Option<Status>,
}

impl Transferring {
    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes that nobody has taken; `None` when there are none, or not needed.
    fn claim(&self) -> Option<Range<u64>> {
        let mut claims = self.claims();
        if claims.failure.is_some() || claims.next >= claims.bytes {
            return None;
        }
        let start = claims.next;
        let most = if claims.shared { CLAIM } else { STRIDE };
        claims.next = claims.bytes.min(start + most);
        claims.open += 1;
        Some(start..claims.next)
    }

    /// A part has ended. Answers the end of all, if it was the last.
    fn ended(&self, result: Result<(), Status>) -> Option<Result<(), Status>> {
        let mut claims = self.claims();
        claims.open -= 1;
        if let Err(status) = result {
            claims.failure.get_or_insert(status);
        }
        let over = claims.failure.is_some() || claims.next >= claims.bytes;
        (over && claims.open == 0).then_some(claims.failure.map_or(Ok(()), Err))
    }
}

/// A channel's share of a transfer: bytes that are left of what it has taken, `None`
/// before it has taken any.
pub(crate) struct Part {
    transfer: Arc<Transferring>,
    left: Option<Range<u64>>,
}

impl Part {
    /// All of a transfer command.
    pub fn whole(work: Work) -> Self {
        let bytes = work.list.commands().get(work.command);
        let operand = bytes.and_then(|command| command.operands.first());
        let bytes = operand.map_or(0, |operand| operand.span);
        let first = if bytes <= STRIDE { bytes } else { CLAIM };
        Part {
            transfer: Arc::new(Transferring {
                work,
                claims: Mutex::new(Claims {
                    bytes,
                    next: first,
                    open: 1,
                    shared: false,
                    failure: None,
                }),
            }),
            left: Some(0..first),
        }
    }

    /// After `bytes` bytes took `took`: shares of the rest for at most `others` channels,
    /// if it would take one channel long and none has a share yet.
    fn share(&self, bytes: u64, took: Nanos, others: usize) -> Vec<Part> {
        let mut claims = self.transfer.claims();
        let rest = claims.bytes - claims.next;
        let alone = took.0.saturating_mul(rest) / bytes.max(1);
        let others = others.min((rest / CLAIM) as usize);
        if claims.shared || others == 0 || alone <= ALONE.0 {
            return Vec::new();
        }
        claims.shared = true;
        let share = || Part {
            transfer: self.transfer.clone(),
            left: None,
        };
        (0..others).map(|_| share()).collect()
    }
}

/// Moves parts of a transfer until all are taken, something more urgent waits or the caller
/// does not go on, which is told whether it is alone. Answers whether transfers are ready
/// for which nobody was woken.
pub(super) fn transfer(shared: &Shared, part: Part, goes_on: &dyn Fn(bool) -> bool) -> bool {
    let start = shared.now();
    let context = part.transfer.work.list.context;
    let ready = move_parts(shared, part, goes_on);
    if let Some(info) = shared.core().contexts.get_mut(&context) {
        info.dma += shared.now() - start;
    }
    ready
}

fn move_parts(shared: &Shared, mut part: Part, goes_on: &dyn Fn(bool) -> bool) -> bool {
    let mut start = shared.now();
    loop {
        let Some(mut left) = part.left.take().or_else(|| part.transfer.claim()) else {
            return false;
        };
        let bytes = left.end - left.start;
        let Some(result) = move_all(shared, &part.transfer, &mut left) else {
            part.left = Some(left);
            shared.dma.push(DmaJob::Transfer(part));
            return false;
        };
        if let Some(result) = part.transfer.ended(result) {
            return shared.transfer_ended(&part.transfer.work, result);
        }
        let now = shared.now();
        for other in part.share(bytes, now - start, shared.dma.idle()) {
            shared.dma.push(DmaJob::Transfer(other));
        }
        if !goes_on(!part.transfer.claims().shared) {
            shared.dma.push(DmaJob::Transfer(part));
            return false;
        }
        start = now;
    }
}

/// Moves these bytes of a transfer; `None` when something more urgent waits, or they
/// cannot be moved now, with what is left of them.
fn move_all(
    shared: &Shared,
    transfer: &Transferring,
    left: &mut Range<u64>,
) -> Option<Result<(), Status>> {
    loop {
        let work = &transfer.work;
        if work.list.is_cancelled() || shared.stopping.load(Ordering::Relaxed) {
            return Some(Err(Status::Cancelled));
        }
        if left.is_empty() || transfer.claims().failure.is_some() {
            return Some(Ok(()));
        }
        match move_some(shared, work, left.start, left.end - left.start) {
            // The guest's runs end before the transfer: it was checked that they don't.
            Progress::Moved(0) => return Some(Err(Status::DeviceError)),
            Progress::Moved(bytes) => {
                left.start += bytes;
                if !left.is_empty() && shared.dma.has_urgent() {
                    return None;
                }
            }
            Progress::Blocked => {
                if !shared.dma.has_urgent() {
                    drop(shared.wait_for_change(shared.core(), PATIENCE));
                }
                return None;
            }
            Progress::Failed(status) => return Some(Err(status)),
        }
    }
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
