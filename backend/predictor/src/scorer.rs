// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scorer: the mixer and the network that corrects it.
//!
//! The card has one, and contexts with a model of their own have theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use augur_memory::ContextId;

use crate::evidence::Evidence;
use crate::mixer::Mixer;
use crate::model::Model;
use crate::network::{Lesson, Network};

/// Contexts with a model of their own, at most.
const CONTEXTS: usize = 64;
/// Lessons that wait for a trainer, at most; the oldest half goes first.
const LESSONS: usize = 512;
/// At first every label is a lesson; after so many, one of [`STRIDE`].
const EAGER: u64 = 4096;
const STRIDE: u64 = 8;
/// How fast the losses are followed.
const LOSS_RATE: f32 = 1.0 / 1024.0;
/// The share of the loss that the network must save to be believed in full.
const FULL_GAIN: f32 = 0.04;

/// Scores the candidates of the card or of one context.
#[derive(Debug)]
pub struct Scorer {
    pub mixer: Mixer,
    pub network: Arc<Network>,
    pub generation: u64,
    lessons: Vec<Lesson>,
    labels: u64,
    /// Mean coding loss of the mixer alone and of the corrected odds.
    losses: (f32, f32),
    buffer: Vec<f32>,
}

/// −ln of the probability that these log-odds gave to what happened.
fn loss(odds: f32, used: bool) -> f32 {
    let wrong = if used { -odds } else { odds };
    wrong.max(0.0) + (-wrong.abs()).exp().ln_1p()
}

impl Scorer {
    fn new(model: Model) -> Self {
        Self {
            mixer: model.mixer,
            network: model.network,
            generation: model.generation,
            lessons: Vec::new(),
            labels: 0,
            losses: (0.0, 0.0),
            buffer: Vec::new(),
        }
    }

    /// Learns from an outcome: the mixer now, the network by a lesson.
    pub fn learn(&mut self, evidence: &Evidence, used: bool) {
        let odds = self.mixer.learn(evidence, used);
        self.labels += 1;
        if self.labels > EAGER && !self.labels.is_multiple_of(STRIDE) {
            return;
        }
        self.buffer.clear();
        self.network.correct(&[evidence.features], &mut self.buffer);
        let corrected = odds + self.buffer.first().copied().unwrap_or(0.0);
        self.losses.0 += (loss(odds, used) - self.losses.0) * LOSS_RATE;
        self.losses.1 += (loss(corrected, used) - self.losses.1) * LOSS_RATE;
        if self.lessons.len() >= LESSONS {
            self.lessons.drain(..LESSONS / 2);
        }
        self.lessons.push(Lesson {
            features: evidence.features,
            odds,
            used,
        });
    }

    /// How far the network's corrections are believed, from 0 to 1: not at all
    /// unless they made the last predictions better, on labels that it had not
    /// learned from yet.
    pub fn trust(&self) -> f32 {
        let (alone, corrected) = self.losses;
        let gained = (alone - corrected) / alone.max(1e-6);
        (gained / FULL_GAIN).clamp(0.0, 1.0)
    }

    /// What it has learned.
    pub fn model(&self) -> Model {
        Model {
            network: Arc::clone(&self.network),
            mixer: self.mixer.clone(),
            generation: self.generation,
        }
    }
}

/// The scorers of the card and of contexts.
#[derive(Debug)]
pub struct Scorers {
    card: Scorer,
    contexts: BTreeMap<ContextId, Scorer>,
}

impl Scorers {
    /// Untrained, for all contexts.
    pub fn new(seed: u64) -> Self {
        Self {
            card: Scorer::new(Model::untrained(seed)),
            contexts: BTreeMap::new(),
        }
    }

    /// The scorer that judges the pages of `context`.
    pub fn of(&mut self, context: ContextId) -> &mut Scorer {
        self.contexts.get_mut(&context).unwrap_or(&mut self.card)
    }

    /// The scorer of all contexts without one of their own.
    pub fn card(&self) -> &Scorer {
        &self.card
    }

    /// The scorer of exactly this context, or the card's.
    pub fn get(&self, of: Option<ContextId>) -> Option<&Scorer> {
        match of {
            Some(context) => self.contexts.get(&context),
            None => Some(&self.card),
        }
    }

    /// Uses `model` from now on. Answers false when too many contexts have one.
    pub fn install(&mut self, of: Option<ContextId>, model: Model) -> bool {
        let scorer = Scorer::new(model);
        match of {
            None => self.card = scorer,
            Some(context) => {
                if self.contexts.len() >= CONTEXTS && !self.contexts.contains_key(&context) {
                    return false;
                }
                self.contexts.insert(context, scorer);
            }
        }
        true
    }

    /// The context uses the card's model again.
    pub fn forget(&mut self, context: ContextId) {
        self.contexts.remove(&context);
    }

    /// Puts a newly trained network in the place of the one before.
    pub fn publish(&mut self, of: Option<ContextId>, network: Arc<Network>) {
        let scorer = match of {
            None => &mut self.card,
            Some(context) => match self.contexts.get_mut(&context) {
                Some(scorer) => scorer,
                None => return,
            },
        };
        scorer.network = network;
        scorer.generation += 1;
    }

    /// Moves the lessons that wait to `lessons`.
    pub fn take_lessons(&mut self, of: Option<ContextId>, lessons: &mut Vec<Lesson>) {
        let scorer = match of {
            None => Some(&mut self.card),
            Some(context) => self.contexts.get_mut(&context),
        };
        if let Some(scorer) = scorer {
            lessons.append(&mut scorer.lessons);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_with_a_model_of_its_own_leaves_the_cards_alone() {
        let mut scorers = Scorers::new(1);
        let own = ContextId(7);
        assert!(scorers.get(Some(own)).is_none());
        assert!(scorers.install(Some(own), Model::untrained(9)));
        let network = Arc::new(Network::untrained(10));
        scorers.publish(Some(own), Arc::clone(&network));
        assert_eq!(scorers.of(own).network, network);
        assert_eq!(scorers.of(own).generation, 1);
        assert_ne!(scorers.of(ContextId(8)).network, network);
        scorers.forget(own);
        assert_ne!(scorers.of(own).network, network);
    }

    #[test]
    fn models_of_contexts_are_bounded() {
        let mut scorers = Scorers::new(1);
        for context in 0..CONTEXTS as u32 {
            assert!(scorers.install(Some(ContextId(context)), Model::untrained(1)));
        }
        assert!(!scorers.install(Some(ContextId(9999)), Model::untrained(1)));
        assert!(scorers.install(Some(ContextId(3)), Model::untrained(2)));
    }
}
