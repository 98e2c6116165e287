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

/// Scores the candidates of the card or of one context.
#[derive(Debug)]
pub struct Scorer {
    pub mixer: Mixer,
    pub network: Arc<Network>,
    pub generation: u64,
    lessons: Vec<Lesson>,
    labels: u64,
}

impl Scorer {
    fn new(model: Model) -> Self {
        Self {
            mixer: model.mixer,
            network: model.network,
            generation: model.generation,
            lessons: Vec::new(),
            labels: 0,
        }
    }

    /// Learns from an outcome: the mixer now, the network by a lesson.
    pub fn learn(&mut self, evidence: &Evidence, used: bool) {
        let odds = self.mixer.learn(evidence, used);
        self.labels += 1;
        if self.labels > EAGER && !self.labels.is_multiple_of(STRIDE) {
            return;
        }
        if self.lessons.len() >= LESSONS {
            self.lessons.drain(..LESSONS / 2);
        }
        self.lessons.push(Lesson {
            features: evidence.features,
            odds,
            used,
        });
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
