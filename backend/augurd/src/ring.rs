// SPDX-License-Identifier: MIT OR Apache-2.0
//! vhost-user's ring, made tolerant of what a guest can cause: the crate below
//! gives up the whole connection, and with it the virtual machine, for a used
//! ring that is not all there or a wakeup that comes to nothing.
//!
//! Knows eventfds and vhost-user messages about rings; never what is in them.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU8, Ordering};

use augur_card::log_limit::warn_of_guest;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use vhost_user_backend::{VringMutex, VringState, VringStateGuard, VringStateMutGuard, VringT};
use virtio_queue::{Error as QueueError, QueueT as _};
use vm_memory::{
    Bytes as _, GuestAddress, GuestAddressSpace as _, GuestMemoryAtomic, GuestMemoryMmap,
};

/// Guest memory as vhost-user's handler shares it with its rings.
pub type SharedMemory = GuestMemoryAtomic<GuestMemoryMmap>;

/// One ring. Clones are the same ring.
#[derive(Clone)]
pub struct Ring {
    shared: Arc<Shared>,
}

struct Shared {
    vring: VringMutex<SharedMemory>,
    memory: SharedMemory,
    /// Which parts the guest has set up in a way that cannot work:
    /// [`BAD_SIZE`], [`BAD_USED_RING`].
    unusable: AtomicU8,
}

const BAD_SIZE: u8 = 1;
const BAD_USED_RING: u8 = 2;

/// Where a ring stands: enough to tell on a restart whether the same driver
/// goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    size: u16,
    tables: [u64; 3],
    next_available: u16,
    next_used: u16,
}

impl Ring {
    /// Whether chains may be taken: started, enabled, and set up in a way that
    /// can work.
    pub fn is_usable(&self) -> bool {
        let vring = self.shared.vring.get_ref();
        vring.get_queue().ready()
            && vring.is_enabled()
            && self.shared.unusable.load(Ordering::Relaxed) == 0
    }

    /// Where the ring stands.
    pub fn position(&self) -> Position {
        let vring = self.shared.vring.get_ref();
        let queue = vring.get_queue();
        Position {
            size: queue.size(),
            tables: [queue.desc_table(), queue.avail_ring(), queue.used_ring()],
            next_available: queue.next_avail(),
            next_used: queue.next_used(),
        }
    }

    /// The used element that stands in guest memory right before `position`:
    /// head and length. `None` when it cannot be read.
    pub fn last_used_element(&self, position: &Position) -> Option<(u32, u32)> {
        let [_, _, used_ring] = position.tables;
        let index = position
            .next_used
            .wrapping_sub(1)
            .checked_rem(position.size)?;
        // Behind flags and index, 2 bytes each (virtio 1.2, 2.7.8).
        let address = used_ring.checked_add(4 + 8 * u64::from(index))?;
        let memory = self.shared.memory.memory();
        let element: [u32; 2] = memory.read_obj(GuestAddress(address)).ok()?;
        Some((u32::from_le(element[0]), u32::from_le(element[1])))
    }

    fn mark(&self, part: u8, error: Option<&QueueError>) {
        if let Some(error) = error {
            warn_of_guest(format_args!(
                "the guest set a ring up wrongly, its queue stands still: {error}"
            ));
            self.shared.unusable.fetch_or(part, Ordering::Relaxed);
        } else {
            self.shared.unusable.fetch_and(!part, Ordering::Relaxed);
        }
    }
}

impl<'a> VringStateGuard<'a, SharedMemory> for Ring {
    type G = MutexGuard<'a, VringState<SharedMemory>>;
}

impl<'a> VringStateMutGuard<'a, SharedMemory> for Ring {
    type G = MutexGuard<'a, VringState<SharedMemory>>;
}

impl VringT<SharedMemory> for Ring {
    fn new(memory: SharedMemory, max_queue_size: u16) -> Result<Self, QueueError> {
        let vring = VringMutex::new(memory.clone(), max_queue_size)?;
        let unusable = AtomicU8::new(0);
        Ok(Ring {
            shared: Arc::new(Shared {
                vring,
                memory,
                unusable,
            }),
        })
    }

    fn get_ref(&self) -> MutexGuard<'_, VringState<SharedMemory>> {
        self.shared.vring.get_ref()
    }

    fn get_mut(&self) -> MutexGuard<'_, VringState<SharedMemory>> {
        self.shared.vring.get_mut()
    }

    fn add_used(&self, head: u16, bytes: u32) -> Result<(), QueueError> {
        self.shared.vring.add_used(head, bytes)
    }

    fn signal_used_queue(&self) -> io::Result<()> {
        self.shared.vring.signal_used_queue()
    }

    fn enable_notification(&self) -> Result<bool, QueueError> {
        self.shared.vring.enable_notification()
    }

    fn disable_notification(&self) -> Result<(), QueueError> {
        self.shared.vring.disable_notification()
    }

    fn needs_notification(&self) -> Result<bool, QueueError> {
        self.shared.vring.needs_notification()
    }

    fn set_enabled(&self, enabled: bool) {
        self.shared.vring.set_enabled(enabled);
    }

    fn set_queue_info(
        &self,
        descriptors: u64,
        available: u64,
        used: u64,
    ) -> Result<(), QueueError> {
        self.shared
            .vring
            .set_queue_info(descriptors, available, used)
    }

    fn queue_next_avail(&self) -> u16 {
        self.shared.vring.queue_next_avail()
    }

    fn set_queue_next_avail(&self, base: u16) {
        self.shared.vring.set_queue_next_avail(base);
    }

    fn set_queue_next_used(&self, index: u16) {
        self.shared.vring.set_queue_next_used(index);
    }

    /// The used index in guest memory. A used ring that is not all there makes
    /// the ring unusable until another is set, not the connection.
    fn queue_used_idx(&self) -> Result<u16, QueueError> {
        let index = self.shared.vring.queue_used_idx();
        self.mark(BAD_USED_RING, index.as_ref().err());
        Ok(index.unwrap_or(0))
    }

    /// A size that is not a power of two leaves the ring unusable.
    fn set_queue_size(&self, size: u16) {
        let result = self
            .shared
            .vring
            .get_mut()
            .get_queue_mut()
            .try_set_size(size);
        self.mark(BAD_SIZE, result.as_ref().err());
    }

    fn set_queue_event_idx(&self, enabled: bool) {
        self.shared.vring.set_queue_event_idx(enabled);
    }

    fn set_queue_ready(&self, ready: bool) {
        self.shared.vring.set_queue_ready(ready);
    }

    fn set_kick(&self, file: Option<File>) {
        // A wakeup may be stale: the ring was restarted with another eventfd
        // between the wakeup and the read, which then must not block.
        if let Some(file) = &file {
            let set =
                fcntl_getfl(file).and_then(|flags| fcntl_setfl(file, flags | OFlags::NONBLOCK));
            if let Err(error) = set {
                log::warn!("a kick descriptor cannot be made non-blocking: {error}");
            }
        }
        self.shared.vring.set_kick(file);
    }

    /// Takes a kick; answers whether the ring is to be served.
    fn read_kick(&self) -> io::Result<bool> {
        let vring = self.shared.vring.get_ref();
        match vring
            .get_kick()
            .as_ref()
            .map_or(Ok(()), |kick| kick.consume())
        {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                drop(vring);
                // It would be readable for ever: without it the ring stands
                // still until the front end sends another.
                log::warn!("a kick descriptor cannot be read and is dropped: {error}");
                self.shared.vring.set_kick(None);
                Ok(false)
            }
            _ => Ok(vring.is_enabled()),
        }
    }

    fn set_call(&self, file: Option<File>) {
        self.shared.vring.set_call(file);
    }

    fn set_err(&self, file: Option<File>) {
        self.shared.vring.set_err(file);
    }
}
