// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's predictor: experts propose, the scorer judges, the decision maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use augur_memory::{ContextId, Nanos, PageNumber};

use crate::bandit::Bandit;
use crate::candidate::{Candidate, Judged, KINDS, Learners, Sample};
use crate::config::{Config, Mode};
use crate::decision::Decision;
use crate::depth::Depth;
use crate::duration::Durations;
use crate::evidence::{Counters, squash, stretch};
use crate::expert::{self, EXPERTS, Expert, Moment};
use crate::features::Features;
use crate::history::History;
use crate::key::{key, page_of};
use crate::label::Labels;
use crate::model::Model;
use crate::network::{LARGEST_CORRECTION, Lesson, Network};
use crate::proposal::Proposals;
use crate::record::Records;
use crate::region::{self, Region};
use crate::returns::Returns;
use crate::scorer::Scorers;
use crate::table::mix;
use crate::{Observation, Origin, Prefetcher, Presence, Residency, Stream};

/// Contexts with a mode of their own, at most.
const MODES: usize = 1024;
/// Visible pages that are needed again with more than this probability stay: likelier
/// than not. It costs no move, another page leaves instead.
const KEEP: f32 = 0.5;

/// The predictor.
pub struct Predictor {
    config: Config,
    modes: BTreeMap<ContextId, Mode>,
    history: History,
    experts: [Box<dyn Expert>; EXPERTS],
    learners: Learners,
    labels: Labels<Sample>,
    decision: Decision,
    returns: Returns,
    depth: Depth,
    bandit: Bandit,
    proposals: Proposals,
    candidates: Vec<Candidate>,
    features: Vec<Features>,
    corrections: Vec<f32>,
    predicted: Vec<Region>,
    /// Visible pages that the last access made it expect, though they are among those
    /// that leave next.
    kept: Vec<PageNumber>,
    /// Pages that came into the aperture so far, wrapping: the clock of labels.
    mapped: u32,
    /// Mean of the time from a proposal to its use, in pages mapped.
    time_to_use: f32,
    /// The same in nanoseconds, for each kind of candidate.
    nanos_to_use: [f32; KINDS],
    draws: u64,
    clock: Option<fn() -> u64>,
    inference: Durations,
}

impl Predictor {
    /// A predictor that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            modes: BTreeMap::new(),
            history: History::new(),
            experts: expert::all(),
            learners: Learners {
                records: Records::new(),
                counters: Counters::new(),
                scorers: Scorers::new(config.seed),
            },
            labels: Labels::new(),
            decision: Decision::new(config.costs),
            returns: Returns::new(config.frames),
            depth: Depth::new(config.costs, config.frames, config.least_steps),
            bandit: Bandit::new(config.frames),
            proposals: Proposals::new(),
            candidates: Vec::new(),
            features: Vec::new(),
            corrections: Vec::new(),
            predicted: Vec::new(),
            kept: Vec::new(),
            mapped: 0,
            time_to_use: config.frames as f32 / 8.0,
            nanos_to_use: [config.costs.fault; KINDS],
            draws: config.seed,
            clock: None,
            inference: Durations::new(),
        }
    }

    /// A command list that was queued will use `pages` in this order.
    pub fn declare(&mut self, stream: Stream, pages: &[PageNumber]) {
        let keys: Vec<u64> = pages
            .iter()
            .map(|&page| key(stream.context, page))
            .collect();
        for expert in &mut self.experts {
            expert.declared(stream, &keys);
        }
    }

    /// How much is at work for the pages of `context`; `None` is what the
    /// configuration says.
    pub fn set_mode(&mut self, context: ContextId, mode: Option<Mode>) {
        match mode {
            Some(mode) if self.modes.len() < MODES || self.modes.contains_key(&context) => {
                self.modes.insert(context, mode);
            }
            _ => {
                self.modes.remove(&context);
            }
        }
    }

    /// The context is gone: its mode and its model are forgotten.
    pub fn forget(&mut self, context: ContextId) {
        self.modes.remove(&context);
        self.learners.scorers.forget(context);
    }

    /// Judges by `model` from now on: the pages of one context, or those of
    /// all contexts without a model of their own. Answers false when too many
    /// contexts have one.
    pub fn install_model(&mut self, of: Option<ContextId>, model: Model) -> bool {
        self.learners.scorers.install(of, model)
    }

    /// What the scorer of one context, or of the card, has learned. `None` for
    /// a context without a model of its own.
    pub fn export_model(&self, of: Option<ContextId>) -> Option<Model> {
        self.learners.scorers.get(of).map(|scorer| scorer.model())
    }

    /// The network that judges for contexts without a model of their own.
    pub fn network(&self) -> &Arc<Network> {
        &self.learners.scorers.card().network
    }

    /// The network of one context with a model of its own, or the card's.
    pub fn network_of(&self, of: Option<ContextId>) -> Option<Arc<Network>> {
        let scorer = self.learners.scorers.get(of)?;
        Some(Arc::clone(&scorer.network))
    }

    /// Whether that network's corrections improve on the mixer alone.
    pub fn network_gains(&self, of: Option<ContextId>) -> bool {
        let scorer = self.learners.scorers.get(of);
        scorer.is_some_and(|scorer| scorer.trust() > 0.0)
    }

    /// Moves the lessons collected since the last call to `lessons`, for a
    /// [`Trainer`](crate::Trainer) on any thread.
    pub fn take_lessons(&mut self, of: Option<ContextId>, lessons: &mut Vec<Lesson>) {
        self.learners.scorers.take_lessons(of, lessons);
    }

    /// Puts a newly trained network in the place of the one before, whole.
    pub fn publish(&mut self, of: Option<ContextId>, network: Arc<Network>) {
        self.learners.scorers.publish(of, network);
    }

    /// How many pages are mapped after one that was touched, whatever is predicted,
    /// because predictions hurt of late; `None` where they do not.
    pub fn fallen_back_to(&self) -> Option<u64> {
        self.bandit.neighbours()
    }

    /// How often it fell back to mapping nothing ahead, and to next pages only.
    pub fn falls(&self) -> (u64, u64) {
        self.bandit.falls()
    }

    /// What the last access made it expect: the pages that it asks to be mapped, with
    /// their neighbours united, the most probable first.
    pub fn regions(&self) -> Vec<Region> {
        region::unite(&mut self.predicted.clone())
    }

    /// Measures the network's batches with `clock` (nanoseconds). Predictions
    /// do not depend on it.
    pub fn measure_inference(&mut self, clock: fn() -> u64) {
        self.clock = Some(clock);
    }

    /// What [`Self::measure_inference`] found.
    pub fn inference(&self) -> &Durations {
        &self.inference
    }

    fn mode(&self, context: ContextId) -> Mode {
        self.modes
            .get(&context)
            .copied()
            .unwrap_or(self.config.mode)
    }

    /// How long a candidate has to be used, in pages mapped: as long as the
    /// page would stay, less where uses come much sooner.
    fn horizon(&self) -> u32 {
        let stay = self.config.frames as f32;
        (self.time_to_use * 100.0 + 32.0).min(stay) as u32
    }

    /// Gives the candidates for `page`, and those that waited too long, their
    /// labels.
    fn settle(&mut self, page: u64, now: Nanos) {
        let Self {
            labels,
            learners,
            time_to_use,
            nanos_to_use,
            ..
        } = self;
        labels.touched(page, self.mapped, |sample, after| {
            learners.learn(page, &sample.judged, true);
            *time_to_use += (after as f32 - *time_to_use) / 256.0;
            if let Some(mean) = nanos_to_use.get_mut(sample.judged.kind()) {
                *mean += (now.0.saturating_sub(sample.time.0) as f32 - *mean) / 64.0;
            }
        });
        let horizon = self.horizon();
        let learners = &mut self.learners;
        self.labels.expire(self.mapped, horizon, |page, sample| {
            learners.learn(page, &sample.judged, false);
        });
    }

    /// One of `of` draws answers true.
    fn drawn(&mut self, of: u64) -> bool {
        self.draws = self.draws.wrapping_add(1);
        mix(self.draws).is_multiple_of(of)
    }

    /// Has the experts learn from an access, and fills `proposals` with theirs.
    fn propose(&mut self, stream: Stream, page: u64, fault: bool) {
        let moment = Moment {
            stream,
            page,
            fault,
            recent: self.history.stream(stream),
            history: &self.history,
        };
        self.proposals.clear();
        for (me, expert) in self.experts.iter_mut().enumerate() {
            expert.propose(&moment, me, &mut self.proposals);
        }
    }

    /// Fills `candidates` with what the experts propose, judged.
    fn judge(&mut self, stream: Stream, page: u64, fault: bool, residency: &dyn Residency) {
        let mode = self.mode(stream.context);
        self.propose(stream, page, fault);
        let Self {
            history,
            learners,
            proposals,
            candidates,
            ..
        } = self;
        let moment = Moment {
            stream,
            page,
            fault,
            recent: history.stream(stream),
            history,
        };
        candidates.clear();
        for proposal in proposals.iter() {
            let Some(target) = page_of(stream.context, proposal.page) else {
                continue;
            };
            if proposal.page == page {
                continue;
            }
            let presence = residency.presence(stream.context, target);
            if presence == Presence::Staying {
                continue;
            }
            let (odds, judged) = match mode {
                Mode::Classic => {
                    let (claim, probability) = learners.records.judge(proposal, fault);
                    (stretch(probability), Judged::Classic(claim))
                }
                Mode::Full => {
                    let evidence = learners.counters.evidence(proposal, &moment, history);
                    let scorer = learners.scorers.of(stream.context);
                    (scorer.mixer.odds(&evidence), Judged::Full(evidence))
                }
            };
            candidates.push(Candidate {
                key: proposal.page,
                page: target,
                visible: presence == Presence::Leaving,
                rank: proposal.rank(),
                odds,
                judged,
            });
        }
    }

    /// Lets the network correct the odds of those candidates for which it can
    /// make a difference.
    fn correct(&mut self, context: ContextId, threshold: f32) {
        let trust = self.learners.scorers.of(context).trust();
        if trust <= 0.0 {
            return;
        }
        let near = |candidate: &Candidate| {
            (candidate.odds - stretch(threshold)).abs() <= LARGEST_CORRECTION
        };
        self.features.clear();
        for candidate in self.candidates.iter().filter(|c| near(c)) {
            if let Judged::Full(evidence) = &candidate.judged {
                self.features.push(evidence.features);
            }
        }
        if self.features.is_empty() {
            return;
        }
        self.corrections.clear();
        let started = self.clock.map(|clock| clock());
        self.learners
            .scorers
            .of(context)
            .network
            .correct(&self.features, &mut self.corrections);
        if let (Some(clock), Some(started)) = (self.clock, started) {
            self.inference.record(clock().saturating_sub(started));
        }
        let judged = self.candidates.iter_mut().filter(|c| near(c));
        for (candidate, correction) in judged.zip(&self.corrections) {
            candidate.odds += trust * correction;
        }
    }

    /// Whether a candidate is to wait for its label: always if it was issued,
    /// otherwise by a draw when many wait already.
    fn is_sampled(&mut self, page: u64, issued: bool) -> bool {
        if issued {
            return true;
        }
        let busy = self.labels.fullness();
        let room = busy < 0.25 || (busy < 0.9 && self.drawn(if busy < 0.5 { 2 } else { 6 }));
        room && (!self.labels.waits(page) || self.drawn(3))
    }

    fn expected(&self, context: ContextId, candidate: &Candidate, probability: f32) -> Region {
        let nanos = self.nanos_to_use.get(candidate.judged.kind());
        Region {
            context,
            start: candidate.page,
            pages: 1,
            expected_touches: probability * self.history.touches_of_a_stay(candidate.key),
            time_to_use: Nanos(nanos.copied().unwrap_or_default() as u64),
            probability,
        }
    }

    /// Learns from one access; [`Self::regions`] is what it expects after it.
    pub fn learn(&mut self, observation: &Observation, residency: &dyn Residency) {
        let streams = self.history.streams_at_work();
        let Some(page) = self.record(observation, residency) else {
            return;
        };
        let fault = observation.origin == Origin::Fault;
        self.judge(observation.stream, page, fault, residency);
        self.choose(observation, page, streams);
    }

    /// Learns from an access after which it is to expect nothing, because later ones
    /// of the same stream are known already. The experts see it and the candidates
    /// that waited for it get their label; no new ones are judged, which is most of the
    /// work.
    pub fn follow(&mut self, observation: &Observation, residency: &dyn Residency) {
        if let Some(page) = self.record(observation, residency) {
            let fault = observation.origin == Origin::Fault;
            self.propose(observation.stream, page, fault);
        }
    }

    /// Takes an access to the books. Answers its page, unless it tells the experts
    /// nothing new.
    fn record(&mut self, observation: &Observation, residency: &dyn Residency) -> Option<u64> {
        let context = observation.stream.context;
        let page = key(context, observation.page);
        let moves = residency.moves_under_way();
        let streams = self.history.streams_at_work();
        self.depth.look(moves, observation.time);
        self.decision.look(moves, streams, observation.time);
        match observation.origin {
            Origin::Fault => self.mapped = self.mapped.wrapping_add(1),
            Origin::FirstTouch => self.decision.paid(),
            Origin::Touch => {}
        }
        let foreseen = self.decision.transfer() / self.config.costs.fault;
        self.returns
            .needed(page, observation.origin, self.mapped, foreseen);
        if observation.origin != Origin::Touch {
            self.decision
                .returned(page, self.mapped, self.config.frames);
        }
        let price = self.decision.price(residency.lag());
        self.bandit
            .touched(page, observation.origin, observation.time, &price);
        self.settle(page, observation.time);
        self.predicted.clear();
        self.kept.clear();
        let is_new = self.history.record(observation.stream, page);
        is_new.then_some(page)
    }

    /// Chooses among the candidates that were judged after an access to `page`, with so
    /// many streams at work: those to be mapped, to be kept, and to wait for a label.
    fn choose(&mut self, observation: &Observation, page: u64, streams: f32) {
        let context = observation.stream.context;
        let threshold = self.decision.threshold();
        self.correct(context, threshold);
        let neighbours = self.bandit.neighbours();
        self.returns.hold_alike(neighbours.is_some());
        let candidates = std::mem::take(&mut self.candidates);
        for candidate in &candidates {
            let probability = squash(candidate.odds);
            if candidate.visible {
                if neighbours.is_none() && probability > KEEP {
                    self.kept.push(candidate.page);
                }
                continue;
            }
            let issued = match neighbours {
                Some(most) => candidate.key.wrapping_sub(page).wrapping_sub(1) < most,
                None => probability > threshold && self.depth.reaches(candidate.rank, streams),
            };
            if issued {
                let region = self.expected(context, candidate, probability);
                self.predicted.push(region);
            }
            if self.is_sampled(candidate.key, issued) {
                let sample = Sample {
                    judged: candidate.judged,
                    time: observation.time,
                };
                self.labels.add(candidate.key, self.mapped, sample);
            }
        }
        self.candidates = candidates;
    }
}

impl Prefetcher for Predictor {
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        self.learn(observation, residency);
        self.predicted
            .sort_by(|a, b| b.probability.total_cmp(&a.probability));
        wanted.extend(self.predicted.iter().map(|region| region.start));
    }

    fn mapped_ahead(&mut self, pages: u32) {
        self.mapped = self.mapped.wrapping_add(pages);
        self.decision.moved(pages as usize);
        let price = self.decision.price(Nanos(0));
        self.bandit.moved(pages, &price);
    }

    fn kept(&self) -> &[PageNumber] {
        &self.kept
    }

    fn watches(&self) -> bool {
        true
    }

    fn returns(&self) -> Option<&Returns> {
        Some(&self.returns)
    }

    fn unmapped(&mut self, context: ContextId, page: PageNumber, used: bool) {
        let page = key(context, page);
        self.decision.evicted(page, self.mapped, used);
        self.history.unmapped(page, used);
        self.returns.left(page, self.mapped);
        if !used {
            // It had its time: nothing is to be learned from what comes later.
            let learners = &mut self.learners;
            self.labels.touched(page, self.mapped, |sample, _| {
                learners.learn(page, &sample.judged, false);
            });
        }
        for expert in &mut self.experts {
            expert.unmapped(page, used);
        }
    }
}

#[cfg(test)]
mod tests;
