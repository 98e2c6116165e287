// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests from the card to the front end (QEMU): mapping the aperture.
//!
//! They go through a thread of their own, so that whoever asks waits for a
//! bounded time whatever the front end does. Never called by anybody who holds
//! a ring's lock or is inside guest memory: the front end may at that moment
//! wait for a ring to stop.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use augur_card::Host;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use vhost::vhost_user::message::{VhostUserMMap, VhostUserMMapFlags, VhostUserSharedMsg};
use vhost::vhost_user::{Backend, VhostUserFrontendReqHandler as _};
use vm_memory::ByteValued as _;

use crate::doorbell::Doorbell;

/// The time that the front end has to map the aperture.
const MAP_TIMEOUT: Duration = Duration::from_secs(5);
/// The shared memory region that is the aperture.
const APERTURE: u8 = 0;

/// A UUID (version 8) of an object that nobody has shared.
const NOBODYS_OBJECT: [u8; 16] = *b"augur\0\x80\0\x80barrier";

/// The front end, as the card's host. See the module's description.
pub struct FrontEnd {
    requests: Sender<Request>,
    link: Arc<Link>,
    events: Arc<Doorbell>,
}

/// What the requesting thread shares with the rest.
#[derive(Default)]
struct Link {
    /// The way to ask the front end, once it has given one.
    backend: Mutex<Option<Backend>>,
    /// The rings run: a mapping outside of a driver's life kills QEMU 11.1.
    running: AtomicBool,
    /// Bytes of the mapping that the front end has.
    mapped: Mutex<Option<u64>>,
    /// Device and inode of the card's memory.
    card_memory: Mutex<Option<(u64, u64)>>,
}

struct Request {
    memory: File,
    bytes: u64,
    /// Whoever asked has given up.
    abandoned: Arc<AtomicBool>,
    answer: Sender<io::Result<()>>,
}

impl FrontEnd {
    /// A front end that has not given its channel yet. Rings `events` when the
    /// card has events.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn new(events: Arc<Doorbell>) -> io::Result<Self> {
        let (requests, incoming) = unbounded();
        let link = Arc::new(Link::default());
        let served = link.clone();
        std::thread::Builder::new()
            .name("front-end".into())
            .spawn(move || serve(&served, &incoming))?;
        Ok(FrontEnd {
            requests,
            link,
            events,
        })
    }

    /// The channel for requests, given by the front end.
    pub fn connect(&self, backend: Backend) {
        // The message that serves as a barrier belongs to this feature. Offering
        // the feature is not needed for QEMU to answer it.
        backend.set_shared_object_flag(true);
        *lock(&self.link.backend) = Some(backend);
    }

    /// The rings run from now on, or do not any more.
    pub fn set_running(&self, running: bool) {
        self.link.running.store(running, Ordering::SeqCst);
    }

    /// The front end has dropped its mapping without a word, as it does when
    /// the guest resets the card.
    pub fn forget_mapping(&self) {
        *lock(&self.link.mapped) = None;
    }

    /// Whether `file` is the card's own memory, which QEMU lists among the
    /// guest's once it is mapped in the aperture.
    pub fn is_card_memory(&self, file: &File) -> bool {
        let known = *lock(&self.link.card_memory);
        known.is_some() && identity(file).ok() == known
    }
}

impl Host for FrontEnd {
    fn map_aperture(&self, memory: &File, bytes: u64) -> io::Result<()> {
        // Before the mapping: the memory table that lists it comes before the answer.
        *lock(&self.link.card_memory) = Some(identity(memory)?);
        let (answer, answered) = bounded(1);
        let abandoned = Arc::new(AtomicBool::new(false));
        let request = Request {
            memory: memory.try_clone()?,
            bytes,
            abandoned: abandoned.clone(),
            answer,
        };
        let gone = || io::Error::new(ErrorKind::NotConnected, "the front end is gone");
        self.requests.send(request).map_err(|_| gone())?;
        answered.recv_timeout(MAP_TIMEOUT).unwrap_or_else(|_| {
            abandoned.store(true, Ordering::SeqCst);
            Err(io::Error::new(
                ErrorKind::TimedOut,
                "the front end does not answer",
            ))
        })
    }

    fn events_pending(&self) {
        self.events.ring();
    }
}

fn serve(link: &Link, incoming: &Receiver<Request>) {
    for request in incoming {
        if !request.abandoned.load(Ordering::SeqCst) {
            // Nobody listens any more when it took too long.
            let _ = request.answer.send(map(link, &request));
        }
    }
}

fn map(link: &Link, request: &Request) -> io::Result<()> {
    let backend = lock(&link.backend)
        .clone()
        .ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "the front end gave no channel"))?;
    if !link.running.load(Ordering::SeqCst) {
        return Err(io::Error::new(
            ErrorKind::Interrupted,
            "the guest is resetting the card",
        ));
    }
    if let Some(bytes) = lock(&link.mapped).take() {
        unmap(&backend, bytes);
    }
    let area = area(request.bytes, VhostUserMMapFlags::WRITABLE.bits());
    if backend.shmem_map(&area, &request.memory).is_err() {
        // The front end may have kept a mapping that was believed to be gone.
        unmap(&backend, request.bytes);
        backend.shmem_map(&area, &request.memory)?;
    }
    *lock(&link.mapped) = Some(request.bytes);
    // The front end answers before the guest can see the mapping, but not so
    // the next message. Removing an object that nobody knows does nothing.
    if let Some(nobodys) = VhostUserSharedMsg::from_slice(&NOBODYS_OBJECT) {
        let _ = backend.shared_object_remove(nobodys);
    }
    Ok(())
}

fn unmap(backend: &Backend, bytes: u64) {
    if let Err(error) = backend.shmem_unmap(&area(bytes, 0)) {
        log::debug!("the front end had nothing to unmap: {error}");
    }
}

fn area(bytes: u64, flags: u64) -> VhostUserMMap {
    VhostUserMMap {
        shmid: APERTURE,
        len: bytes,
        flags,
        ..VhostUserMMap::default()
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
