// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the memory of commands is while they run: pinned for one command, or for a
//! while for all commands of a list. What is done there is not known here.
//!
//! To pin, and to map what is scattered, costs more than a small command, so what a
//! list uses is held together by the engines that run it: for [`HELD`] at most and
//! only while some engine has commands of the list, as nothing that is held can
//! make room for others.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use augur_abi::Status;
use augur_abi::command::MAX_OPERANDS;
use augur_memory::{Access, ContextId, DeviceAddress, Nanos, Pin, PinError, Segment};

use crate::command::Command;
use crate::device_memory::Contiguous;
use crate::list::List;
use crate::shared::{Shared, Totals};
use crate::status::status_of;

/// How long what a list uses is held together.
const HELD: Nanos = Nanos(250_000);
/// How long an engine waits before it looks again whether windows have settled.
const PATIENCE: Duration = Duration::from_millis(10);

/// The first bytes of a command's operands.
pub(crate) type First = [*mut u8; MAX_OPERANDS];

/// All that a list uses, pinned and contiguous where it has to be.
pub(crate) struct Held {
    pin: Pin,
    /// One for each part of the footprint.
    parts: Vec<Contiguous>,
    since: Nanos,
}

/// What an engine holds of the list that it runs.
#[derive(Default)]
pub(crate) struct Residence {
    held: Option<(Arc<List>, Arc<Held>)>,
}

impl Residence {
    /// Holds what the list uses, as the other engines that run it do. Where that
    /// cannot be done at once each command has to see for itself.
    pub fn hold(&mut self, shared: &Shared, list: &Arc<List>, now: Nanos) {
        if let Some((of, held)) = &self.held
            && Arc::ptr_eq(of, list)
            && now - held.since < HELD
        {
            return;
        }
        self.let_go(shared);
        let Some(footprint) = &list.program.footprint else {
            return;
        };
        let mut known = list.held.lock().unwrap_or_else(PoisonError::into_inner);
        let shared_by_others = known.upgrade().filter(|held| now - held.since < HELD);
        let held = shared_by_others.or_else(|| {
            let pin = {
                let mut core = shared.core();
                let time = shared.guest_time();
                core.manager
                    .pin(list.context, &footprint.accesses, time)
                    .ok()?
            };
            count_runs(shared, &pin, footprint.parts.len());
            let parts = footprint.parts.iter().map(|part| {
                let (first, end) = part.accesses;
                shared
                    .memory
                    .contiguous(&joined(pin.segments().get(first..end).unwrap_or_default()))
            });
            match parts.collect::<Result<Vec<_>, _>>() {
                Ok(parts) => Some(Arc::new(Held {
                    pin,
                    parts,
                    since: now,
                })),
                Err(error) => {
                    log::error!("cannot map scattered windows for a list: {error}");
                    unpin(shared, pin);
                    None
                }
            }
        });
        if let Some(held) = held {
            *known = Arc::downgrade(&held);
            drop(known);
            self.held = Some((list.clone(), held));
        }
    }

    /// Where the operands of a command are, if that is held.
    pub fn first(&self, list: &Arc<List>, command: &Command) -> Option<First> {
        let (of, held) = self.held.as_ref()?;
        if !Arc::ptr_eq(of, list) {
            return None;
        }
        let footprint = list.program.footprint.as_ref()?;
        let mut first = [std::ptr::null_mut(); MAX_OPERANDS];
        for (place, operand) in first.iter_mut().zip(&command.operands) {
            let at = footprint.part_of(operand.address.0, operand.span)?;
            let into = operand.address.0 - footprint.parts.get(at)?.first;
            *place = held.parts.get(at)?.first().wrapping_add(into as usize);
        }
        Some(first)
    }

    /// Gives back what is held, when nobody else holds it.
    pub fn let_go(&mut self, shared: &Shared) {
        if let Some((_, held)) = self.held.take()
            && let Some(held) = Arc::into_inner(held)
        {
            drop(held.parts);
            unpin(shared, held.pin);
        }
    }
}

/// What is held of a list, for the engines that come to it.
pub(crate) type Known = std::sync::Mutex<Weak<Held>>;

/// Counts the runs of device memory in which so many ranges lie.
fn count_runs(shared: &Shared, pin: &Pin, ranges: usize) {
    let mut segments: Vec<Segment> = pin.segments().iter().flatten().copied().collect();
    segments.sort_unstable_by_key(|segment| segment.offset.0);
    let runs = segments.chunk_by(|a, b| a.offset.0 + a.bytes >= b.offset.0);
    Totals::add(&shared.totals.held_ranges, ranges as u64);
    Totals::add(&shared.totals.held_runs, runs.count() as u64);
}

fn unpin(shared: &Shared, pin: Pin) {
    let mut core = shared.core();
    core.manager.unpin(pin, shared.guest_time());
    shared.carry_out(core);
}

/// The segments of accesses that follow each other.
fn joined(accesses: &[Vec<Segment>]) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::new();
    for segment in accesses.iter().flatten() {
        match joined.last_mut() {
            Some(last) if last.offset.0 + last.bytes == segment.offset.0 => {
                last.bytes += segment.bytes;
            }
            _ => joined.push(*segment),
        }
    }
    joined
}

/// Pins what one command uses and calls `then` with where its operands are; `None`
/// when it would have to wait for windows that are on the move, and must not.
pub(crate) fn with_own<T>(
    shared: &Shared,
    list: &List,
    command: &Command,
    may_wait: bool,
    then: impl FnOnce(&First) -> Result<T, Status>,
) -> Option<Result<T, Status>> {
    let ranges = Ranges::of(command);
    let pin = match wait_for_pin(shared, list, ranges.accesses(), may_wait)? {
        Ok(pin) => pin,
        Err(status) => return Some(Err(status)),
    };
    count_runs(shared, &pin, ranges.ranges().len());
    let mut first = [std::ptr::null_mut(); MAX_OPERANDS];
    let mut views: [Option<Contiguous>; MAX_OPERANDS] = Default::default();
    let mut mapped = Ok(());
    for ((range, segments), view) in ranges.ranges().iter().zip(pin.segments()).zip(&mut views) {
        match shared.memory.contiguous(segments) {
            Ok(made) => {
                for (index, operand) in command.operands.iter().enumerate() {
                    if range.operands & (1 << index) != 0 {
                        let into = operand.address.0 - range.access.address.0;
                        first[index] = made.first().wrapping_add(into as usize);
                    }
                }
                *view = Some(made);
            }
            Err(error) => {
                log::error!("cannot map scattered windows for an engine: {error}");
                mapped = Err(Status::DeviceError);
            }
        }
    }
    let result = mapped.and_then(|()| then(&first));
    drop(views);
    unpin(shared, pin);
    Some(result)
}

fn wait_for_pin(
    shared: &Shared,
    list: &List,
    accesses: &[Access],
    may_wait: bool,
) -> Option<Result<Pin, Status>> {
    let context: ContextId = list.context;
    let mut core = shared.core();
    loop {
        if list.is_cancelled() || shared.stopping.load(Ordering::Relaxed) {
            return Some(Err(Status::Cancelled));
        }
        match core.manager.pin(context, accesses, shared.guest_time()) {
            Ok(pin) => return Some(Ok(pin)),
            Err(PinError::Memory(error)) => return Some(Err(status_of(error))),
            Err(PinError::Moving) if !may_wait => return None,
            Err(PinError::Moving) => core = shared.wait_for_change(core, PATIENCE),
        }
    }
}

/// Operands that share bytes, to be seen through one view: through two, the same
/// byte would have two addresses and an overlap could not be noticed.
#[derive(Clone, Copy)]
struct OperandRange {
    access: Access,
    /// A bit for each operand.
    operands: u8,
}

impl OperandRange {
    fn addresses(&self) -> Range<u64> {
        self.access.address.0..self.access.address.0 + self.access.bytes
    }
}

/// The ranges of a command.
struct Ranges {
    ranges: [OperandRange; MAX_OPERANDS],
    accesses: [Access; MAX_OPERANDS],
    count: usize,
}

impl Ranges {
    fn of(command: &Command) -> Self {
        let nothing = Access {
            address: DeviceAddress(0),
            bytes: 0,
            write: false,
        };
        let mut found = Self {
            ranges: [OperandRange {
                access: nothing,
                operands: 0,
            }; MAX_OPERANDS],
            accesses: [nothing; MAX_OPERANDS],
            count: 0,
        };
        // No command has more operands.
        for (index, access) in command.accesses().take(MAX_OPERANDS).enumerate() {
            found.add(OperandRange {
                access,
                operands: 1 << index,
            });
        }
        for (access, range) in found.accesses.iter_mut().zip(&found.ranges) {
            *access = range.access;
        }
        found
    }

    fn add(&mut self, mut merged: OperandRange) {
        // Until nothing overlaps any more.
        while let Some(other) = self.ranges[..self.count].iter().position(|range| {
            let (a, b) = (range.addresses(), merged.addresses());
            a.start < b.end && b.start < a.end
        }) {
            self.count -= 1;
            self.ranges.swap(other, self.count);
            let other = self.ranges[self.count];
            let (a, b) = (other.addresses(), merged.addresses());
            let start = a.start.min(b.start);
            merged.access = Access {
                address: DeviceAddress(start),
                bytes: a.end.max(b.end) - start,
                write: merged.access.write || other.access.write,
            };
            merged.operands |= other.operands;
        }
        self.ranges[self.count] = merged;
        self.count += 1;
    }

    fn ranges(&self) -> &[OperandRange] {
        &self.ranges[..self.count]
    }

    fn accesses(&self) -> &[Access] {
        &self.accesses[..self.count]
    }
}
