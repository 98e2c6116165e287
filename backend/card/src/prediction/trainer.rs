// SPDX-License-Identifier: MIT OR Apache-2.0
//! Training the network beside the learning thread, which never waits for it: a
//! new network is left for it to put in the place of the one before.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use augur_predictor::{Lesson, Network, Trainer};

/// After each step the thread rests this many times as long as the step took, so
/// that training takes a tenth of one core at most.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_millis(200);

/// What the trainer is told.
pub(super) enum Training {
    /// Go on from this network: a model was installed.
    Begin(Arc<Network>),
    /// Labelled candidates.
    Batch(Vec<Lesson>),
}

/// Where a trained network is left.
#[derive(Default)]
pub(super) struct Trained {
    network: Mutex<Option<Arc<Network>>>,
}

impl Trained {
    /// Takes the network, if there is a new one.
    pub fn take(&self) -> Option<Arc<Network>> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Network>>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Trains until the sender is gone.
pub(super) fn run(told: &Receiver<Training>, trained: &Trained) {
    let mut trainer: Option<Trainer> = None;
    while let Ok(training) = told.recv() {
        let began = Instant::now();
        match training {
            Training::Begin(network) => match Trainer::new(network) {
                Ok(new) => {
                    trained.take();
                    trainer = Some(new);
                }
                Err(error) => log::error!("cannot train: {error}"),
            },
            Training::Batch(lessons) => {
                let Some(trainer) = &mut trainer else {
                    continue;
                };
                match trainer.learn(&lessons) {
                    Ok(network) => *trained.lock() = Some(network),
                    Err(error) => log::debug!("a step of training was not taken: {error}"),
                }
            }
        }
        thread::sleep((began.elapsed() * REST).min(LONGEST_REST));
    }
}
