// SPDX-License-Identifier: MIT OR Apache-2.0
//! The experts: each looks for one kind of pattern and proposes the pages that
//! would come next if it were there.
//!
//! An expert does not judge: it proposes generously, and the scorer learns how
//! far to believe it. Every expert's state is bounded, and none knows of
//! another.

mod append;
mod declared;
mod delta;
mod footprint;
mod hot;
mod log;
mod next;
mod replay;
mod stride;
mod successor;
mod translation;
mod tree;
mod two_dimensional;

pub use append::Append;
pub use declared::Declared;
pub use delta::DeltaSignature;
pub use footprint::Footprint;
pub use hot::HotSet;
pub use next::NextPages;
pub use replay::Replay;
pub use stride::Strides;
pub use successor::Successors;
pub use translation::Translations;
pub use tree::DensityTree;
pub use two_dimensional::TwoDimensional;

use crate::Stream;
use crate::history::{History, StreamHistory};
use crate::proposal::Proposals;

/// How many experts there are.
pub const EXPERTS: usize = 12;

/// The access that proposals follow. Page numbers carry their context in the
/// upper bits, so that experts need not tell contexts apart.
pub struct Moment<'a> {
    /// Who made the access.
    pub stream: Stream,
    /// The page.
    pub page: u64,
    /// Whether the page was not visible.
    pub fault: bool,
    /// The stream's past, this access included.
    pub recent: StreamHistory,
    /// The past of all.
    pub history: &'a History,
}

/// Looks for one kind of pattern.
pub trait Expert: Send {
    /// Learns from an access and proposes what follows it, as expert number
    /// `me`.
    fn propose(&mut self, moment: &Moment<'_>, me: usize, to: &mut Proposals);

    /// A page has left the aperture.
    fn unmapped(&mut self, page: u64, used: bool) {
        let _ = (page, used);
    }

    /// A command list that has been queued will use these pages in this order.
    fn declared(&mut self, stream: Stream, pages: &[u64]) {
        let _ = (stream, pages);
    }
}

/// All experts; the place in the list is the expert's number.
pub fn all() -> [Box<dyn Expert>; EXPERTS] {
    [
        Box::new(NextPages),
        Box::new(Strides::new()),
        Box::new(DeltaSignature::new()),
        Box::new(Successors::new()),
        Box::new(Replay::new()),
        Box::new(Footprint::new()),
        Box::new(DensityTree),
        Box::new(TwoDimensional::new()),
        Box::new(Append::new()),
        Box::new(HotSet::new()),
        Box::new(Declared::new()),
        Box::new(Translations::new()),
    ]
}

#[cfg(test)]
mod tests;
