// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time inside the card: its own code in this process, without a guest, a
//! transport or a thread switch in between.

use std::time::Instant;

use augur_card::CardConfig;

use super::figures::{Aim, Figures, Spread, Unit, ratio};
use crate::bench::driver::Driver;

const GROUP: &str = "inside the card";
/// A demand window.
const WINDOW: u64 = 64 << 10;
/// Requests of a sample.
const REQUESTS: u32 = 20_000;
/// Windows that come and go while others stay.
const PASSING: u64 = 64;
/// How often they come and go; the first time is not counted.
const ROUNDS: usize = 9;
/// Faults of a sample when each evicts.
const EVICTIONS: u64 = 500;
/// Windows that are live meanwhile.
const LIVE: [u64; 3] = [10, 1_000, 10_000];
/// Turns that each measurement has: a machine is faster at some times than at others.
const TURNS: usize = 5;
/// Apertures that hold about as many; the first is the smallest there can be. Its
/// frames stay in the processor's caches, where the copy into them is faster than
/// anywhere else: whether faults take the same time in all is asked of the others.
const APERTURES: [u64; 3] = [2 << 20, 64 << 20, 1 << 30];
/// How much longer than with the fewest live windows a fault may take with the
/// most.
const FLAT: Aim = Aim::AtMost(1.25);
/// The aim for a window that is ready.
const READY: Option<Aim> = Some(Aim::AtMost(15.0));

/// Measures requests and faults inside the card.
///
/// # Errors
/// The card fails.
pub fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    with_room(figures)?;
    for (name, dirty) in [("clean", false), ("dirty", true)] {
        let mut full: [Full; APERTURES.len()] = Default::default();
        for _ in 0..TURNS {
            for (aperture, full) in APERTURES.into_iter().zip(&mut full) {
                full.turn(aperture, dirty)?;
            }
        }
        let what = format!("copied, a {name} one evicted");
        for (aperture, full) in APERTURES.into_iter().zip(&full) {
            let row = format!("64K window {what}, {} live", live_windows(aperture));
            let unit = Unit::Microseconds;
            figures.add(GROUP, &row, unit, READY, median(&full.settled));
            let row = format!("{row}, back to back");
            figures.add(GROUP, row, unit, None, median(&full.back_to_back));
        }
        let [_, fewer, most] = APERTURES.map(live_windows);
        let [_, few, many] = full.each_ref().map(|full| median(&full.settled));
        flatness(&what, [fewer, most], &[few, many], figures);
    }
    Ok(())
}

fn config(aperture_bytes: u64) -> CardConfig {
    CardConfig {
        memory_bytes: 8 << 30,
        aperture_bytes,
        demand_window_bytes: WINDOW,
        // Windows may go at once: there is no program to protect.
        lease_ms: 0,
        ..CardConfig::default()
    }
}

/// Requests and faults with some windows live and room in the aperture: samples in
/// microseconds.
#[derive(Default)]
struct Room {
    /// The first faults, on frames that the host has never touched.
    first: Vec<f64>,
    /// Requests that do nearly nothing.
    requests: Vec<f64>,
    /// Faults on windows that are zeroed.
    zeroed: Vec<f64>,
    /// Faults on windows that are copied.
    copied: Vec<f64>,
}

/// Measures what has room in the aperture, by turns.
fn with_room(figures: &mut Figures) -> anyhow::Result<()> {
    let mut rooms: [Room; LIVE.len()] = Default::default();
    for _ in 0..TURNS {
        for (live, room) in LIVE.into_iter().zip(&mut rooms) {
            room.turn(live)?;
        }
    }
    let unit = Unit::Microseconds;
    if let Some(most) = rooms.last() {
        let name = "64K window zeroed, frames never touched by the host";
        figures.add(GROUP, name, unit, None, median(&most.first));
    }
    for (live, room) in LIVE.into_iter().zip(&rooms) {
        let name = format!("control request, {live} live");
        let aim = Some(Aim::AtMost(1.5));
        figures.add(GROUP, name, unit, aim, median(&room.requests));
    }
    for (kind, medians) in [
        ("zeroed", rooms.each_ref().map(|room| median(&room.zeroed))),
        ("copied", rooms.each_ref().map(|room| median(&room.copied))),
    ] {
        for (live, median) in LIVE.into_iter().zip(medians) {
            let name = format!("64K window {kind}, {live} live");
            figures.add(GROUP, name, unit, READY, median);
        }
        flatness(kind, LIVE, &medians, figures);
    }
    Ok(())
}

fn median(samples: &[f64]) -> f64 {
    Spread::of(samples).map_or(0.0, |spread| spread.median)
}

impl Room {
    fn turn(&mut self, live: u64) -> anyhow::Result<()> {
        let mut driver = Driver::start(config(1 << 30))?;
        let base = driver.create(live * WINDOW)?;
        for index in 0..live {
            let (time, _) = driver.fault(base.device_address + index * WINDOW)?;
            self.first.push(time.as_secs_f64() * 1e6);
        }
        let began = Instant::now();
        for _ in 0..REQUESTS {
            driver.counters()?;
        }
        let each = began.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS);
        self.requests.push(each);
        for (times, written) in [(&mut self.zeroed, false), (&mut self.copied, true)] {
            for round in 0..ROUNDS {
                let passing = driver.create(PASSING * WINDOW)?;
                if written {
                    driver.write(passing.device_address, PASSING * WINDOW)?;
                }
                for index in 0..PASSING {
                    let (time, _) = driver.fault(passing.device_address + index * WINDOW)?;
                    if round > 0 {
                        times.push(time.as_secs_f64() * 1e6);
                    }
                }
                driver.destroy(passing)?;
            }
        }
        Ok(())
    }
}

/// Faults in a full aperture on data at home: samples in microseconds.
#[derive(Default)]
struct Full {
    /// Faults when the window before has been evicted already.
    settled: Vec<f64>,
    /// Faults one behind the other, each turn's mean.
    back_to_back: Vec<f64>,
}

impl Full {
    fn turn(&mut self, aperture: u64, dirty: bool) -> anyhow::Result<()> {
        let mut driver = Driver::start(config(aperture))?;
        // In order, and more than fits: what comes next has always been evicted.
        let live = live_windows(aperture);
        let object = driver.create((live + 4 * EVICTIONS) * WINDOW)?;
        driver.dirties = true;
        for index in 0..live + 4 * EVICTIONS {
            driver.fault(object.device_address + index * WINDOW)?;
            driver.acknowledge()?;
        }
        driver.dirties = dirty;
        for index in 0..EVICTIONS {
            driver.settle(WINDOW)?;
            let (time, bytes) = driver.fault(object.device_address + index * WINDOW)?;
            if bytes == WINDOW {
                self.settled.push(time.as_secs_f64() * 1e6);
            }
        }
        let began = Instant::now();
        for index in EVICTIONS..2 * EVICTIONS {
            driver.fault(object.device_address + index * WINDOW)?;
            driver.acknowledge()?;
        }
        let each = began.elapsed().as_secs_f64() * 1e6 / EVICTIONS as f64;
        self.back_to_back.push(each);
        Ok(())
    }
}

/// Windows that are live in a full aperture: its first one is the card's own.
fn live_windows(aperture: u64) -> u64 {
    aperture / WINDOW - 1
}

/// The time with the most live windows over that with the fewest.
fn flatness<const N: usize>(name: &str, live: [u64; N], times: &[f64], figures: &mut Figures) {
    if let ([fewest, .., most], [few, .., many]) = (times, &live[..]) {
        let name = format!("{name}, {many} live / {few} live");
        figures.add(GROUP, name, Unit::Ratio, Some(FLAT), ratio(*most, *fewest));
    }
}
