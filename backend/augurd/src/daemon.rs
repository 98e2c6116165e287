// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card with its transport and threads, serving one front end.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use augur_card::{Card, CardConfig, CardError};
use thiserror::Error;
use vhost::vhost_user::{Error as ProtocolError, Listener};
use vhost_user_backend::{Error as BackendError, VhostUserDaemon};
use vm_memory::GuestMemoryAtomic;
use vmm_sys_util::epoll::EventSet;

use crate::doorbell::Doorbell;
use crate::front_end::FrontEnd;
use crate::lookout::Lookout;
use crate::relay::Relay;
use crate::serve::Worker;
use crate::transport::Transport;

/// Why the card cannot be served, or not any longer.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The card cannot be made.
    #[error("the card cannot be made: {0}")]
    Card(#[from] CardError),
    /// The system gives no thread or descriptor.
    #[error("the system is short of threads or descriptors: {0}")]
    System(#[from] io::Error),
    /// The transport cannot be started.
    #[error("the vhost-user transport cannot be started: {0}")]
    Start(BackendError),
    /// The front end sent something that cannot be understood.
    #[error("the connection was given up: {0}")]
    Connection(BackendError),
}

/// A card that one front end can use. See the module's description.
pub struct Daemon {
    card: Arc<Card>,
    transport: Arc<Transport>,
    // The workers end when this is dropped.
    server: Option<VhostUserDaemon<Arc<Transport>>>,
}

impl Daemon {
    /// Makes the card and starts its threads. A worker looks for at most `busy_poll`
    /// at queues before it sleeps.
    ///
    /// # Errors
    /// [`DaemonError`] when the configuration cannot work or the system is
    /// short of memory, threads or descriptors.
    pub fn new(config: CardConfig, busy_poll: Duration) -> Result<Self, DaemonError> {
        let lookout = Lookout::new(busy_poll);
        let bell = || Ok::<_, io::Error>(Arc::new(Doorbell::new(lookout.watched())?));
        let bells = [bell()?, bell()?];
        let [events, _] = bells.clone();
        let front_end = Arc::new(FrontEnd::new(events)?);
        let card = Arc::new(Card::new(config, front_end.clone())?);
        let workers = bells.clone().map(Worker::new);
        let transport = Arc::new(Transport::new(card.clone(), front_end, workers, lookout));
        let memory = GuestMemoryAtomic::new(vm_memory::GuestMemoryMmap::new());
        let server = VhostUserDaemon::new("vhost-user".into(), transport.clone(), memory)
            .map_err(DaemonError::Start)?;
        for (bell, worker) in bells.iter().zip(server.get_epoll_handlers()) {
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(bell.as_ref());
            worker.register_listener(descriptor, EventSet::IN, transport.bell_event())?;
        }
        Ok(Daemon {
            card,
            transport,
            server: Some(server),
        })
    }

    /// The card.
    pub fn card(&self) -> &Arc<Card> {
        &self.card
    }

    /// Accepts one front end and serves it until it disconnects.
    ///
    /// # Errors
    /// [`DaemonError`] when the connection broke in another way than by an end.
    pub fn serve(&mut self, listener: UnixListener) -> Result<(), DaemonError> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        let (front_end, _) = listener.accept()?;
        let (_relay, listener) = Relay::start(front_end, self.transport.refused_rings())?;
        server
            .start(&mut Listener::from(listener))
            .map_err(DaemonError::Start)?;
        log::info!("a front end has connected");
        match server.wait() {
            Ok(()) => {}
            // An end in the middle of a message is an end.
            Err(BackendError::HandleRequest(
                ProtocolError::Disconnected | ProtocolError::PartialMessage,
            )) => {}
            Err(error) => return Err(DaemonError::Connection(error)),
        }
        log::info!("the front end has disconnected");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A guest that floods the rings would keep the workers for ever, and a
        // worker may be inside the card until that ends.
        self.transport.close();
        self.card.shut_down();
        self.server = None;
    }
}
