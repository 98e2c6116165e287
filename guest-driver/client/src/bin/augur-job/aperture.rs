// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image and matrix jobs with all of their data through the aperture: what
//! demand faults and mapping ahead of use cost a program.
//!
//! A program writes its input into the card's memory, runs its commands and reads
//! every result, round after round with new objects. Each result is compared with
//! what DMA downloads; that is not part of the time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use augur_abi::control::CountersResponse;
use augur_client::{CommandList, Device, Object};
use image::RgbImage;
use serde::Serialize;
use zerocopy::IntoBytes as _;

use crate::failure::{During, Failure};
use crate::filters::Effect;
use crate::images::Images;
use crate::product::Matrix;

/// Sides of the picture.
const WIDTH: u32 = 2400;
const HEIGHT: u32 = 1600;
/// Rows and columns of the matrices.
const SIZE: u32 = 1536;
/// Bytes that a program reads or writes at a time.
const STRIP: usize = 1 << 20;
/// Time between two samples of the card's counters.
const INTERVAL: Duration = Duration::from_millis(10);
/// Most samples of one kind of job.
const MOST_SAMPLES: usize = 1000;

/// What one kind of job took.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// `image` or `matmul`.
    pub job: &'static str,
    /// Bytes that went through the aperture.
    pub bytes: u64,
    /// Times that a program waited for the card to map a window.
    pub demand_faults: u64,
    /// Those whose window was on its way, mapped ahead too late.
    pub late_faults: u64,
    /// Page faults, those included.
    pub page_faults: u64,
    /// From the first write to the last read, commands included, in nanoseconds.
    pub wall_ns: u64,
    /// All of the job's time, comparisons with downloads included, in nanoseconds.
    pub elapsed_ns: u64,
    /// Reading and writing the aperture alone, in nanoseconds.
    pub aperture_ns: u64,
    /// Windows that the card mapped ahead of use.
    pub maps_ahead: u64,
    /// Those that were used.
    pub ahead_used: u64,
    /// Results that differed from what DMA downloads.
    pub wrong: u64,
    /// The card's counters over time, comparisons with downloads included.
    pub timeline: Vec<Sample>,
}

/// What the card has counted from a job's begin to one moment.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// Nanoseconds since the job began.
    pub nanos: u64,
    /// Bytes visible through the aperture at that moment.
    pub window_bytes: u64,
    /// Windows mapped because a program waited for them.
    pub on_demand: u64,
    /// Windows mapped ahead of use.
    pub ahead: u64,
    /// Those of them that were used.
    pub ahead_used: u64,
    /// Windows that were taken back.
    pub evicted: u64,
}

impl Sample {
    fn of(nanos: u64, before: &CountersResponse, now: &CountersResponse) -> Self {
        let ahead = now.maps_ahead - before.maps_ahead;
        Self {
            nanos,
            window_bytes: now.window_bytes,
            on_demand: (now.maps - before.maps).saturating_sub(ahead),
            ahead,
            ahead_used: now.ahead_used - before.ahead_used,
            evicted: now.revokes - before.revokes,
        }
    }
}

/// Samples the counters until `stop` is dropped.
fn sample(device: &Device, before: &CountersResponse, stop: &mpsc::Receiver<()>) -> Vec<Sample> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < MOST_SAMPLES {
        // A lost card ends the samples; the job itself reports the loss.
        let Ok(now) = device.counters() else {
            break;
        };
        let nanos = began.elapsed().as_nanos() as u64;
        samples.push(Sample::of(nanos, before, &now));
        if stop.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    samples
}

/// Runs both kinds of job until each has moved `bytes` through the aperture.
///
/// # Errors
/// The card refused or failed. A wrong result is no error: it is counted.
pub fn run(device: &Device, bytes: u64) -> Result<Vec<Figure>, Failure> {
    Ok(vec![
        measure(device, "image", bytes, image_round)?,
        measure(device, "matmul", bytes, matmul_round)?,
    ])
}

/// What is summed up over rounds.
#[derive(Default)]
struct Meter {
    bytes: u64,
    wall: Duration,
    aperture: Duration,
    wrong: u64,
    strip: Vec<u8>,
}

impl Meter {
    /// Part of the job.
    fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.wall += began.elapsed();
        result
    }

    fn write(&mut self, object: &Object, data: &[u8]) -> Result<(), augur_client::Error> {
        let began = Instant::now();
        let mut mapping = object.map()?;
        for (index, strip) in data.chunks(STRIP).enumerate() {
            mapping.write(index * STRIP, strip)?;
        }
        self.through(began, data.len());
        Ok(())
    }

    fn read(&mut self, object: &Object, bytes: usize) -> Result<Vec<u8>, augur_client::Error> {
        let mut data = vec![0; bytes];
        // A program's buffer has its pages.
        data.fill(1);
        let began = Instant::now();
        let mapping = object.map()?;
        for (index, strip) in data.chunks_mut(STRIP).enumerate() {
            mapping.read(index * STRIP, strip)?;
        }
        self.through(began, bytes);
        Ok(data)
    }

    fn through(&mut self, began: Instant, bytes: usize) {
        let elapsed = began.elapsed();
        self.aperture += elapsed;
        self.wall += elapsed;
        self.bytes += bytes as u64;
    }

    fn compare(
        &mut self,
        device: &Device,
        object: &Object,
        found: &[u8],
    ) -> Result<(), augur_client::Error> {
        self.strip.resize(found.len(), 0);
        let mut list = CommandList::new();
        list.download(&mut self.strip, &object.byte_range(0, found.len() as u64)?)?;
        device.run(&list)?;
        drop(list);
        self.wrong += u64::from(self.strip != found);
        Ok(())
    }
}

fn measure(
    device: &Device,
    job: &'static str,
    bytes: u64,
    round: impl Fn(&Device, &mut Meter, u64) -> Result<(), augur_client::Error>,
) -> Result<Figure, Failure> {
    let mut meter = Meter::default();
    let began = Instant::now();
    let (card, driver) = (
        device.counters().during(job)?,
        device.driver_counters().during(job)?,
    );
    let (running, stopped) = mpsc::channel();
    let timeline = std::thread::scope(|scope| {
        let before = &card;
        let sampler = scope.spawn(move || sample(device, before, &stopped));
        let mut seed = 0;
        while meter.bytes < bytes {
            round(device, &mut meter, seed).during(job)?;
            seed += 1;
        }
        drop(running);
        Ok::<_, Failure>(sampler.join().unwrap_or_default())
    })?;
    let (card_after, driver_after) = (
        device.counters().during(job)?,
        device.driver_counters().during(job)?,
    );
    Ok(Figure {
        job,
        bytes: meter.bytes,
        demand_faults: driver_after.demand_faults - driver.demand_faults,
        late_faults: card_after.late_faults - card.late_faults,
        page_faults: driver_after.page_faults - driver.page_faults,
        wall_ns: meter.wall.as_nanos() as u64,
        elapsed_ns: began.elapsed().as_nanos() as u64,
        aperture_ns: meter.aperture.as_nanos() as u64,
        maps_ahead: card_after.maps_ahead - card.maps_ahead,
        ahead_used: card_after.ahead_used - card.ahead_used,
        wrong: meter.wrong,
        timeline,
    })
}

fn random_bytes(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut data = vec![0; bytes];
    random.fill(&mut data);
    data
}

fn image_round(device: &Device, meter: &mut Meter, seed: u64) -> Result<(), augur_client::Error> {
    let pixels = random_bytes((WIDTH * HEIGHT * crate::images::CHANNELS) as usize, seed);
    let image = RgbImage::from_raw(WIDTH, HEIGHT, pixels).unwrap_or_default();
    let card = meter.work(|| Images::create(device, &image))?;
    meter.write(card.source(), image.as_raw())?;
    for effect in Effect::ALL {
        meter.work(|| card.apply(device, effect))?;
    }
    for effect in Effect::ALL {
        let surface = card.result(effect);
        let found = meter.read(&surface.object, surface.bytes() as usize)?;
        meter.compare(device, &surface.object, &found)?;
    }
    Ok(())
}

fn matmul_round(device: &Device, meter: &mut Meter, seed: u64) -> Result<(), augur_client::Error> {
    let mut random = fastrand::Rng::with_seed(seed);
    let entries = (SIZE * SIZE) as usize;
    let mut matrix = || -> Vec<f32> { (0..entries).map(|_| random.f32() * 2.0 - 1.0).collect() };
    let (a, b) = (matrix(), matrix());
    let [on_card_a, on_card_b, on_card_c] = meter.work(|| {
        Ok::<_, augur_client::Error>([
            Matrix::create(device, SIZE)?,
            Matrix::create(device, SIZE)?,
            Matrix::create(device, SIZE)?,
        ])
    })?;
    meter.write(&on_card_a.object, a.as_bytes())?;
    meter.write(&on_card_b.object, b.as_bytes())?;
    meter.work(|| {
        let mut list = CommandList::new();
        list.matmul(
            &on_card_c.tensor,
            &on_card_a.tensor,
            &on_card_b.tensor,
            false,
        )?;
        device.run(&list)
    })?;
    let found = meter.read(&on_card_c.object, on_card_c.bytes as usize)?;
    meter.compare(device, &on_card_c.object, &found)
}
