// SPDX-License-Identifier: MIT OR Apache-2.0
//! Training networks beside the learning thread, which never waits for it: a new
//! network is left for it to put in the place of the one before. The card's network
//! and those of contexts with a model of their own are trained alike: less and less
//! while that brings nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use augur_predictor::{Lesson, Network, Predictor, Trainer};

use super::models::Owner;
use crate::background;
use crate::thread_time::thread_time;

/// After each step the thread rests this many times as long as the step took, so
/// that training takes a thirtieth of one core at most.
const REST: u32 = 29;
const LONGEST_REST: Duration = Duration::from_millis(600);

/// Batches without a gain after which half as many are learned from.
const PATIENCE: u32 = 64;
/// The least that is learned from: one batch of so many.
const RAREST: u32 = 64;

/// What the trainer is told.
pub(super) enum Training {
    /// Go on from this network, the so-manieth that its owner was given.
    Begin(Owner, u64, Arc<Network>),
    /// Labelled candidates.
    Batch(Owner, Vec<Lesson>),
    /// The context is gone.
    End(Owner),
}

/// Where trained networks are left.
#[derive(Default)]
pub(super) struct Trained {
    networks: Mutex<BTreeMap<Owner, (u64, Arc<Network>)>>,
    /// Nanoseconds of a processor that it took.
    spent: AtomicU64,
}

impl Trained {
    fn take(&self) -> BTreeMap<Owner, (u64, Arc<Network>)> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Owner, (u64, Arc<Network>)>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Trains until the sender is gone.
pub(super) fn run(told: &Receiver<Training>, trained: &Trained) {
    if let Err(error) = background::give_way() {
        log::warn!("training competes with the guest: {error}");
    }
    let mut trainers: BTreeMap<Owner, (u64, Trainer)> = BTreeMap::new();
    while let Ok(training) = told.recv() {
        let began = Instant::now();
        match training {
            Training::Begin(owner, lineage, network) => match Trainer::new(network) {
                Ok(trainer) => {
                    trainers.insert(owner, (lineage, trainer));
                }
                Err(error) => log::error!("cannot train: {error}"),
            },
            Training::End(owner) => {
                trainers.remove(&owner);
            }
            Training::Batch(owner, lessons) => {
                let Some((lineage, trainer)) = trainers.get_mut(&owner) else {
                    continue;
                };
                match trainer.learn(&lessons) {
                    Ok(network) => {
                        trained.lock().insert(owner, (*lineage, network));
                    }
                    Err(error) => log::debug!("a step of training was not taken: {error}"),
                }
            }
        }
        let spent = u64::try_from(thread_time().as_nanos()).unwrap_or(u64::MAX);
        trained.spent.store(spent, Ordering::Relaxed);
        thread::sleep((began.elapsed() * REST).min(LONGEST_REST));
    }
}

/// How much an owner's network is trained: in full while its corrections improve on
/// the mix alone, half as often after each [`PATIENCE`] batches in which they did not.
#[derive(Default)]
struct Effort {
    /// Batches since the last gain.
    vain: u32,
}

impl Effort {
    /// Whether the next batch is to be learned from.
    fn next(&mut self, gains: bool) -> bool {
        self.vain = if gains {
            0
        } else {
            self.vain.saturating_add(1)
        };
        let every = 1 << (self.vain / PATIENCE).min(RAREST.ilog2());
        self.vain.is_multiple_of(every)
    }
}

/// The learning thread's end: who is trained, and what waits to be told.
pub(super) struct School<'a> {
    told: SyncSender<Training>,
    trained: &'a Trained,
    /// Networks given to each owner so far.
    lineages: BTreeMap<Owner, u64>,
    /// What the trainer had no room for.
    untold: Vec<Training>,
    lessons: BTreeMap<Owner, Vec<Lesson>>,
    efforts: BTreeMap<Owner, Effort>,
}

impl<'a> School<'a> {
    /// Nobody is trained yet.
    pub fn new(told: SyncSender<Training>, trained: &'a Trained) -> Self {
        School {
            told,
            trained,
            lineages: BTreeMap::new(),
            untold: Vec::new(),
            lessons: BTreeMap::new(),
            efforts: BTreeMap::new(),
        }
    }

    /// What the trainer took of a processor so far.
    pub fn trainer_time(&self) -> Duration {
        Duration::from_nanos(self.trained.spent.load(Ordering::Relaxed))
    }

    /// Has the trainer go on from the network that predicts for `owner` now.
    pub fn begin(&mut self, owner: Owner, predictor: &Predictor) {
        let Some(network) = predictor.network_of(owner) else {
            return;
        };
        let lineage = self.lineages.entry(owner).or_default();
        *lineage += 1;
        self.efforts.remove(&owner);
        let begin = Training::Begin(owner, *lineage, network);
        self.untold
            .retain(|training| !matches!(training, Training::Begin(other, ..) if *other == owner));
        self.untold.push(begin);
    }

    /// The context is gone.
    pub fn end(&mut self, owner: Owner) {
        if self.lineages.remove(&owner).is_some() {
            self.lessons.remove(&owner);
            self.efforts.remove(&owner);
            self.untold.push(Training::End(owner));
        }
    }

    /// Puts in place what was trained, and hands on what is to be learned. Lessons
    /// that come faster than the trainer takes them are dropped.
    pub fn exchange(&mut self, predictor: &mut Predictor) {
        for (owner, (lineage, network)) in self.trained.take() {
            // One that goes on from a model which was replaced meanwhile is of no use.
            if self.lineages.get(&owner) == Some(&lineage) {
                predictor.publish(owner, network);
            }
        }
        while let Some(training) = self.untold.pop() {
            if let Err(error) = self.told.try_send(training) {
                match error {
                    std::sync::mpsc::TrySendError::Full(training) => self.untold.push(training),
                    std::sync::mpsc::TrySendError::Disconnected(_) => {}
                }
                break;
            }
        }
        for &owner in self.lineages.keys() {
            let lessons = self.lessons.entry(owner).or_default();
            predictor.take_lessons(owner, lessons);
            if lessons.len() >= Trainer::BATCH {
                let batch = std::mem::take(lessons);
                let gains = predictor.network_gains(owner);
                if self.efforts.entry(owner).or_default().next(gains) {
                    // Full: the trainer rests.
                    let _ = self.told.try_send(Training::Batch(owner, batch));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use augur_memory::ContextId;
    use augur_predictor::{Config, Costs, Mode, Model};

    use super::*;

    const OWN: Owner = Some(ContextId(3));

    fn predictor() -> Predictor {
        Predictor::new(Config {
            mode: Mode::Full,
            frames: 64,
            least_steps: 3,
            costs: Costs::default(),
            seed: 1,
        })
    }

    #[test]
    fn a_network_that_gains_nothing_is_trained_rarely_until_it_does() {
        let mut effort = Effort::default();
        let mut taken = |gains, batches| (0..batches).filter(|_| effort.next(gains)).count();
        assert_eq!(taken(true, 1000), 1000);
        assert_eq!(taken(false, PATIENCE - 1), PATIENCE as usize - 1);
        let many = 100 * PATIENCE;
        let rarely = taken(false, many);
        assert!(rarely < many as usize / 20, "{rarely}");
        assert!(taken(false, RAREST) == 1, "and never not at all");
        assert_eq!(taken(true, 10), 10);
    }

    #[test]
    fn a_network_trained_from_a_replaced_model_is_not_used() {
        let (trained, mut predictor) = (Trained::default(), predictor());
        let (told, asked) = sync_channel(8);
        let mut school = School::new(told, &trained);
        assert!(predictor.install_model(OWN, Model::untrained(5)));
        school.begin(OWN, &predictor);
        school.exchange(&mut predictor);
        let lineage = match asked.try_recv() {
            Ok(Training::Begin(OWN, lineage, _)) => lineage,
            _ => panic!("the trainer was not told"),
        };
        let network = Arc::new(Network::untrained(6));
        let leave = |lineage| trained.lock().insert(OWN, (lineage, Arc::clone(&network)));
        leave(lineage);
        school.exchange(&mut predictor);
        assert_eq!(predictor.network_of(OWN), Some(Arc::clone(&network)));
        assert!(predictor.install_model(OWN, Model::untrained(7)));
        school.begin(OWN, &predictor);
        leave(lineage);
        school.exchange(&mut predictor);
        assert_ne!(predictor.network_of(OWN), Some(Arc::clone(&network)));
        assert_ne!(predictor.network(), &network, "the card's is another");
    }
}
