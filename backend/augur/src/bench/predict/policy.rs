// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policies that are compared: who asks for pages, and who evicts them.

use augur_memory::{Class, ContextId, Lru, Manager, Nanos, PageNumber, Replacement, Slot, Weights};
use augur_predictor::baseline::Baseline;
use augur_predictor::{Learner, Observation, Prefetcher, Presence, Residency};

use super::link::Link;
use super::oracle::{Belady, Future, NEVER};

/// A policy's name, with the degree of a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Demand faults and LRU.
    None,
    /// A published prefetcher and LRU.
    Baseline(Baseline, u32),
    /// Belady's eviction without prefetch.
    Min,
    /// Knows the future; same link, same frames.
    Clairvoyant,
    /// The card's experts without the network.
    Classic,
    /// The card's predictor.
    Augur,
}

/// The degrees that each baseline is swept over, besides its native one.
pub const DEGREES: [u32; 6] = [1, 2, 4, 8, 16, 32];

impl Kind {
    /// Every policy at every degree.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::None];
        for baseline in Baseline::ALL {
            all.extend(DEGREES.map(|degree| Self::Baseline(baseline, degree)));
            if !DEGREES.contains(&baseline.native_degree()) {
                all.push(Self::Baseline(baseline, baseline.native_degree()));
            }
        }
        all.extend([Self::Min, Self::Clairvoyant, Self::Classic, Self::Augur]);
        all
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Baseline(baseline, _) => match baseline {
                Baseline::Next => "next4",
                Baseline::Readahead => "readahead",
                Baseline::Leap => "leap",
                Baseline::UvmTree => "uvm-tree",
                Baseline::BestOffset => "best-offset",
                Baseline::SignaturePath => "spp",
                Baseline::Markov => "markov",
                Baseline::ZoneStride => "stride",
            },
            Self::Min => "min",
            Self::Clairvoyant => "clairvoyant",
            Self::Classic => "classic",
            Self::Augur => "augur",
        }
    }

    /// The degree, for baselines.
    pub fn degree(self) -> Option<u32> {
        match self {
            Self::Baseline(_, degree) => Some(degree),
            _ => None,
        }
    }
}

/// The order of replacement of a run.
pub enum Order {
    /// Least recently used, by class where the policy has classes.
    Lru(Box<Lru>),
    /// Farthest next touch.
    Belady(Belady),
}

impl Replacement for Order {
    fn mapped(&mut self, slot: Slot, demand: bool, now: Nanos) {
        match self {
            Self::Lru(lru) => lru.mapped(slot, demand, now),
            Self::Belady(belady) => belady.mapped(slot, demand, now),
        }
    }

    fn touched(&mut self, slot: Slot, now: Nanos) {
        match self {
            Self::Lru(lru) => lru.touched(slot, now),
            Self::Belady(belady) => belady.touched(slot, now),
        }
    }

    fn unmapped(&mut self, slot: Slot) {
        match self {
            Self::Lru(lru) => lru.unmapped(slot),
            Self::Belady(belady) => belady.unmapped(slot),
        }
    }

    fn classify(&mut self, slot: Slot, class: Class) {
        if let Self::Lru(lru) = self {
            lru.classify(slot, class);
        }
    }

    fn weigh(&mut self, weights: &Weights) {
        if let Self::Lru(lru) = self {
            lru.weigh(weights);
        }
    }

    fn is_old(&self, slot: Slot) -> bool {
        match self {
            Self::Lru(lru) => lru.is_old(slot),
            Self::Belady(_) => false,
        }
    }

    fn victim(&mut self, eligible: &mut dyn FnMut(Slot) -> bool) -> Option<Slot> {
        match self {
            Self::Lru(lru) => lru.victim(eligible),
            Self::Belady(belady) => belady.victim(eligible),
        }
    }

    fn next_to_watch(&mut self) -> Option<Slot> {
        match self {
            Self::Lru(lru) => lru.next_to_watch(),
            Self::Belady(_) => None,
        }
    }
}

/// What a policy may ask about the aperture.
pub struct Aperture<'a> {
    /// What is mapped.
    pub manager: &'a Manager<Order>,
    /// What is under way.
    pub link: &'a Link,
}

impl Residency for Aperture<'_> {
    fn is_visible(&self, context: ContextId, page: PageNumber) -> bool {
        self.manager.lookup(context, page).is_some()
    }

    fn presence(&self, context: ContextId, page: PageNumber) -> Presence {
        match self.manager.lookup(context, page) {
            None => Presence::Absent,
            Some((window, _)) if self.manager.is_old(window.slot) => Presence::Leaving,
            Some(_) => Presence::Staying,
        }
    }

    fn moves_under_way(&self) -> usize {
        self.link.transfers()
    }
}

/// What an oracle knows and where its prefetching has got to.
struct Oracle {
    future: Future,
    prefetches: bool,
    /// Everything needed before this place was considered.
    considered: u32,
}

/// A policy in a run.
pub struct Policy {
    prefetcher: Option<Box<dyn Prefetcher>>,
    oracle: Option<Oracle>,
    buffer: Vec<PageNumber>,
}

impl Policy {
    /// Asks `prefetcher`, evicts by LRU.
    pub fn prefetching(prefetcher: Option<Box<dyn Prefetcher>>) -> Self {
        Self {
            prefetcher,
            oracle: None,
            buffer: Vec::new(),
        }
    }

    /// Evicts by Belady's rule, and prefetches in order of next use if told to.
    pub fn oracle(future: Future, prefetches: bool) -> Self {
        Self {
            prefetcher: None,
            oracle: Some(Oracle {
                future,
                prefetches,
                considered: 0,
            }),
            buffer: Vec::new(),
        }
    }

    /// An empty order of replacement for `slots` windows.
    pub fn order(&self, slots: usize) -> Order {
        if self.oracle.is_some() {
            Order::Belady(Belady::new(slots))
        } else {
            Order::Lru(Box::new(Lru::new(slots)))
        }
    }

    /// The touch of page `number` is happening; only oracles notice.
    pub fn passing(&mut self, number: u32) {
        if let Some(oracle) = &mut self.oracle {
            oracle.future.advance(number);
        }
    }

    /// The place of the next touch of page `number`.
    pub fn next_use(&self, number: u32) -> u32 {
        match &self.oracle {
            Some(oracle) if number != u32::MAX => oracle.future.next(number),
            _ => NEVER,
        }
    }

    /// Brings what Belady's order knows of a slot up to date.
    pub fn retell(&self, order: &mut Order, slot: Slot, number: u32) {
        if let Order::Belady(belady) = order {
            belady.tell(slot, self.next_use(number));
        }
    }

    /// An empty buffer for pages wanted.
    pub fn take_buffer(&mut self) -> Vec<PageNumber> {
        self.buffer.clear();
        std::mem::take(&mut self.buffer)
    }

    /// Gives the buffer back.
    pub fn give_buffer(&mut self, buffer: Vec<PageNumber>) {
        self.buffer = buffer;
    }

    /// The card's predictor with its trainer, where that is what is asked.
    pub fn learner(&self) -> Option<&Learner> {
        self.prefetcher.as_deref().and_then(Prefetcher::learner)
    }

    /// Whether pages next in turn to be evicted are watched.
    pub fn watches(&self) -> bool {
        self.prefetcher
            .as_ref()
            .is_some_and(|prefetcher| prefetcher.watches())
    }

    /// Tells the prefetcher of an access.
    pub fn observe(
        &mut self,
        observation: &Observation,
        residency: &dyn Residency,
        wanted: &mut Vec<PageNumber>,
    ) {
        if let Some(prefetcher) = &mut self.prefetcher {
            prefetcher.observe(observation, residency, wanted);
        }
    }

    /// Tells the prefetcher that a page was mapped ahead.
    pub fn mapped_ahead(&mut self) {
        if let Some(prefetcher) = &mut self.prefetcher {
            prefetcher.mapped_ahead(1);
        }
    }

    /// Tells the manager what the policy expects of a page that was just observed.
    pub fn classify(&self, manager: &mut Manager<Order>, context: ContextId, page: PageNumber) {
        let prefetcher = self.prefetcher.as_deref();
        if let Some(returns) = prefetcher.and_then(Prefetcher::returns) {
            manager.classify(context, page, returns.class(context, page));
            manager.weigh(returns.weights());
        }
    }

    /// Tells the manager which visible pages are needed soon.
    pub fn keep(&self, manager: &mut Manager<Order>, context: ContextId, now: Nanos) {
        for &page in self
            .prefetcher
            .iter()
            .flat_map(|prefetcher| prefetcher.kept())
        {
            manager.keep(context, page, now);
        }
    }

    /// Tells the policy that a page has left the aperture.
    pub fn unmapped(&mut self, context: ContextId, page: PageNumber, number: u32, used: bool) {
        if let Some(prefetcher) = &mut self.prefetcher {
            prefetcher.unmapped(context, page, used);
        }
        let next = self.next_use(number);
        if let Some(oracle) = &mut self.oracle {
            oracle.considered = oracle.considered.min(next);
        }
    }

    /// The page that a prefetching oracle wants next, and the place of its use.
    pub fn next_to_prefetch(&mut self) -> Option<(u32, u32)> {
        let oracle = self.oracle.as_mut().filter(|oracle| oracle.prefetches)?;
        loop {
            let place = oracle.considered;
            let page = oracle.future.page_at(place)?;
            // Other places of the page are in the past, or were considered.
            if oracle.future.next(page) == place {
                return Some((page, place));
            }
            oracle.considered += 1;
        }
    }

    /// The page needed at `place` is on its way.
    pub fn prefetched(&mut self, place: u32) {
        if let Some(oracle) = &mut self.oracle {
            oracle.considered = oracle.considered.max(place + 1);
        }
    }
}
