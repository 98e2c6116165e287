// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's predictor: experts propose, the scorer judges, the decision maps.

use augur_memory::{ContextId, PageNumber};

use crate::decision::{Costs, Decision};
use crate::evidence::{Counters, squash, stretch};
use crate::expert::{self, EXPERTS, Expert, Moment};
use crate::history::History;
use crate::label::{Labels, Sample};
use crate::mixer::Mixer;
use crate::proposal::Proposals;
use crate::table::mix;
use crate::{Observation, Origin, Prefetcher, Residency, Stream};

/// How much of the predictor is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The experts' own records.
    Classic,
    /// The scorer and the network as well.
    Full,
}

/// Sizes and costs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How much is at work.
    pub mode: Mode,
    /// Frames of the aperture.
    pub frames: u32,
    /// What things cost.
    pub costs: Costs,
    /// Seed of the choice of samples.
    pub seed: u64,
}

/// Pages of contexts are told apart by these upper bits.
const CONTEXT_SHIFT: u32 = 40;

fn key(context: ContextId, page: PageNumber) -> u64 {
    (u64::from(context.0) << CONTEXT_SHIFT) | page.0
}

fn page_of(context: ContextId, key: u64) -> Option<PageNumber> {
    (key >> CONTEXT_SHIFT == u64::from(context.0))
        .then_some(PageNumber(key & ((1 << CONTEXT_SHIFT) - 1)))
}

/// The predictor.
pub struct Predictor {
    config: Config,
    history: History,
    experts: [Box<dyn Expert>; EXPERTS],
    counters: Counters,
    mixer: Mixer,
    labels: Labels<Sample>,
    decision: Decision,
    proposals: Proposals,
    chosen: Vec<(f32, PageNumber)>,
    unissued: Vec<(u64, Sample)>,
    /// Pages mapped so far, wrapping: the clock of labels.
    mapped: u32,
    /// Mean of the time from a proposal to its use, in pages mapped.
    time_to_use: f32,
    draws: u64,
}

impl Predictor {
    /// A predictor that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            history: History::new(),
            experts: expert::all(),
            counters: Counters::new(),
            mixer: Mixer::new(),
            labels: Labels::new(),
            decision: Decision::new(config.costs),
            proposals: Proposals::default(),
            chosen: Vec::new(),
            unissued: Vec::new(),
            mapped: 0,
            time_to_use: config.frames as f32 / 8.0,
            draws: config.seed,
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

    /// How long a candidate has to be used, in pages mapped: as long as the
    /// page would stay, less where uses come much sooner.
    fn horizon(&self) -> u32 {
        let stay = self.config.frames as f32;
        (self.time_to_use * 100.0 + 32.0).min(stay) as u32
    }

    fn settle(&mut self, page: u64) {
        let Self {
            labels,
            counters,
            mixer,
            time_to_use,
            mapped,
            ..
        } = self;
        labels.touched(page, *mapped, |sample, after| {
            counters.learn(&sample.evidence, true);
            mixer.learn(&sample.evidence, true);
            *time_to_use += (after as f32 - *time_to_use) / 256.0;
        });
        let horizon = self.horizon();
        let Self {
            labels,
            counters,
            mixer,
            mapped,
            ..
        } = self;
        labels.expire(*mapped, horizon, |sample| {
            counters.learn(&sample.evidence, false);
            mixer.learn(&sample.evidence, false);
        });
    }

    /// One of `of` draws answers true.
    fn drawn(&mut self, of: u64) -> bool {
        self.draws = self.draws.wrapping_add(1);
        mix(self.draws).is_multiple_of(of)
    }
}

impl Prefetcher for Predictor {
    fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        let context = observation.stream.context;
        let page = key(context, observation.page);
        match observation.origin {
            Origin::Fault => self.mapped = self.mapped.wrapping_add(1),
            Origin::FirstTouch => self.decision.paid(),
            Origin::Touch => {}
        }
        if observation.origin != Origin::Touch {
            self.decision
                .returned(page, self.mapped, self.config.frames);
        }
        self.settle(page);
        if !self.history.record(observation.stream, page) {
            return;
        }
        let moment = Moment {
            stream: observation.stream,
            page,
            fault: observation.origin == Origin::Fault,
            recent: self.history.stream(observation.stream),
            history: &self.history,
        };
        self.proposals.clear();
        for (me, expert) in self.experts.iter_mut().enumerate() {
            expert.propose(&moment, me, &mut self.proposals);
        }
        let threshold = self.decision.threshold();
        let busy = self.labels.fullness();
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        let mut unissued = std::mem::take(&mut self.unissued);
        unissued.clear();
        for proposal in self.proposals.iter() {
            let Some(target) = page_of(context, proposal.page) else {
                continue;
            };
            if proposal.page == page || residency.is_visible(context, target) {
                continue;
            }
            let evidence = self.counters.evidence(proposal, &moment, &self.history);
            let odds = match self.config.mode {
                Mode::Full => self.mixer.odds(&evidence),
                // Each proposer's own record, the best of them.
                Mode::Classic => {
                    let trust = evidence.trust[0];
                    evidence.odds[0] * trust + stretch(evidence.prior) * (1.0 - trust)
                }
            };
            let issued = squash(odds) > threshold;
            if issued {
                chosen.push((odds, target));
            }
            unissued.push((proposal.page, Sample { evidence, issued }));
        }
        for (page, sample) in unissued.drain(..) {
            let keep = sample.issued
                || busy < 0.25
                || (busy < 0.9 && self.drawn(if busy < 0.5 { 2 } else { 6 }));
            if keep && (sample.issued || !self.labels.waits(page) || self.drawn(3)) {
                self.labels.add(page, self.mapped, sample);
            }
        }
        self.unissued = unissued;
        chosen.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.mapped = self.mapped.wrapping_add(chosen.len() as u32);
        wanted.extend(chosen.iter().map(|&(_, page)| page));
        self.chosen = chosen;
    }

    fn unmapped(&mut self, context: ContextId, page: PageNumber, used: bool) {
        let page = key(context, page);
        self.decision.evicted(page, self.mapped, used);
        self.history.unmapped(page);
        for expert in &mut self.experts {
            expert.unmapped(page, used);
        }
    }
}
