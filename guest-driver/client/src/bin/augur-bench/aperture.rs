// SPDX-License-Identifier: MIT OR Apache-2.0
//! The aperture: what a demand fault costs, and how fast mapped memory is
//! against the guest's own.

use std::fmt;

use augur_client::units::Bytes;
use augur_client::{Device, Error, Mapping};
use serde::Serialize;

use crate::samples::{Quantiles, timed};

/// Most windows that are touched for a fault figure.
const MOST_WINDOWS: u64 = 1000;
/// Bytes that are read and written for the bandwidth.
const BANDWIDTH_BYTES: u64 = 8 << 20;
/// How often they are, by turns with the guest's own memory.
const TURNS: u32 = 12;

/// Faults of one kind.
#[derive(Debug, Serialize)]
pub struct FaultFigure {
    /// What had to be done to serve them.
    pub kind: &'static str,
    /// Touches, one per window.
    pub touches: u64,
    /// Guest wall time of a touch.
    pub guest: Quantiles,
    /// Its mean: some evict for those that follow.
    pub mean_in_guest_ns: u64,
    /// Mean time inside the card, from the fault to the window's publication.
    pub mean_in_card_ns: u64,
}

/// First touches of new memory, then touches of memory whose windows others
/// have taken: each evicts a dirty window and copies data in. Each in order and
/// at random.
///
/// # Errors
/// The card failed.
pub fn measure_faults(device: &Device) -> Result<Vec<FaultFigure>, Error> {
    let card = device.information();
    let window = u64::from(card.demand_window_bytes);
    let visible = card.aperture_bytes / window;
    // Twice the aperture, touched from start to end: the windows that were
    // touched first are the first to go, so that they all fault again.
    let bytes = card.aperture_bytes * 2;
    let count = (visible / 4).min(MOST_WINDOWS);
    let object = device.create_object(bytes.min(card.usable_bytes / 2 / window * window))?;
    let mut toucher = Toucher::new(device, object.map()?, window);
    let all = object.bytes() / window;
    let mut figures = vec![
        toucher.touch("new memory, in order", (0..count).collect())?,
        toucher.touch("new memory, at random", shuffled(count, 2 * count))?,
    ];
    if all >= visible + 2 * count {
        toucher.touch("", (2 * count..all).collect())?;
        figures.push(toucher.touch("evicting, in order", (0..count).collect())?);
        figures.push(toucher.touch("evicting, at random", shuffled(count, 2 * count))?);
    }
    Ok(figures)
}

/// The numbers from `first` to before `end` in an order of no pattern, the same
/// in each run.
fn shuffled(first: u64, end: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (first..end).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    numbers
}

/// Touches windows of a mapping, which must all fault.
struct Toucher<'a> {
    device: &'a Device,
    mapping: Mapping,
    window: u64,
}

impl<'a> Toucher<'a> {
    fn new(device: &'a Device, mapping: Mapping, window: u64) -> Self {
        Self {
            device,
            mapping,
            window,
        }
    }

    /// Writes a byte in each of the windows.
    fn touch(&mut self, kind: &'static str, windows: Vec<u64>) -> Result<FaultFigure, Error> {
        let before = self.device.counters()?;
        let mut guest = Vec::new();
        for &index in &windows {
            let at = usize::try_from(index * self.window).unwrap_or(usize::MAX);
            guest.push(timed(|| self.mapping.write_byte(at, 1))?.1);
        }
        let after = self.device.counters()?;
        let nanos = after.fault_ns - before.fault_ns;
        let touches = windows.len() as u64;
        let in_guest: u64 = guest.iter().sum();
        Ok(FaultFigure {
            kind,
            touches,
            guest: Quantiles::of(guest),
            mean_in_guest_ns: in_guest.checked_div(touches).unwrap_or(0),
            mean_in_card_ns: nanos.checked_div(after.faults - before.faults).unwrap_or(0),
        })
    }
}

/// Bandwidth of words read and written one by one.
#[derive(Debug, Serialize)]
pub struct BandwidthFigures {
    /// Mapped device memory, read.
    pub aperture_read_bytes_per_second: u64,
    /// Mapped device memory, written.
    pub aperture_write_bytes_per_second: u64,
    /// The guest's own memory, read.
    pub memory_read_bytes_per_second: u64,
    /// The guest's own memory, written.
    pub memory_write_bytes_per_second: u64,
}

/// Compares mapped memory, all of it in windows, with the guest's own.
///
/// # Errors
/// The card failed.
pub fn measure_bandwidth(device: &Device) -> Result<BandwidthFigures, Error> {
    let bytes = BANDWIDTH_BYTES.min(device.information().aperture_bytes / 4);
    let words = usize::try_from(bytes / 8).unwrap_or(0);
    let object = device.create_object(bytes)?;
    let mapping = object.map()?;
    let mut own = vec![1_u64; words];
    let own = own.as_mut_ptr();
    let mut best = [[u64::MAX; 2]; 2];
    // SAFETY: both ranges are mapped and aligned, and nobody else uses them.
    unsafe {
        let mapped: *mut u64 = mapping.as_ptr().cast();
        write_words(mapped, words);
        for _ in 0..TURNS {
            for (start, best) in [mapped, own].into_iter().zip(&mut best) {
                read_and_write(start, words, best);
            }
        }
    }
    let [mapped, memory] = best
        .map(|nanos| nanos.map(|nanos| (bytes * 1_000_000_000).checked_div(nanos).unwrap_or(0)));
    Ok(BandwidthFigures {
        aperture_read_bytes_per_second: mapped[0],
        aperture_write_bytes_per_second: mapped[1],
        memory_read_bytes_per_second: memory[0],
        memory_write_bytes_per_second: memory[1],
    })
}

/// Reads all words, then writes them; `best` are the least nanoseconds that each took.
///
/// # Safety
/// `words` words from `start` on may be read and written.
unsafe fn read_and_write(start: *mut u64, words: usize, best: &mut [u64; 2]) {
    let began = std::time::Instant::now();
    // SAFETY: the caller's promise.
    unsafe { read_words(start, words) };
    let read = began.elapsed();
    // SAFETY: the caller's promise.
    unsafe { write_words(start, words) };
    let written = began.elapsed() - read;
    for (best, time) in best.iter_mut().zip([read, written]) {
        *best = (*best).min(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// # Safety
/// `words` words from `start` on may be read.
unsafe fn read_words(start: *const u64, words: usize) {
    for index in 0..words {
        // SAFETY: the caller's promise.
        unsafe { start.add(index).read_volatile() };
    }
}

/// # Safety
/// `words` words from `start` on may be written.
unsafe fn write_words(start: *mut u64, words: usize) {
    for index in 0..words {
        // SAFETY: the caller's promise.
        unsafe { start.add(index).write_volatile(index as u64) };
    }
}

impl fmt::Display for FaultFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fault, {:<24} median {:>9.1} us   p99 {:>9.1} us   mean {:>7.1} us, in the card {:>7.1} us of {}",
            self.kind,
            self.guest.median_ns as f64 * 1e-3,
            self.guest.p99_ns as f64 * 1e-3,
            self.mean_in_guest_ns as f64 * 1e-3,
            self.mean_in_card_ns as f64 * 1e-3,
            self.touches
        )
    }
}

impl fmt::Display for BandwidthFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "aperture read {}/s, written {}/s; own memory read {}/s, written {}/s",
            Bytes(self.aperture_read_bytes_per_second),
            Bytes(self.aperture_write_bytes_per_second),
            Bytes(self.memory_read_bytes_per_second),
            Bytes(self.memory_write_bytes_per_second)
        )
    }
}
