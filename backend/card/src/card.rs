// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card: its threads, and the calls that a transport makes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use augur_abi::config::CONFIG_MAGIC;
use augur_abi::submit::MAX_SUBMIT_BYTES;
use augur_abi::{ABI_MAJOR, ABI_MINOR, CardState, Config, Event};
use augur_memory::{Lru, Manager};
use augur_predictor::{Model, ModelError};
use thiserror::Error;

use crate::config::{CardConfig, ConfigError};
use crate::device_memory::DeviceMemory;
use crate::guest::GuestMemory;
use crate::host::{Host, ListDone};
use crate::shared::Shared;
use crate::{compute, control, dma, header, placement, prediction, schedule, submit};

/// How often the memory manager is told the time while it waits for something.
const TICK: Duration = Duration::from_millis(2);

/// How often accesses are written to a trace.
const TRACE_INTERVAL: Duration = Duration::from_millis(20);

/// Why a card could not be made.
#[derive(Debug, Error)]
pub enum CardError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host did not give memory.
    #[error("cannot make {bytes} bytes of device memory: {source}")]
    Memory {
        /// The size asked for.
        bytes: u64,
        /// What the host said.
        source: io::Error,
    },
    /// The host did not give a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Somebody records already.
    #[error("accesses are being recorded for somebody else")]
    Recording,
}

/// A card. Its threads run until [`Card::shut_down`] or until it is dropped.
pub struct Card {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Card {
    /// Makes a card and starts its threads.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn new(config: CardConfig, host: Arc<dyn Host>) -> Result<Card, CardError> {
        let sizes = config.manager()?;
        let bytes = config.memory_bytes;
        let memory =
            DeviceMemory::new(bytes).map_err(|source| CardError::Memory { bytes, source })?;
        let manager = Manager::new(sizes, Lru::new(sizes.aperture.0 as usize))
            .map_err(|error| CardError::Config(error.into()))?;
        let shared = Arc::new(Shared::new(config, memory, manager, host));
        let card = Card {
            shared,
            threads: Mutex::default(),
        };
        for engine in 0..card.shared.config.compute_engines {
            let run = move |shared: &Shared| compute::run(shared, engine.into());
            card.spawn(format!("compute-{engine}"), run)?;
        }
        for channel in 0..card.shared.config.dma_channels {
            let run = move |shared: &Shared| dma::run(shared, channel.into());
            card.spawn(format!("dma-{channel}"), run)?;
        }
        card.spawn("learner".to_owned(), prediction::run)?;
        card.spawn("heartbeat".to_owned(), beat)?;
        Ok(card)
    }

    fn spawn(
        &self,
        name: String,
        run: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<(), CardError> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || run(&shared))
            .map_err(CardError::Thread)?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// The configuration.
    pub fn config(&self) -> &CardConfig {
        &self.shared.config
    }

    /// The config space.
    pub fn config_space(&self) -> Config {
        let config = &self.shared.config;
        let core = self.shared.core();
        Config {
            magic: CONFIG_MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            compute_engines: config.compute_engines,
            dma_channels: config.dma_channels,
            memory_bytes: config.memory_bytes,
            aperture_bytes: config.aperture_bytes,
            usable_bytes: config.memory_bytes - config.aperture_bytes,
            submit_queues: config.submit_queues,
            max_contexts: core.manager.max_contexts() as u16,
            demand_window_bytes: config.demand_window_bytes as u32,
            max_window_bytes: 2 << 20,
            window_slots: core.manager.config().aperture.0,
            max_submit_bytes: MAX_SUBMIT_BYTES,
            heartbeat_ms: config.heartbeat_ms,
            revoke_timeout_ms: config.revoke_timeout_ms,
            reserved: 0,
        }
    }

    /// Lets a model in safetensors form predict for contexts that have none of
    /// their own.
    ///
    /// # Errors
    /// What is wrong with the file; the model before it stays.
    pub fn install_model(&self, file: &[u8]) -> Result<(), ModelError> {
        let model = Model::from_bytes(file)?;
        self.shared.prediction.models.install(None, model);
        Ok(())
    }

    /// What the card has learned, as a safetensors file; once, after
    /// [`Card::shut_down`].
    pub fn take_learned_model(&self) -> Option<Vec<u8>> {
        self.shared.prediction.take_last_model()
    }

    /// Records the accesses that the card knows of as a trace, until the card is
    /// shut down, the sink fails, or `wanted`, asked now and then, answers false.
    ///
    /// # Errors
    /// [`CardError::Recording`], or when the host gives no thread.
    pub fn record(
        &self,
        sink: Box<dyn Write + Send>,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<(), CardError> {
        if !self.shared.prediction.recorder.start_for_host() {
            return Err(CardError::Recording);
        }
        self.spawn("recorder".to_owned(), move |shared| {
            if let Err(error) = write_trace(shared, sink, &wanted) {
                log::warn!("the trace ends here: {error}");
            }
            shared.prediction.recorder.stop_for_host();
        })
    }

    /// Whether lists are queued or being executed.
    pub fn has_lists(&self) -> bool {
        self.shared.inflight_bytes.load(Ordering::Relaxed) > 0
    }

    /// Records the schedule, until the card is shut down: one JSON object a line
    /// for each command (`span`), now and then how finely memory is tracked
    /// (`tracking`), and why that changed (`decision`).
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn record_schedule(&self, sink: Box<dyn Write + Send>) -> Result<(), CardError> {
        self.spawn("schedule".to_owned(), move |shared| {
            if let Err(error) = schedule::write(shared, sink) {
                log::error!("the schedule ends here: {error}");
            }
        })
    }

    /// Guest memory, which the transport shares with the card.
    pub fn guest(&self) -> &GuestMemory {
        &self.shared.guest
    }

    /// Answers a request of the control queue. Requests are answered one at a
    /// time: the transport has one control queue.
    pub fn control(&self, request: &[u8]) -> Vec<u8> {
        control::answer(&self.shared, request)
    }

    /// Takes a submission; `done` is told when its list has ended, which may be
    /// before this returns. Lists of a context take effect in the order of these
    /// calls, whatever queue they came from.
    ///
    /// The calling thread moves what the list transfers while nobody else does, for a
    /// few milliseconds at most, until it is `asked` for something else.
    pub fn submit(&self, request: &[u8], done: Box<dyn ListDone>, asked: &dyn Fn() -> bool) {
        submit::submit(&self.shared, request, done, asked);
    }

    /// Takes up to `limit` events, in order. The caller delivers them before it,
    /// or another thread, takes more.
    pub fn take_events(&self, limit: usize, out: &mut Vec<Event>) {
        self.shared.core().events.take(limit, out);
    }

    /// The guest has begun a new life of its rings: ends the lists of the old one.
    /// Contexts wait for a RESUME of their life or the HELLO that ends them. Lists
    /// that end after this belong to rings that are gone.
    pub fn reset(&self) {
        self.shared.suspend_life();
    }

    /// Tells the driver that the card goes, and ends its threads.
    pub fn shut_down(&self) {
        let shared = &self.shared;
        if shared.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        {
            let core = shared.core();
            for info in core.contexts.values() {
                info.cancelled.end();
            }
            header::state(&shared.memory, CardState::Gone, core.events.resyncs);
        }
        let scheduling = shared.dispatch.totals();
        log::info!(
            "scheduled with {} orderings, {} splits and {} merges; {} commands near their data, {} from another \
             engine's share, {} replayed; {} lists recognised, {} more commands by dividing",
            scheduling.edges,
            scheduling.splits,
            scheduling.merges,
            scheduling.near,
            scheduling.stolen,
            scheduling.replayed,
            shared.programs.recognised(),
            shared.totals.divided.load(Ordering::Relaxed)
        );
        shared.dispatch.close();
        shared.dma.close();
        shared.prediction.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a thread of the card has panicked");
            }
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Writes accesses as they are noted.
fn write_trace(
    shared: &Shared,
    sink: Box<dyn Write + Send>,
    wanted: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut writer = prediction::TraceWriter::new(sink)?;
    let mut lost = 0;
    loop {
        // What was noted before the end is written.
        let last = shared.stopping.load(Ordering::Relaxed) || !wanted();
        let (accesses, lost_now) = shared.prediction.recorder.take_for_host();
        writer.write(&accesses)?;
        if lost_now > lost {
            log::warn!("{} accesses are not in the trace", lost_now - lost);
            lost = lost_now;
        }
        if last {
            return Ok(());
        }
        thread::sleep(TRACE_INTERVAL);
    }
}

/// Shows in the map header that the card lives, and lets time pass for the
/// memory manager.
fn beat(shared: &Shared) {
    let interval = Duration::from_millis(shared.config.heartbeat_ms.into());
    let mut heartbeat = 0;
    let mut last_beat = shared.now();
    while !shared.stopping.load(Ordering::Relaxed) {
        let mut core = shared.core();
        let ticking = core.manager.needs_tick();
        if ticking {
            core.manager.tick(shared.guest_time());
        }
        shared.place(&mut core);
        if shared.now() - last_beat >= nanos(interval) || heartbeat == 0 {
            heartbeat += 1;
            last_beat = shared.now();
            let sequence = core.events.last_sequence();
            let busy = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let (compute, dma) = (&shared.totals.compute_ns, &shared.totals.dma_ns);
            core.power.advance(last_beat, busy(compute), busy(dma));
            header::beat(&shared.memory, heartbeat, sequence, core.manager.counters());
        }
        shared.carry_out(core);
        placement::plan(shared);
        thread::sleep(if ticking {
            TICK.min(interval)
        } else {
            interval.min(10 * TICK)
        });
    }
}

fn nanos(duration: Duration) -> augur_memory::Nanos {
    augur_memory::Nanos(duration.as_nanos() as u64)
}
