// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that want something of the card at the same time, on one thread that
//! never waits for any of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use augur_abi::EventKind;
use augur_abi::predict::PredictorMode as Mode;
use augur_card::{CardConfig, DmaOrder};
use serde::Serialize;

use crate::bench::driver::{Driver, InFlight, TRANSFERRED};

/// A demand window, and a step of the program that goes in order.
const WINDOW: u64 = 64 << 10;
/// Memory of a program, all of it with data at home: several times the aperture.
const PROGRAM: u64 = 256 << 20;
const APERTURE: u64 = 64 << 20;
/// Transfers in flight at a time.
const TRANSFERS: usize = 8;
/// What a program does between a fault's end and the next.
const BETWEEN_FAULTS: Duration = Duration::from_micros(500);
/// What the program that goes in order does with a window before it wants the next.
const BETWEEN_STEPS: Duration = Duration::from_micros(250);
/// The longest sleep while nobody waits: a transfer may have ended.
const NAP: Duration = Duration::from_micros(100);

/// How much longer than it was to the measurement goes on, until each has got
/// something.
const PATIENCE: Duration = Duration::from_secs(60);

/// What runs beside the program whose faults are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Nothing else.
    Nothing,
    /// Transfers from guest memory, always some waiting.
    Bulk,
    /// And a program whose windows are mapped ahead of it.
    BulkAndPredicted,
}

impl Load {
    /// The row's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing else",
            Self::Bulk => "bulk",
            Self::BulkAndPredicted => "bulk, predicted",
        }
    }
}

/// What one row shows.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// Faults of the program that goes all over its memory.
    pub demand_faults: u64,
    /// From the request to the window's event.
    pub demand_ns_p50: u64,
    /// The same, 99th percentile.
    pub demand_ns_p99: u64,
    /// What the transfers moved.
    pub bulk_bytes_per_second: u64,
    /// Windows that the program that goes in order wanted.
    pub steps: u64,
    /// Of these, what was there already.
    pub steps_found: u64,
    /// How long it waited for a window, 99th percentile of all of them.
    pub step_ns_p99: u64,
}

/// A program that touches one window after another, each when the one before is
/// there and some time has passed.
struct Program {
    context: u32,
    base: u64,
    between: Duration,
    /// Steps so far, and the state of the order of those at random.
    steps: u64,
    random: Option<u64>,
    /// Device addresses of windows that are there, in demand windows.
    there: BTreeSet<u64>,
    /// The address that is wanted, since when.
    wanted: Option<(u64, Instant)>,
    next_at: Instant,
    /// Nanoseconds of each wait; zero for what was there.
    waits: Vec<u64>,
}

impl Program {
    fn new(
        driver: &mut Driver,
        mode: Mode,
        between: Duration,
        random: Option<u64>,
    ) -> anyhow::Result<Self> {
        driver.context = driver.new_context()?;
        driver.set_predictor(mode)?;
        let base = driver.create(PROGRAM)?.device_address;
        driver.write(base, PROGRAM)?;
        Ok(Self {
            context: driver.context,
            base,
            between,
            steps: 0,
            random,
            there: BTreeSet::new(),
            wanted: None,
            next_at: Instant::now(),
            waits: Vec::new(),
        })
    }

    /// The address of the next step.
    fn next(&mut self) -> u64 {
        let windows = PROGRAM / WINDOW;
        let window = match &mut self.random {
            None => self.steps % windows,
            Some(state) => {
                *state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (*state >> 33) % windows
            }
        };
        self.steps += 1;
        self.base + window * WINDOW
    }

    /// Takes the next step if it is time. What is there is touched all the same, as
    /// the card learns of first touches.
    fn step(&mut self, driver: &mut Driver, now: Instant) -> anyhow::Result<()> {
        if self.wanted.is_some() || now < self.next_at {
            return Ok(());
        }
        let address = self.next();
        let found = self.there.contains(&address);
        // At random nothing is learned, and what is there is of no interest.
        if found && self.random.is_some() {
            return Ok(());
        }
        if found {
            self.waits.push(0);
            self.next_at = now + self.between;
        } else {
            self.wanted = Some((address, Instant::now()));
        }
        driver.context = self.context;
        driver.begin_fault(address)
    }

    /// Follows its windows, and ends the wait for one of them.
    fn window(&mut self, kind: EventKind, first: u64, bytes: u64) {
        for address in (first..first + bytes).step_by(WINDOW as usize) {
            if kind == EventKind::Map {
                self.there.insert(address);
            } else {
                self.there.remove(&address);
            }
        }
        if kind == EventKind::Map
            && let Some((address, since)) = self.wanted
            && self.there.contains(&address)
        {
            let now = Instant::now();
            self.wanted = None;
            self.waits.push((now - since).as_nanos() as u64);
            self.next_at = now + self.between;
        }
    }

    /// All waits, the shortest first.
    fn waits(mut self) -> Vec<u64> {
        self.waits.sort_unstable();
        self.waits
    }
}

/// Transfers that are always in flight, each into a place of its own.
struct Bulk {
    context: u32,
    target: u64,
    transfers: Vec<InFlight>,
    ended: u64,
}

impl Bulk {
    fn begin(&mut self, driver: &Driver) -> anyhow::Result<()> {
        for _ in 0..TRANSFERS {
            let target = self.target + self.transfers.len() as u64 * TRANSFERRED;
            self.transfers.push(driver.transfer_in(target)?);
        }
        Ok(())
    }

    fn keep_up(&mut self, driver: &mut Driver) -> anyhow::Result<()> {
        driver.context = self.context;
        for (place, transfer) in (0..).zip(&mut self.transfers) {
            if transfer.has_ended()? {
                *transfer = driver.transfer_in(self.target + place * TRANSFERRED)?;
                self.ended += 1;
            }
        }
        Ok(())
    }
}

/// Runs the programs for that long, and until each has got something, on a card that
/// is new.
///
/// # Errors
/// The card cannot be made, or fails.
pub fn measure(
    order: DmaOrder,
    channels: u16,
    load: Load,
    time: Duration,
) -> anyhow::Result<Measured> {
    let mut driver = Driver::start(CardConfig {
        memory_bytes: 2 << 30,
        aperture_bytes: APERTURE,
        demand_window_bytes: WINDOW,
        dma_channels: channels,
        dma_order: order,
        ..CardConfig::default()
    })?;
    fill_aperture(&mut driver)?;
    let mut bulk = Bulk {
        context: driver.context,
        target: driver
            .create(TRANSFERS as u64 * TRANSFERRED)?
            .device_address,
        transfers: Vec::new(),
        ended: 0,
    };
    let mut faulting = Program::new(&mut driver, Mode::Off, BETWEEN_FAULTS, Some(7))?;
    let mut foreseen = match load {
        Load::BulkAndPredicted => Some(Program::new(&mut driver, Mode::Full, BETWEEN_STEPS, None)?),
        _ => None,
    };
    if load != Load::Nothing {
        driver.context = bulk.context;
        bulk.begin(&driver)?;
    }
    let began = Instant::now();
    loop {
        let now = Instant::now();
        let some = foreseen
            .iter()
            .chain([&faulting])
            .all(|it| !it.waits.is_empty());
        if now - began >= time && some && (bulk.ended > 0 || load == Load::Nothing) {
            break;
        }
        ensure!(now - began < time + PATIENCE, "somebody gets nothing");
        let mut waits = false;
        let mut next = now + NAP;
        for program in foreseen.iter_mut().chain([&mut faulting]) {
            program.step(&mut driver, now)?;
            waits |= program.wanted.is_some();
            next = next.min(program.next_at);
        }
        driver.take_events(|kind, event| {
            for program in foreseen.iter_mut().chain([&mut faulting]) {
                if program.context == event.context {
                    program.window(kind, event.device_address, event.bytes.into());
                }
            }
        })?;
        driver.acknowledge()?;
        bulk.keep_up(&mut driver)?;
        if waits {
            std::thread::yield_now();
        } else {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    let bulk_bytes = (bulk.ended * TRANSFERRED) as f64;
    let foreseen = foreseen.map(Program::waits).unwrap_or_default();
    let faulting = faulting.waits();
    Ok(Measured {
        demand_faults: faulting.len() as u64,
        demand_ns_p50: percentile(&faulting, 50),
        demand_ns_p99: percentile(&faulting, 99),
        bulk_bytes_per_second: (bulk_bytes / began.elapsed().as_secs_f64()) as u64,
        steps: foreseen.len() as u64,
        steps_found: foreseen.iter().filter(|&&wait| wait == 0).count() as u64,
        step_ns_p99: percentile(&foreseen, 99),
    })
}

/// Fills the aperture, as it is after a while, with what nobody wants any more.
fn fill_aperture(driver: &mut Driver) -> anyhow::Result<()> {
    let base = driver.create(APERTURE)?.device_address;
    for window in 0..APERTURE / WINDOW {
        driver.fault(base + window * WINDOW)?;
        driver.acknowledge()?;
    }
    Ok(())
}

/// What so many of a hundred do not exceed; `sorted` is in order.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0)
}
