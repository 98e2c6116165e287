// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image and matrix jobs with all of their data through the aperture: what
//! demand faults and mapping ahead of use cost a program.
//!
//! A program writes its input into the card's memory, runs its commands and reads
//! every result, round after round with new objects. The cards take turns in every
//! round, so that whatever else the machine does meets all of them. Each result is
//! compared with what DMA downloads; that is not part of the time.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use augur_abi::control::CountersResponse;
use augur_client::uapi::QueryDriver;
use augur_client::{CommandList, Device, Object};
use image::RgbImage;
use serde::Serialize;
use zerocopy::IntoBytes as _;

use crate::failure::{During, Failure};
use crate::filters::Effect;
use crate::images::Images;
use crate::product::Matrix;
use crate::samples::{self, Sample};

/// Sides of the picture.
const WIDTH: u32 = 2400;
const HEIGHT: u32 = 1600;
/// Rows and columns of the matrices.
const SIZE: u32 = 1536;
/// Bytes that a program reads or writes at a time.
const STRIP: usize = 1 << 20;

/// One card's figures of one kind of job.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The card's number.
    pub card: usize,
    /// What the job took on it.
    pub figure: Figure,
}

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
    /// All of the job's time, comparisons with downloads included, in nanoseconds.
    pub elapsed_ns: u64,
    /// Windows that the card mapped ahead of use.
    pub maps_ahead: u64,
    /// Those that were used.
    pub ahead_used: u64,
    /// Results that differed from what DMA downloads.
    pub wrong: u64,
    /// The rounds, each the same work.
    pub rounds: Vec<Round>,
    /// The card's counters over time, comparisons with downloads included.
    pub timeline: Vec<Sample>,
}

/// What one round of a job took.
#[derive(Debug, Default, Serialize)]
pub struct Round {
    /// From the first write to the last read, commands included, in nanoseconds.
    pub wall_ns: u64,
    /// Reading and writing the aperture alone, in nanoseconds.
    pub aperture_ns: u64,
    /// Times that a program waited for the card to map a window.
    pub demand_faults: u64,
}

/// Runs each kind of job on all cards until it has moved `bytes` through the
/// aperture of each.
///
/// # Errors
/// A card refused or failed. A wrong result is no error: it is counted.
pub fn run(cards: &[(usize, Device)], bytes: u64) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    let mut input = Input::random();
    for (job, round) in [
        ("image", image_round as JobRound),
        ("matmul", matmul_round as JobRound),
    ] {
        let mut courses = cards
            .iter()
            .map(|(_, device)| Course::begin(device).during(job))
            .collect::<Result<Vec<_>, _>>()?;
        for turn in 0.. {
            let moved = courses.iter().map(|course| course.meter.bytes).min();
            if moved.is_none_or(|moved| moved >= bytes) {
                break;
            }
            for place in 0..courses.len() {
                // Nobody is always behind the same other.
                let next = (place + turn) % courses.len();
                if let Some(course) = courses.get_mut(next) {
                    course.take(|device, meter| round(device, meter, &input), job)?;
                }
            }
            input.change();
        }
        for ((card, _), course) in cards.iter().zip(courses) {
            let figure = course.end(job).during(job)?;
            lines.push(Line {
                card: *card,
                figure,
            });
        }
    }
    Ok(lines)
}

/// What a round of a job does.
type JobRound = fn(&Device, &mut Meter, &Input) -> Result<(), augur_client::Error>;

/// What the jobs work on.
struct Input {
    image: RgbImage,
    matrices: [Vec<f32>; 2],
}

impl Input {
    fn random() -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let mut pixels = vec![0; (WIDTH * HEIGHT * crate::images::CHANNELS) as usize];
        random.fill(&mut pixels);
        let entries = (SIZE * SIZE) as usize;
        Self {
            image: RgbImage::from_raw(WIDTH, HEIGHT, pixels).unwrap_or_default(),
            matrices: [(); 2].map(|()| (0..entries).map(|_| random.f32() * 2.0 - 1.0).collect()),
        }
    }

    /// Other results from now on, so that an old one is wrong.
    fn change(&mut self) {
        self.image.rotate_left(1);
        for matrix in &mut self.matrices {
            matrix.rotate_left(1);
        }
    }
}

/// A kind of job on one card, round after round.
struct Course<'a> {
    device: &'a Device,
    /// The counters when it began.
    before: (CountersResponse, QueryDriver),
    meter: Meter,
    rounds: Vec<Round>,
    elapsed: Duration,
    timeline: Vec<Sample>,
}

impl<'a> Course<'a> {
    fn begin(device: &'a Device) -> Result<Self, augur_client::Error> {
        Ok(Self {
            device,
            before: (device.counters()?, device.driver_counters()?),
            meter: Meter::default(),
            rounds: Vec::new(),
            elapsed: Duration::ZERO,
            timeline: Vec::new(),
        })
    }

    /// One more round.
    fn take(
        &mut self,
        round: impl FnOnce(&Device, &mut Meter) -> Result<(), augur_client::Error>,
        job: &'static str,
    ) -> Result<(), Failure> {
        let faults = self.device.driver_counters().during(job)?.demand_faults;
        let (device, meter) = (self.device, &mut self.meter);
        let (before, worked, samples) = (&self.before.0, self.elapsed, &mut self.timeline);
        meter.round = Round::default();
        let began = Instant::now();
        let (running, stopped) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || samples::sample(device, before, worked, &stopped, samples));
            let done = round(device, meter);
            drop(running);
            done
        })
        .during(job)?;
        self.elapsed += began.elapsed();
        let after = self.device.driver_counters().during(job)?.demand_faults;
        self.rounds.push(Round {
            demand_faults: after - faults,
            ..std::mem::take(&mut self.meter.round)
        });
        Ok(())
    }

    fn end(self, job: &'static str) -> Result<Figure, augur_client::Error> {
        let (card, driver) = self.before;
        let card_after = self.device.counters()?;
        let driver_after = self.device.driver_counters()?;
        Ok(Figure {
            job,
            bytes: self.meter.bytes,
            demand_faults: driver_after.demand_faults - driver.demand_faults,
            late_faults: card_after.late_faults - card.late_faults,
            page_faults: driver_after.page_faults - driver.page_faults,
            elapsed_ns: self.elapsed.as_nanos() as u64,
            maps_ahead: card_after.maps_ahead - card.maps_ahead,
            ahead_used: card_after.ahead_used - card.ahead_used,
            wrong: self.meter.wrong,
            rounds: self.rounds,
            timeline: self.timeline,
        })
    }
}

/// What a round's steps add to.
#[derive(Default)]
struct Meter {
    round: Round,
    bytes: u64,
    wrong: u64,
    /// What was read, and what DMA downloads.
    found: Vec<u8>,
    downloaded: Vec<u8>,
}

impl Meter {
    /// Part of the job.
    fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.round.wall_ns += began.elapsed().as_nanos() as u64;
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

    /// Reads a result, and compares it outside of the time.
    fn read(
        &mut self,
        device: &Device,
        object: &Object,
        bytes: usize,
    ) -> Result<(), augur_client::Error> {
        // A program's buffer has its pages.
        self.found.resize(bytes, 1);
        let began = Instant::now();
        let mapping = object.map()?;
        for (index, strip) in self.found.chunks_mut(STRIP).enumerate() {
            mapping.read(index * STRIP, strip)?;
        }
        self.through(began, bytes);
        drop(mapping);
        self.downloaded.resize(bytes, 0);
        let mut list = CommandList::new();
        list.download(&mut self.downloaded, &object.byte_range(0, bytes as u64)?)?;
        device.run(&list)?;
        drop(list);
        self.wrong += u64::from(self.downloaded != self.found);
        Ok(())
    }

    fn through(&mut self, began: Instant, bytes: usize) {
        let elapsed = began.elapsed().as_nanos() as u64;
        self.round.aperture_ns += elapsed;
        self.round.wall_ns += elapsed;
        self.bytes += bytes as u64;
    }
}

fn image_round(
    device: &Device,
    meter: &mut Meter,
    input: &Input,
) -> Result<(), augur_client::Error> {
    let card = meter.work(|| Images::create(device, &input.image))?;
    meter.write(card.source(), input.image.as_raw())?;
    for effect in Effect::ALL {
        meter.work(|| card.apply(device, effect))?;
    }
    for effect in Effect::ALL {
        let surface = card.result(effect);
        meter.read(device, &surface.object, surface.bytes() as usize)?;
    }
    Ok(())
}

fn matmul_round(
    device: &Device,
    meter: &mut Meter,
    input: &Input,
) -> Result<(), augur_client::Error> {
    let [a, b] = &input.matrices;
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
    meter.read(device, &on_card_c.object, on_card_c.bytes as usize)
}
