// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card over vhost-user: features, config space, memory tables, and the
//! start and stop of rings.
//!
//! Three threads meet here. The *message thread* serves the front end's socket
//! and must never wait for anybody who waits for the front end. Two workers serve
//! the queues (see [`serve`](crate::serve)).
//!
//! QEMU stops every ring for a guest's reset just as for its own `stop`. What
//! it was shows when the rings start again: if the control ring stands where it
//! was stopped, the same driver goes on, and what was held meanwhile is written;
//! if not, another driver has begun, and everything of the one before is
//! cancelled and forgotten. No one enters guest memory before that is decided.
//!
//! What requests and events mean is the card's business.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use augur_abi::config::{QUEUE_CONTROL, QUEUE_SUBMIT};
use augur_card::Card;
use vhost::vhost_user::Backend;
use vhost::vhost_user::message::{
    VhostUserProtocolFeatures, VhostUserShMemConfig, VhostUserVirtioFeatures,
};
use vhost_user_backend::VhostUserBackend;
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use vm_memory::{
    GuestAddressSpace as _, GuestMemoryBackend as _, GuestMemoryMmap, GuestMemoryRegion as _,
    GuestRegionMmap,
};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{
    EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier,
};
use zerocopy::IntoBytes as _;

use crate::front_end::FrontEnd;
use crate::lookout::Lookout;
use crate::queue::{MAX_QUEUE_SIZE, Queue, TakenChain};
use crate::ring::{Ring, SharedMemory};
use crate::ring_addresses::RefusedRings;
use crate::serve::{Side, Worker};

/// The card's vhost-user back end. See the module's description.
pub struct Transport {
    pub(crate) card: Arc<Card>,
    front_end: Arc<FrontEnd>,
    /// By queue number, from the first time that its worker has seen the ring.
    queues: Vec<OnceLock<Arc<Queue>>>,
    /// Rings that are where none can be.
    refused: Arc<RefusedRings>,
    control: Worker,
    submit: Worker,
    pub(crate) lookout: Lookout,
    /// An events buffer that waits for an event.
    pub(crate) posted: Mutex<Option<TakenChain>>,
    /// Held while rings change between running and stopped.
    transition: Mutex<()>,
    /// The control queue runs, and with it guest memory is open.
    open: AtomicBool,
}

impl Transport {
    /// The back end of a card with its workers, in the order of [`Side`].
    pub fn new(
        card: Arc<Card>,
        front_end: Arc<FrontEnd>,
        [control, submit]: [Worker; 2],
        lookout: Lookout,
    ) -> Self {
        let queues = QUEUE_SUBMIT + card.config_space().submit_queues;
        Transport {
            card,
            front_end,
            queues: (0..queues).map(|_| OnceLock::new()).collect(),
            refused: Arc::new(RefusedRings::new(queues.into())),
            control,
            submit,
            lookout,
            posted: Mutex::new(None),
            transition: Mutex::new(()),
            open: AtomicBool::new(false),
        }
    }

    /// The number that a worker's event loop reports when its bell has rung:
    /// behind those of queues, and the one that the loop keeps for itself.
    pub fn bell_event(&self) -> u64 {
        self.queues.len() as u64 + 1
    }

    /// The rings that whoever sees the front end's messages first keeps still.
    pub fn refused_rings(&self) -> Arc<RefusedRings> {
        self.refused.clone()
    }

    /// Lets nobody into guest memory any more, before the process ends.
    pub fn close(&self) {
        let _transition = self.transition();
        self.set_open(false);
        self.card.guest().stop();
    }

    /// The worker whose side it is.
    pub(crate) fn worker(&self, side: Side) -> &Worker {
        match side {
            Side::Control => &self.control,
            Side::Submit => &self.submit,
        }
    }

    /// The queues with these numbers whose rings were seen.
    pub(crate) fn seen_queues(&self, numbers: Range<u16>) -> impl Iterator<Item = &Arc<Queue>> {
        let (first, behind) = (usize::from(numbers.start), usize::from(numbers.end));
        let count = behind.saturating_sub(first);
        let queues = self.queues.iter().skip(first).take(count);
        queues.filter_map(OnceLock::get)
    }

    /// The guest has kicked a side with these rings, or somebody has rung.
    pub(crate) fn note_rings(&self, side: Side, rings: &[Ring]) {
        for (number, ring) in side.queues().zip(rings) {
            let new = || Arc::new(Queue::new(queue_name(number), ring.clone()));
            if let Some(queue) = self.queues.get(usize::from(number)) {
                queue.get_or_init(new).kicked();
            }
        }
        self.start_queues(side);
    }

    /// Starts the queues of a side that can be started now.
    pub(crate) fn start_queues(&self, side: Side) {
        for number in side.queues() {
            let Some(queue) = self.queues.get(usize::from(number)) else {
                break;
            };
            if let Some(queue) = queue.get()
                && !queue.is_running()
            {
                self.start(number, queue);
            }
        }
    }

    /// Starts a queue whose ring the front end has started.
    fn start(&self, number: u16, queue: &Queue) {
        let _transition = self.transition();
        // Looked at under the lock: a stop makes the ring unready, then waits
        // for the lock.
        if queue.is_running() || !queue.is_ready() || self.refused.contains(number) {
            return;
        }
        if number == QUEUE_CONTROL {
            if queue.continues() {
                log::info!("the driver goes on");
                queue.interrupt();
            } else {
                log::info!("a driver begins");
                self.front_end.forget_mapping();
                self.known_queues().for_each(|queue| queue.begin_life());
                self.card.reset();
            }
            queue.run();
            self.card.guest().resume();
            self.set_open(true);
            self.ring_bells();
        } else {
            if !self.open.load(Ordering::SeqCst) {
                return;
            }
            if queue.continues() {
                queue.interrupt();
            } else {
                queue.begin_life();
            }
            queue.run();
        }
        queue.flush(self.card.guest());
    }

    /// Stops a queue; returns when nobody touches its memory any more.
    fn stop(&self, number: u16) {
        let _transition = self.transition();
        if number == QUEUE_CONTROL {
            self.set_open(false);
        }
        let queue = self.queues.get(usize::from(number)).and_then(OnceLock::get);
        if let Some(queue) = queue {
            queue.stop();
        }
        self.card.guest().stop();
        if let Some(queue) = queue {
            queue.stopped();
        }
        if self.open.load(Ordering::SeqCst) {
            self.card.guest().resume();
            self.ring_bells();
        }
    }

    fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
        self.front_end.set_running(open);
    }

    fn known_queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.iter().filter_map(OnceLock::get)
    }

    fn ring_bells(&self) {
        self.control.bell.ring();
        self.submit.bell.ring();
    }

    fn transition(&self) -> MutexGuard<'_, ()> {
        self.transition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a region that its file does not cover: touching what is missing
/// would kill the process.
fn check_backing(region: &GuestRegionMmap) -> io::Result<()> {
    let Some(offset) = region.file_offset() else {
        return Ok(());
    };
    let metadata = offset.file().metadata()?;
    let end = offset.start().checked_add(region.len());
    if metadata.is_file() && end.is_none_or(|end| end > metadata.len()) {
        return Err(io::Error::other(
            "a file of guest memory is shorter than its region",
        ));
    }
    Ok(())
}

fn queue_name(number: u16) -> String {
    match number {
        0 => "control queue".into(),
        1 => "events queue".into(),
        _ => format!("submit queue {}", number - QUEUE_SUBMIT),
    }
}

impl VhostUserBackend for Transport {
    type Bitmap = ();
    type Vring = Ring;

    fn num_queues(&self) -> usize {
        self.queues.len()
    }

    fn max_queue_size(&self) -> usize {
        MAX_QUEUE_SIZE.into()
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_F_VERSION_1
            | 1 << VIRTIO_RING_F_INDIRECT_DESC
            | 1 << VIRTIO_RING_F_EVENT_IDX
            | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::CONFIG
            | VhostUserProtocolFeatures::BACKEND_REQ
            | VhostUserProtocolFeatures::BACKEND_SEND_FD
            | VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::SHMEM
    }

    fn set_event_idx(&self, _enabled: bool) {}

    /// The config space, with zeros behind it: QEMU reads as many bytes as its
    /// command line says. Empty, which the front end takes as an error, when
    /// the range is outside of 256 bytes.
    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let mut space = [0; 256];
        let config = self.card.config_space();
        for (byte, value) in space.iter_mut().zip(config.as_bytes()) {
            *byte = *value;
        }
        let start = offset as usize;
        start
            .checked_add(size as usize)
            .and_then(|end| space.get(start..end))
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }

    /// The guest cannot write the config space; that it tried does no harm.
    fn set_config(&self, _offset: u32, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn get_shmem_config(&self) -> io::Result<VhostUserShMemConfig> {
        Ok(VhostUserShMemConfig::new(
            1,
            &[self.card.config_space().aperture_bytes],
        ))
    }

    fn set_backend_req_fd(&self, backend: Backend) {
        self.front_end.connect(backend);
    }

    fn update_memory(&self, memory: SharedMemory) -> io::Result<()> {
        let memory = memory.memory();
        memory.iter().try_for_each(check_backing)?;
        let memory = self.without_aperture(&memory)?;
        let _transition = self.transition();
        let guest = self.card.guest();
        guest.stop();
        guest.replace(memory);
        if self.open.load(Ordering::SeqCst) {
            guest.resume();
            self.ring_bells();
        }
        Ok(())
    }

    fn queues_per_thread(&self) -> Vec<u64> {
        let all = u64::MAX >> (64 - self.queues.len().clamp(1, 64));
        vec![all & 0b11, all & !0b11]
    }

    fn exit_event(&self, _worker: usize) -> Option<(EventConsumer, EventNotifier)> {
        new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC)
            .inspect_err(|error| log::error!("no event to end a worker with: {error}"))
            .ok()
    }

    fn stop_vring(&self, number: u32) -> io::Result<()> {
        if let Ok(number) = u16::try_from(number) {
            self.stop(number);
        }
        Ok(())
    }

    fn handle_event(
        &self,
        event: u16,
        _set: EventSet,
        rings: &[Ring],
        worker: usize,
    ) -> io::Result<()> {
        let side = match worker {
            0 => Side::Control,
            _ => Side::Submit,
        };
        if u64::from(event) == self.bell_event() {
            self.worker(side).bell.acknowledge();
        }
        self.work(side, rings);
        // An error would end the worker, and the card with it.
        Ok(())
    }
}

impl Transport {
    /// The guest's memory alone. QEMU adds the aperture to the memory table
    /// once it is mapped; a transfer from or to it would race with the card's
    /// own use of its memory.
    fn without_aperture(&self, memory: &GuestMemoryMmap) -> io::Result<GuestMemoryMmap> {
        let regions: Vec<_> = memory
            .iter()
            .filter(|region| {
                let file = region.file_offset().map(|offset| offset.file());
                !file.is_some_and(|file| self.front_end.is_card_memory(file))
            })
            .collect();
        let mut guest = GuestMemoryMmap::new();
        for region in regions {
            let (_, kept) = memory
                .remove_region(region.start_addr(), region.len())
                .map_err(io::Error::other)?;
            guest = guest.insert_region(kept).map_err(io::Error::other)?;
        }
        Ok(guest)
    }
}
