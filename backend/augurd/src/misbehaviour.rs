// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong answers on purpose: what a broken or malicious card could do to its
//! driver. Compiled with the feature `misbehave` only, which no shipped
//! program has; driver tests boot guests with `augurd-misbehaving`.
//!
//! The card is honest until it is armed. Knows rings and wire structures; what
//! they do to a driver is for the tests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use augur_abi::control::Request;
use augur_abi::control::{RequestHeader, ResponseHeader};
use augur_abi::{Event, EventKind};
use clap::ValueEnum;
use zerocopy::FromBytes as _;

/// What the card does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Misbehaviour {
    /// Uses descriptors that are not in flight.
    UsedId,
    /// Uses descriptors that the queue does not have.
    UsedRange,
    /// Says that it wrote more bytes than there is room for.
    UsedLong,
    /// Says that it wrote nothing.
    UsedShort,
    /// Publishes windows outside of the aperture, over the map header, and of
    /// sizes, slots and addresses that cannot be.
    Windows,
    /// Sends events for contexts that do not exist, and of unknown kinds.
    Contexts,
    /// Answers requests with random bytes behind a good status.
    Answers,
    /// Answers no request.
    Silent,
    /// Keeps command lists.
    Hang,
    /// Answers requests and sends events late: no wait of the driver ends before it
    /// has gone to sleep.
    Late,
    /// Answers as late, without an interrupt.
    Quiet,
}

static CHOSEN: OnceLock<Misbehaviour> = OnceLock::new();
static ARMED: AtomicBool = AtomicBool::new(false);
static RANDOM: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
/// Contexts that the driver has named, so that events can be about them.
static CONTEXTS: RwLock<Vec<u32>> = RwLock::new(Vec::new());

/// Chooses what the card will do wrong once it is armed.
pub fn choose(misbehaviour: Misbehaviour) {
    CHOSEN.get_or_init(|| misbehaviour);
}

/// From now on the card misbehaves, or not any more.
pub fn arm(armed: bool) {
    ARMED.store(armed, Ordering::SeqCst);
}

fn is(misbehaviour: Misbehaviour) -> bool {
    ARMED.load(Ordering::SeqCst) && CHOSEN.get() == Some(&misbehaviour)
}

/// Whether command lists are kept.
pub(crate) fn keeps_lists() -> bool {
    is(Misbehaviour::Hang)
}

/// Whether requests are not answered.
pub(crate) fn is_silent() -> bool {
    is(Misbehaviour::Silent)
}

/// Whether the guest is not interrupted.
pub(crate) fn is_quiet() -> bool {
    is(Misbehaviour::Quiet)
}

/// How late: longer than a driver looks at a ring (the module's look_us).
const LATE: Duration = Duration::from_millis(2);

fn be_late() {
    if is(Misbehaviour::Late) || is(Misbehaviour::Quiet) {
        std::thread::sleep(LATE);
    }
}

/// What stands in the used ring instead of a head and a length.
pub(crate) fn used(head: u32, bytes: u32, queue_size: u16) -> (u32, u32) {
    if is(Misbehaviour::UsedId) {
        // Free, or in the middle of another chain.
        (
            (head + u32::from(queue_size) / 2 + 1) % u32::from(queue_size),
            bytes,
        )
    } else if is(Misbehaviour::UsedRange) {
        (u32::from(queue_size) + head, bytes)
    } else if is(Misbehaviour::UsedLong) {
        (head, u32::MAX - 3)
    } else if is(Misbehaviour::UsedShort) {
        (head, 0)
    } else {
        (head, bytes)
    }
}

/// Spoils an answer.
pub(crate) fn answer(request: &[u8], answer: &mut [u8]) {
    be_late();
    if let Ok((header, _)) = RequestHeader::read_from_prefix(request)
        && header.context != 0
    {
        let mut contexts = CONTEXTS.write().unwrap_or_else(PoisonError::into_inner);
        if !contexts.contains(&header.context) {
            contexts.push(header.context);
        }
    }
    let hello = RequestHeader::read_from_prefix(request)
        .is_ok_and(|(header, _)| header.opcode == Request::Hello.code());
    if is(Misbehaviour::Answers) && !hello {
        for byte in answer.iter_mut().skip(ResponseHeader::BYTES) {
            *byte = random() as u8;
        }
    }
}

/// Adds events to those that are due, as many as there is room for.
pub(crate) fn events(due: &mut Vec<Event>, room: usize) {
    if !due.is_empty() {
        be_late();
    }
    let windows = is(Misbehaviour::Windows);
    if !windows && !is(Misbehaviour::Contexts) {
        return;
    }
    let honest = due.len();
    for event in due.iter_mut() {
        // The card's own events keep their order among the others.
        event.sequence += COUNTED.load(Ordering::SeqCst);
    }
    let mut sequence = match due.last() {
        Some(last) => last.sequence,
        None => return,
    };
    while due.len() < room && due.len() < honest + 6 {
        sequence += 1;
        COUNTED.fetch_add(1, Ordering::SeqCst);
        let event = if windows {
            bad_window()
        } else {
            dead_context()
        };
        due.push(Event { sequence, ..event });
    }
}

/// Events that were added so far.
static COUNTED: AtomicU64 = AtomicU64::new(0);

/// A window of a context that exists, at a place where none can be.
fn bad_window() -> Event {
    let contexts = CONTEXTS.read().unwrap_or_else(PoisonError::into_inner);
    let context = contexts.last().copied().unwrap_or(1);
    let wild = random();
    let (slot, aperture_offset, bytes) = match wild % 6 {
        0 => (wild as u32 >> 8, 1 << 12, 1 << 12),
        1 => (1, u64::MAX - 4095, 1 << 12),
        2 => (2, 1 << 40, 1 << 16),
        3 => (3, 0, 1 << 12),
        4 => (4, 1 << 12, u32::MAX),
        _ => (5, random(), random() as u32),
    };
    Event {
        kind: EventKind::Map.code(),
        flags: 1,
        context,
        slot,
        generation: wild as u32 | 1 << 30,
        device_address: random() & !4095,
        aperture_offset,
        bytes,
        ..Event::default()
    }
}

/// An event about something that there is not.
fn dead_context() -> Event {
    let kinds = [
        EventKind::Map.code(),
        EventKind::Revoke.code(),
        EventKind::FaultFailed.code(),
        EventKind::ContextFailed.code(),
        0x7777,
    ];
    let wild = random();
    Event {
        kind: kinds
            .get(wild as usize % kinds.len())
            .copied()
            .unwrap_or_default(),
        context: 0xdead_0000 | wild as u32 & 0xffff,
        slot: wild as u32 >> 8,
        generation: random() as u32,
        device_address: random(),
        aperture_offset: 1 << 12,
        bytes: 1 << 12,
        status: random() as u32,
        ..Event::default()
    }
}

/// The next of a fixed row of numbers (xorshift64).
fn random() -> u64 {
    let mut next = RANDOM.load(Ordering::Relaxed);
    next ^= next << 13;
    next ^= next >> 7;
    next ^= next << 17;
    RANDOM.store(next, Ordering::Relaxed);
    next
}
