// SPDX-License-Identifier: MIT OR Apache-2.0
//! DMA channels: transfers between guest and device memory, moves between home
//! and visible frames, scrubbing.
//!
//! Demand comes before predictions, predictions before transfers, transfers
//! before scrubbing; a fill ahead of use and a transfer look every 64 KiB whether
//! something more urgent waits. So that nothing starves, the least urgent job that
//! waits gets a turn after [`TURNS`] others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use augur_abi::Status;
use augur_memory::{Access, HomeRun, Piece, Pin, PinError, Segment, WindowRef};

use crate::dispatch::Work;
use crate::guest::GuestAccess;
use crate::operation::Operation;
use crate::shared::{Shared, Totals};
use crate::status::status_of;
use crate::transfer::Transfer;

/// Bytes that are moved without looking for something more urgent.
const PIECE: u64 = 64 << 10;
/// Bytes that are pinned at a time.
const STRIDE: u64 = 1 << 20;
/// Jobs that may go before the least urgent one.
const TURNS: usize = 16;
/// Windows filled ahead of use that the driver is told of at once, at most.
const BATCH: usize = 8;
/// How long a channel sleeps before it looks again at what it waits for.
const PATIENCE: Duration = Duration::from_millis(10);

const CLASSES: usize = 4;
const DEMAND: usize = 0;
const AHEAD: usize = 1;
const BULK: usize = 2;
const BACKGROUND: usize = 3;

/// Something for a channel to do.
pub(crate) enum DmaJob {
    /// Fill a window that was predicted, from byte `done` on.
    Fill {
        window: WindowRef,
        pieces: Vec<Piece>,
        done: u64,
    },
    /// Copy a window home.
    WriteHome {
        window: WindowRef,
        pieces: Vec<Piece>,
    },
    /// A transfer command, from byte `done` on.
    Transfer { work: Work, done: u64 },
    /// Make freed frames read as zero.
    Scrub(HomeRun),
}

struct Jobs {
    classes: [VecDeque<DmaJob>; CLASSES],
    /// Jobs taken since the least urgent that waits had its turn.
    turns: usize,
    open: bool,
}

/// Jobs by urgency.
pub(crate) struct DmaQueue {
    jobs: Mutex<Jobs>,
    arrived: Condvar,
    /// Jobs of each class that wait.
    waiting: [AtomicUsize; CLASSES],
}

impl DmaQueue {
    pub fn new() -> Self {
        DmaQueue {
            jobs: Mutex::new(Jobs {
                classes: Default::default(),
                turns: 0,
                open: true,
            }),
            arrived: Condvar::new(),
            waiting: Default::default(),
        }
    }

    pub fn push_demand(&self, job: DmaJob) {
        self.push(DEMAND, job);
    }

    pub fn push_ahead(&self, job: DmaJob) {
        self.push(AHEAD, job);
    }

    /// Transfers may have become ready.
    pub fn wake(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        self.arrived.notify_all();
    }

    pub fn push_background(&self, job: DmaJob) {
        self.push(BACKGROUND, job);
    }

    fn push(&self, class: usize, job: DmaJob) {
        self.waiting[class].fetch_add(1, Ordering::Relaxed);
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .classes[class]
            .push_back(job);
        self.arrived.notify_one();
    }

    /// Puts back a fill ahead of use that made way for something more urgent.
    fn put_back(&self, job: DmaJob) {
        self.waiting[AHEAD].fetch_add(1, Ordering::Relaxed);
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .classes[AHEAD]
            .push_front(job);
    }

    /// Takes the fill of a window out of the queue, for a program has touched it:
    /// the pieces, and how many bytes of them are done. `None` when a channel is
    /// at it, or has done it.
    pub fn take_fill(&self, wanted: WindowRef) -> Option<(Vec<Piece>, u64)> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let place = jobs.classes[AHEAD]
            .iter()
            .position(|job| matches!(job, DmaJob::Fill { window, .. } if *window == wanted))?;
        match jobs.classes[AHEAD].remove(place) {
            Some(DmaJob::Fill { pieces, done, .. }) => {
                self.waiting[AHEAD].fetch_sub(1, Ordering::Relaxed);
                Some((pieces, done))
            }
            _ => None,
        }
    }

    fn waits(&self, class: usize) -> bool {
        self.waiting[class].load(Ordering::Relaxed) > 0
    }

    /// Whether something more urgent than a transfer waits.
    fn has_urgent(&self) -> bool {
        self.waits(DEMAND) || self.waits(AHEAD)
    }

    /// Waits for the next job; `None` once the queue is closed. `ready` answers a
    /// transfer that may start.
    fn pop(&self, ready: impl Fn() -> Option<Work>) -> Option<DmaJob> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !jobs.open {
                return None;
            }
            jobs.turns += 1;
            let reverse = jobs.turns > TURNS;
            for step in 0..CLASSES {
                let class = if reverse { CLASSES - 1 - step } else { step };
                let mut job = jobs.classes[class].pop_front();
                if job.is_some() {
                    self.waiting[class].fetch_sub(1, Ordering::Relaxed);
                }
                if class == BULK && job.is_none() {
                    job = ready().map(|work| DmaJob::Transfer { work, done: 0 });
                }
                if job.is_some() {
                    if reverse {
                        jobs.turns = 0;
                    }
                    return job;
                }
            }
            jobs = self
                .arrived
                .wait(jobs)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets every channel go.
    pub fn close(&self) {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open = false;
        self.arrived.notify_all();
    }
}

/// What became of a part of a transfer.
enum Progress {
    /// So many bytes are done.
    Moved(u64),
    /// A window is on the move, or the guest is stopped: later.
    Blocked,
    Failed(Status),
}

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
                for piece in &pieces {
                    if let Some(home) = piece.home {
                        shared.memory.copy(piece.visible, home, piece.bytes);
                    }
                }
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
            DmaJob::Transfer { work, done } => transfer_counted(shared, work, done),
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
        let bytes = work
            .list
            .commands
            .get(work.command)
            .and_then(|command| command.operands.first())
            .map_or(0, |operand| operand.span);
        if bytes > PIECE {
            shared.dma.push(BULK, DmaJob::Transfer { work, done: 0 });
            return;
        }
        let start = shared.now();
        match transfer_part(shared, &work, 0) {
            Progress::Moved(done) if done < bytes => {
                shared.dma.push(BULK, DmaJob::Transfer { work, done });
            }
            Progress::Blocked => shared.dma.push(BULK, DmaJob::Transfer { work, done: 0 }),
            Progress::Moved(_) => shared.ended(&work, Ok(())),
            Progress::Failed(status) => shared.ended(&work, Err(status)),
        }
        Totals::add(&shared.totals.dma_ns, (shared.now() - start).0);
    }
}

/// Continues a transfer until it is done or something more urgent waits.
fn transfer(shared: &Shared, work: Work, mut done: u64) {
    let result = loop {
        if work.list.is_cancelled() || shared.stopping.load(Ordering::Relaxed) {
            break Err(Status::Cancelled);
        }
        match transfer_part(shared, &work, done) {
            Progress::Moved(0) => break Ok(()),
            Progress::Moved(bytes) => {
                done += bytes;
                if shared.dma.has_urgent() {
                    shared.dma.push(BULK, DmaJob::Transfer { work, done });
                    return;
                }
            }
            Progress::Blocked => {
                if !shared.dma.has_urgent() {
                    drop(shared.wait_for_change(shared.core(), PATIENCE));
                }
                shared.dma.push(BULK, DmaJob::Transfer { work, done });
                return;
            }
            Progress::Failed(status) => break Err(status),
        }
    };
    shared.ended(&work, result);
}

/// Counts the time of a channel for the context as well.
fn transfer_counted(shared: &Shared, work: Work, done: u64) {
    let start = shared.now();
    let context = work.list.context;
    transfer(shared, work, done);
    if let Some(info) = shared.core().contexts.get_mut(&context) {
        info.dma += shared.now() - start;
    }
}

/// Moves at most [`STRIDE`] bytes.
fn transfer_part(shared: &Shared, work: &Work, done: u64) -> Progress {
    let Some(command) = work.list.commands.get(work.command) else {
        return Progress::Moved(0);
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
    let bytes = (operand.span - done).min(STRIDE);
    if bytes == 0 {
        return Progress::Moved(0);
    }
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
