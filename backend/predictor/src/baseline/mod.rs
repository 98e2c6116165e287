// SPDX-License-Identifier: MIT OR Apache-2.0
//! The prefetchers to beat, each as its source defines it.
//!
//! Every one takes a *degree*: how many pages it may ask for at an access. At
//! [`Baseline::native_degree`] it behaves as published; other degrees are
//! there so that a comparison can quote each at its best.
//!
//! Baselines see what every policy sees and know nothing of the card's
//! predictor.

mod best_offset;
mod leap;
mod markov;
mod next;
mod readahead;
mod spp;
mod stride;
mod uvm_tree;

pub use best_offset::BestOffset;
pub use leap::Leap;
pub use markov::Markov;
pub use next::Next;
pub use readahead::Readahead;
pub use spp::SignaturePath;
pub use stride::ZoneStride;
pub use uvm_tree::UvmTree;

use augur_memory::PageNumber;

use crate::Prefetcher;

/// One of the published prefetchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Baseline {
    /// The next pages after the one touched.
    Next,
    /// Linux' file readahead.
    Readahead,
    /// Leap's majority trend (ATC '20).
    Leap,
    /// The density tree of NVIDIA's UVM driver.
    UvmTree,
    /// Best-Offset (HPCA '16).
    BestOffset,
    /// Signature path prefetching (MICRO '16).
    SignaturePath,
    /// Page successors, as DeepUM's correlation tables.
    Markov,
    /// A stride detector for each zone and stream.
    ZoneStride,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Next,
        Self::Readahead,
        Self::Leap,
        Self::UvmTree,
        Self::BestOffset,
        Self::SignaturePath,
        Self::Markov,
        Self::ZoneStride,
    ];

    /// The degree that makes it the published policy.
    pub const fn native_degree(self) -> u32 {
        match self {
            Self::Next | Self::BestOffset | Self::Markov | Self::ZoneStride => 4,
            Self::Leap => 8,
            Self::Readahead | Self::SignaturePath => 32,
            Self::UvmTree => uvm_tree::LEAVES,
        }
    }

    /// A fresh prefetcher of this kind that asks for at most `degree` pages at
    /// an access.
    pub fn prefetcher(self, degree: u32) -> Box<dyn Prefetcher> {
        match self {
            Self::Next => Box::new(Next::new(degree)),
            Self::Readahead => Box::new(Readahead::new(degree)),
            Self::Leap => Box::new(Leap::new(degree)),
            Self::UvmTree => Box::new(UvmTree::new(degree)),
            Self::BestOffset => Box::new(BestOffset::new(degree)),
            Self::SignaturePath => Box::new(SignaturePath::new(degree)),
            Self::Markov => Box::new(Markov::new(degree)),
            Self::ZoneStride => Box::new(ZoneStride::new(degree)),
        }
    }
}

/// The page `distance` pages after `page`, or `None` outside the address space.
fn offset_by(page: PageNumber, distance: i64) -> Option<PageNumber> {
    page.0.checked_add_signed(distance).map(PageNumber)
}

/// How far `to` lies after `from`, in pages.
fn distance(from: PageNumber, to: PageNumber) -> i64 {
    to.0.wrapping_sub(from.0).cast_signed()
}

#[cfg(test)]
mod testing {
    use augur_memory::{ContextId, Nanos, PageNumber};

    use crate::{Observation, Origin, Prefetcher, Stream};

    fn observe(prefetcher: &mut dyn Prefetcher, pages: &[u64], origin: Origin) -> Vec<u64> {
        let nothing = |_: ContextId, _: PageNumber| false;
        let mut wanted = Vec::new();
        for (index, &page) in pages.iter().enumerate() {
            let observation = Observation {
                stream: Stream {
                    context: ContextId(0),
                    queue: 0,
                },
                page: PageNumber(page),
                origin,
                write: false,
                time: Nanos(index as u64 * 10_000),
            };
            prefetcher.observe(&observation, &nothing, &mut wanted);
        }
        wanted.into_iter().map(|page| page.0).collect()
    }

    /// What `prefetcher` asks for while `pages` fault 10 µs apart and nothing
    /// else is visible.
    pub fn asked(prefetcher: &mut dyn Prefetcher, pages: &[u64]) -> Vec<u64> {
        observe(prefetcher, pages, Origin::Fault)
    }

    /// What `prefetcher` asks for at the first touch of `page`, mapped ahead.
    pub fn touched(prefetcher: &mut dyn Prefetcher, page: u64) -> Vec<u64> {
        observe(prefetcher, &[page], Origin::FirstTouch)
    }
}
