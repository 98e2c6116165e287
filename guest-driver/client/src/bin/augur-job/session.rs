// SPDX-License-Identifier: MIT OR Apache-2.0
//! A job in progress: its clock, its steps, and a thread that samples the
//! card's counters for the timeline.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use augur_abi::control::CountersResponse;
use augur_client::counters::{card_counters, driver_counters, growth};
use augur_client::units::Bytes;
use augur_client::{Completion, Device};

use crate::failure::{During, Failure};
use crate::report::{Card, Check, ImageReport, Kind, ProductReport, Report, Sample, Step};

/// Time between two samples of the counters, at first.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
/// Most samples of a report: beyond it every other one is dropped, and the time
/// between two doubles.
const MOST_SAMPLES: usize = 2000;
/// Longest time that a job says nothing.
const SILENCE: Duration = Duration::from_secs(2);

/// A job in progress.
pub struct Session {
    device: Device,
    began: Instant,
    before: CountersResponse,
    steps: Vec<Step>,
    failures: Vec<String>,
    sampler: Sampler,
    spoken: Instant,
}

impl Session {
    /// Starts the clock and the sampling.
    ///
    /// # Errors
    /// The card cannot be asked.
    pub fn begin(device: Device) -> Result<Self, Failure> {
        let before = device.counters().during("reading the counters")?;
        let began = Instant::now();
        Ok(Self {
            sampler: Sampler::start(device.clone(), began),
            device,
            began,
            before,
            steps: Vec::new(),
            failures: Vec::new(),
            spoken: began,
        })
    }

    /// Says how far a long piece of work is, when nothing was said for a while.
    pub fn progress(&mut self, what: &str, done: u64, all: u64) {
        if self.spoken.elapsed() >= SILENCE {
            self.spoken = Instant::now();
            eprintln!("{what}: {} of {}", Bytes(done), Bytes(all));
        }
    }

    /// The card.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Begins a step that moves or makes `bytes`; more may be added later.
    pub fn start(&self, name: &str, kind: Kind, bytes: u64) -> Running {
        self.sampler.enter(name);
        Running {
            step: Step {
                name: name.to_owned(),
                kind,
                bytes,
                start_nanos: nanos(self.began.elapsed()),
                nanos: 0,
                card_nanos: None,
                check: Check::None,
            },
            shown: Arc::clone(&self.sampler.step),
            worked: Duration::ZERO,
        }
    }

    /// Ends a step and shows it.
    pub fn end(&mut self, running: Running) {
        let mut step = running.step;
        step.nanos = nanos(running.worked);
        eprintln!(
            "{:<36} {:>10} {:>10.1} ms {}",
            step.name,
            Bytes(step.bytes).to_string(),
            step.nanos as f64 * 1e-6,
            step.check.name()
        );
        self.spoken = Instant::now();
        self.steps.push(step);
    }

    /// Does a whole step at once; a list's completion gives its card time.
    ///
    /// # Errors
    /// What `work` failed with.
    pub fn card_step(
        &mut self,
        name: &str,
        kind: Kind,
        bytes: u64,
        work: impl FnOnce(&Device) -> Result<Completion, augur_client::Error>,
    ) -> Result<(), Failure> {
        let mut running = self.start(name, kind, bytes);
        let completion = running.work(|| work(&self.device)).during(name)?;
        running.add_card_time(completion);
        self.end(running);
        Ok(())
    }

    /// Notes a wrong result.
    pub fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    /// Stops the sampling and writes the report.
    ///
    /// # Errors
    /// The card cannot be asked.
    pub fn finish(
        self,
        image: Option<ImageReport>,
        matmul: Option<ProductReport>,
    ) -> Result<Report, Failure> {
        let timeline = self.sampler.stop();
        let step = "reading the counters";
        let after = self.device.counters().during(step)?;
        let driver = self.device.driver_counters().during(step)?;
        let named = |list: Vec<(&'static str, u64)>| list.into_iter().collect();
        Ok(Report {
            passed: self.failures.is_empty(),
            failures: self.failures,
            card: Card::of(&self.device),
            image,
            matmul,
            steps: self.steps,
            counters: named(growth(&self.before, &after)),
            counters_before: named(card_counters(&self.before)),
            counters_after: named(card_counters(&after)),
            driver: named(driver_counters(&driver).into()),
            timeline,
        })
    }
}

/// A step that has begun. Steps that work strip by strip take turns; each
/// counts only its own time.
pub struct Running {
    step: Step,
    shown: Arc<Mutex<String>>,
    worked: Duration,
}

impl Running {
    /// Does part of the step's work.
    pub fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.step.name.clone_into(&mut lock(&self.shown));
        let began = Instant::now();
        let result = work();
        self.worked += began.elapsed();
        result
    }

    /// Adds the time that a list took on the card.
    pub fn add_card_time(&mut self, completion: Completion) {
        *self.step.card_nanos.get_or_insert(0) += completion.nanos();
    }

    /// Adds bytes that the step has moved or made.
    pub fn add_bytes(&mut self, bytes: u64) {
        self.step.bytes += bytes;
    }

    /// Says how the step's check ended.
    pub fn set_check(&mut self, check: Check) {
        self.step.check = check;
    }

    /// Time spent so far, in nanoseconds.
    pub fn nanos(&self) -> u64 {
        nanos(self.worked)
    }

    /// Time on the card so far, in nanoseconds.
    pub fn card_nanos(&self) -> u64 {
        self.step.card_nanos.unwrap_or(0)
    }
}

/// The thread that samples the counters.
struct Sampler {
    step: Arc<Mutex<String>>,
    stop: std::sync::mpsc::Sender<()>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    fn start(device: Device, began: Instant) -> Self {
        let step = Arc::new(Mutex::new(String::new()));
        let (stop, stopped) = std::sync::mpsc::channel();
        let shown = Arc::clone(&step);
        let thread = std::thread::spawn(move || {
            let mut samples = Vec::new();
            let mut interval = SAMPLE_INTERVAL;
            // A lost card ends the samples; the job itself reports the loss.
            while let Ok(counters) = device.counters() {
                let now = nanos(began.elapsed());
                samples.push(Sample::new(now, lock(&shown).clone(), &counters));
                if samples.len() > MOST_SAMPLES {
                    thin_out(&mut samples);
                    interval *= 2;
                }
                if stopped.recv_timeout(interval) != Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    break;
                }
            }
            samples
        });
        Self { step, stop, thread }
    }

    fn enter(&self, step: &str) {
        step.clone_into(&mut lock(&self.step));
    }

    fn stop(self) -> Vec<Sample> {
        // The thread may have ended with the card.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

/// Drops every other entry.
fn thin_out<T>(samples: &mut Vec<T>) {
    let mut keep = false;
    samples.retain(|_| {
        keep = !keep;
        keep
    });
}

fn lock(step: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    step.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_out_keeps_the_first_and_every_other_one() {
        let mut samples = vec![0, 1, 2, 3, 4];
        thin_out(&mut samples);
        assert_eq!(samples, [0, 2, 4]);
    }
}
