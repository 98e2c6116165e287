// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtqueue as the card's transport uses it: chains are taken, and used in
//! any order and from any thread, across stops of the virtual machine.
//!
//! While guest memory is closed, what would be written to it is held; when the
//! same driver goes on it is written, when another driver has begun it is
//! forgotten. Knows the gate of guest memory; never what a request means.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use augur_card::log_limit::warn_of_guest;
use augur_card::{GuestAccess, GuestMemory};
use vhost_user_backend::VringT as _;
use virtio_queue::{QueueOwnedT as _, QueueT as _};
use vm_memory::GuestMemoryMmap;

use crate::chain::{self, Malformed, Segment, Walked};
use crate::ring::{Position, Ring};

/// Descriptors of a queue, at most: the most that QEMU takes.
pub const MAX_QUEUE_SIZE: u16 = 1024;

/// One virtqueue.
pub struct Queue {
    name: String,
    ring: Ring,
    /// The ring makes no sense. It stands still until the guest kicks again.
    still: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Chains are taken and used. Not so from a stop until the card has decided
    /// whether the same driver goes on.
    running: bool,
    /// Where the ring stood when it was stopped.
    stopped_at: Option<Position>,
    /// Grows when another driver begins. Chains of earlier ones are forgotten.
    life: u64,
    in_flight: Heads,
    held: VecDeque<Completion>,
    /// Head and length of the element that was used last in this life.
    last_used: Option<(u32, u32)>,
}

/// The heads of chains that are in flight.
#[derive(Default)]
struct Heads([u64; MAX_QUEUE_SIZE as usize / 64]);

/// A chain that was taken from a queue. It is to be given back to
/// [`Queue::complete`].
#[derive(Clone, Debug)]
pub struct TakenChain {
    head: u16,
    life: u64,
    writable: Vec<Segment>,
    /// Bytes that an answer can have.
    pub capacity: u64,
}

struct Completion {
    chain: TakenChain,
    bytes: Vec<u8>,
}

/// What [`Queue::take`] found.
pub enum Taken {
    /// A chain and its readable bytes.
    Chain(TakenChain, Vec<u8>),
    /// Something that was not a chain and has been dealt with.
    Refused,
    /// Nothing, for now.
    Nothing,
}

impl Queue {
    /// The queue of a ring that has not been started.
    pub fn new(name: String, ring: Ring) -> Self {
        Queue {
            name,
            ring,
            still: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// As [`Queue::take`], and when there is nothing, the guest will kick for the
    /// next chain.
    pub fn next(&self, guest: &GuestMemory, most_readable: usize) -> Taken {
        match self.take(guest, most_readable) {
            // Made available before the guest knew that it has to kick.
            Taken::Nothing if self.enable_kicks(guest) => self.take(guest, most_readable),
            taken => taken,
        }
    }

    /// Whether a look at the ring says that there is a chain. Unlike a chain that
    /// was taken, this may be the guest's mistake.
    pub fn claims_a_chain(&self, guest: &GuestMemory) -> bool {
        let Some(access) = guest.enter() else {
            return false;
        };
        if self.is_still() || !self.is_running() || !self.ring.is_usable() {
            return false;
        }
        let vring = self.ring.get_ref();
        let queue = vring.get_queue();
        queue
            .avail_idx(access.memory(), Ordering::Acquire)
            .is_ok_and(|index| index.0 != queue.next_avail())
    }

    /// Takes the next chain, copying at most `most_readable` bytes of its
    /// readable part. A malformed chain is used with length 0.
    pub fn take(&self, guest: &GuestMemory, most_readable: usize) -> Taken {
        let Some(access) = guest.enter() else {
            return Taken::Nothing;
        };
        let refused = match self.take_within(&access, most_readable) {
            Ok(Some((chain, readable))) => return Taken::Chain(chain, readable),
            Ok(None) => return Taken::Nothing,
            Err(refused) => refused,
        };
        // Whoever is inside delays a stop; writing a log may take its time.
        drop(access);
        warn_of_guest(format_args!("{}: {refused}", self.name));
        match refused {
            // Every look finds the same until the guest mends it and kicks.
            Refused::Index => {
                self.still.store(true, Ordering::Relaxed);
                Taken::Nothing
            }
            Refused::Head(_) | Refused::Chain(_) => Taken::Refused,
        }
    }

    fn take_within(
        &self,
        access: &GuestAccess<'_>,
        most_readable: usize,
    ) -> Result<Option<(TakenChain, Vec<u8>)>, Refused> {
        let mut state = self.lock();
        if !state.running || !self.ring.is_usable() {
            return Ok(None);
        }
        let memory = access.memory();
        let mut vring = self.ring.get_mut();
        let queue = vring.get_queue_mut();
        let queue_size = queue.size();
        let index = queue.avail_idx(memory, Ordering::Acquire);
        if index.map_err(|_| Refused::Index)?.0 == queue.next_avail() {
            return Ok(None);
        }
        let mut available = queue.iter(memory).map_err(|_| Refused::Index)?;
        let mut descriptors = available.next().ok_or(Refused::Index)?;
        drop(vring);
        let head = descriptors.head_index();
        if head >= queue_size {
            return Err(Refused::Head(head));
        }
        if !state.in_flight.insert(head) {
            self.put_used(&mut state, memory, head, 0);
            return Err(Refused::Chain(Malformed::InFlight(head)));
        }
        let life = state.life;
        drop(state);
        match chain::walk(memory, &mut descriptors, queue_size, most_readable) {
            Ok(Walked {
                readable,
                writable,
                capacity,
            }) => Ok(Some((
                TakenChain {
                    head,
                    life,
                    writable,
                    capacity,
                },
                readable,
            ))),
            Err(malformed) => {
                let mut state = self.lock();
                if state.life == life {
                    state.in_flight.remove(head);
                    self.put_used(&mut state, memory, head, 0);
                }
                Err(Refused::Chain(malformed))
            }
        }
    }

    /// Whether a chain was taken in the present life.
    pub fn is_current(&self, chain: &TakenChain) -> bool {
        chain.life == self.lock().life
    }

    /// Uses a chain with length 0 because it is malformed.
    pub fn refuse(&self, guest: &GuestMemory, chain: TakenChain, why: Malformed) {
        warn_of_guest(format_args!("{}: {}", self.name, Refused::Chain(why)));
        self.complete(guest, chain, Vec::new());
    }

    /// Writes an answer and uses its chain: now, or when guest memory is open
    /// again, or never when another driver has begun.
    pub fn complete(&self, guest: &GuestMemory, chain: TakenChain, bytes: Vec<u8>) {
        let mut state = self.lock();
        if chain.life == state.life {
            state.held.push_back(Completion { chain, bytes });
            self.flush_locked(&mut state, guest);
        }
    }

    /// Writes what was held while guest memory was closed.
    pub fn flush(&self, guest: &GuestMemory) {
        self.flush_locked(&mut self.lock(), guest);
    }

    fn flush_locked(&self, state: &mut State, guest: &GuestMemory) {
        if !state.running || state.held.is_empty() {
            return;
        }
        let Some(access) = guest.enter() else { return };
        let memory = access.memory();
        while let Some(Completion { chain, bytes }) = state.held.pop_front() {
            let written = chain::scatter(memory, &chain.writable, &bytes);
            state.in_flight.remove(chain.head);
            self.put_used(state, memory, chain.head, written);
        }
    }

    /// Asks the guest to kick for the next chain; answers whether there is one
    /// already.
    pub fn enable_kicks(&self, guest: &GuestMemory) -> bool {
        let Some(access) = guest.enter() else {
            return false;
        };
        let running = self.lock().running;
        let mut vring = self.ring.get_mut();
        running
            && vring
                .get_queue_mut()
                .enable_notification(access.memory())
                .unwrap_or(false)
            && !self.is_still()
    }

    /// The guest has kicked, perhaps after mending the ring.
    pub fn kicked(&self) {
        self.still.store(false, Ordering::Relaxed);
    }

    fn is_still(&self) -> bool {
        self.still.load(Ordering::Relaxed)
    }

    fn put_used(&self, state: &mut State, memory: &GuestMemoryMmap, head: u16, bytes: u32) {
        let mut vring = self.ring.get_mut();
        let queue = vring.get_queue_mut();
        if let Err(error) = queue.add_used(memory, head, bytes) {
            warn_of_guest(format_args!(
                "{}: its used ring cannot be written: {error}",
                self.name
            ));
            return;
        }
        #[cfg(feature = "misbehave")]
        misuse(queue, memory, head, bytes);
        state.last_used = Some((head.into(), bytes));
        #[cfg(feature = "misbehave")]
        if crate::misbehaviour::is_quiet() {
            return;
        }
        if queue.needs_notification(memory).unwrap_or(true) {
            self.log_failed_interrupt(vring.signal_used_queue());
        }
    }

    fn log_failed_interrupt(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            warn_of_guest(format_args!(
                "{}: the guest cannot be interrupted: {error}",
                self.name
            ));
        }
    }

    /// Whether the front end has started the ring and chains may be taken once
    /// it is decided whose they are.
    pub fn is_ready(&self) -> bool {
        self.ring.is_usable()
    }

    /// Whether chains are taken.
    pub fn is_running(&self) -> bool {
        self.lock().running
    }

    /// No chain is taken or used any more. The caller then waits until nobody
    /// is inside guest memory and calls [`Queue::stopped`].
    pub fn stop(&self) {
        self.lock().running = false;
    }

    /// Notes where the ring stands.
    pub fn stopped(&self) {
        let position = self.ring.position();
        self.lock().stopped_at = Some(position);
    }

    /// Whether the ring stands where it was stopped, so that the same driver
    /// goes on. A new driver starts at 0 with an empty used ring. (QEMU hands
    /// back the available index it was given; the used index comes from guest
    /// memory.)
    pub fn continues(&self) -> bool {
        let state = self.lock();
        let position = self.ring.position();
        state.stopped_at == Some(position)
            && state
                .last_used
                .is_none_or(|last| self.ring.last_used_element(&position) == Some(last))
    }

    /// Another driver begins: everything of the one before is forgotten.
    pub fn begin_life(&self) {
        let mut state = self.lock();
        let life = state.life + 1;
        *state = State {
            life,
            ..State::default()
        };
    }

    /// Takes and uses chains from now on.
    pub fn run(&self) {
        self.kicked();
        self.lock().running = true;
    }

    /// Interrupts the guest: an interrupt before a stop may not have come
    /// through, and one too many does no harm.
    pub fn interrupt(&self) {
        self.log_failed_interrupt(self.ring.signal_used_queue());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spoils the element that was used last, before the guest is interrupted.
#[cfg(feature = "misbehave")]
fn misuse(queue: &mut virtio_queue::Queue, memory: &GuestMemoryMmap, head: u16, bytes: u32) {
    use vm_memory::{Bytes as _, GuestAddress};

    let spoilt = crate::misbehaviour::used(head.into(), bytes, queue.size());
    if spoilt == (head.into(), bytes) {
        return;
    }
    let index = queue.next_used().wrapping_sub(1) % queue.size().max(1);
    // Behind flags and index, 2 bytes each (virtio 1.2, 2.7.8).
    let element = queue.used_ring() + 4 + 8 * u64::from(index);
    for (offset, value) in [(0, spoilt.0), (4, spoilt.1)] {
        if let Err(error) = memory.write_obj(value.to_le(), GuestAddress(element + offset)) {
            log::warn!("the used ring cannot be spoilt: {error}");
        }
    }
}

/// Why no chain was taken although the guest has made one available.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Refused {
    /// More chains are available than the queue has descriptors, or the ring is
    /// not in guest memory.
    #[error("its available ring is impossible; the queue stands still until it is mended")]
    Index,
    /// An element that is not a descriptor of the queue.
    #[error("descriptor {0} was made available, which the queue does not have")]
    Head(u16),
    /// A malformed chain.
    #[error("a malformed chain was refused: {0}")]
    Chain(Malformed),
}

impl Heads {
    /// Adds a head; answers whether it was not there.
    fn insert(&mut self, head: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(head / 64)) else {
            return false;
        };
        let bit = 1 << (head % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    fn remove(&mut self, head: u16) {
        if let Some(word) = self.0.get_mut(usize::from(head / 64)) {
            *word &= !(1 << (head % 64));
        }
    }
}
