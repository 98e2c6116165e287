// SPDX-License-Identifier: MIT OR Apache-2.0
//! A predictor with its trainer on one thread: for runs on a virtual clock and
//! for training on recorded traces, where nobody waits.

use std::sync::Arc;

use augur_memory::{ContextId, PageNumber};

use crate::network::{Lesson, Trainer, TrainingError};
use crate::{Observation, Predictor, Prefetcher, Residency, Returns};

/// Trains the card's network whenever enough lessons wait.
pub struct Learner {
    predictor: Predictor,
    trainer: Trainer,
    lessons: Vec<Lesson>,
    refused: u64,
}

impl Learner {
    /// Goes on from the network that `predictor` has.
    ///
    /// # Errors
    /// [`TrainingError::Candle`] when a tensor cannot be made.
    pub fn new(predictor: Predictor) -> Result<Self, TrainingError> {
        Ok(Self {
            trainer: Trainer::new(Arc::clone(predictor.network()))?,
            predictor,
            lessons: Vec::new(),
            refused: 0,
        })
    }

    /// The predictor, with what it has learned.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Steps of training that were not taken because weights diverged.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl Prefetcher for Learner {
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        self.predictor.observe(observation, residency, wanted);
        self.predictor.take_lessons(None, &mut self.lessons);
        if self.lessons.len() >= Trainer::BATCH {
            match self.trainer.learn(&self.lessons) {
                Ok(network) => self.predictor.publish(None, network),
                Err(_) => self.refused += 1,
            }
            self.lessons.clear();
        }
    }

    fn mapped_ahead(&mut self, pages: u32) {
        self.predictor.mapped_ahead(pages);
    }

    fn learner(&self) -> Option<&Learner> {
        Some(self)
    }

    fn returns(&self) -> Option<&Returns> {
        self.predictor.returns()
    }

    fn kept(&self) -> &[PageNumber] {
        self.predictor.kept()
    }

    fn watches(&self) -> bool {
        self.predictor.watches()
    }

    fn unmapped(&mut self, context: ContextId, page: PageNumber, used: bool) {
        self.predictor.unmapped(context, page, used);
    }
}
