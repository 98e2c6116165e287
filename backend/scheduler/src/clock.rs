// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time as the scheduler sees it: a number that its caller hands in.
//!
//! The card hands in its own clock, the benchmark a virtual one; nothing in
//! this crate asks what time it is.

/// Nanoseconds, since an instant the caller chose or as a duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The sum, at most the largest number.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
