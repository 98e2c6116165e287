//! The benchmarks of `augur bench`, one module each.  They run the card's own
//! crates on a virtual clock and report; what they measure knows nothing of
//! them.

pub mod predict;
pub mod schedule;
