// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a predictor is made with.

use crate::decision::Costs;

/// How much of the predictor is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The experts' own records.
    Classic,
    /// The scorer with the network.
    Full,
}

/// Sizes and costs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How much is at work.
    pub mode: Mode,
    /// Frames of the aperture.
    pub frames: u32,
    /// Steps that each stream may look ahead however small the aperture is: as many as
    /// it makes while news of an access and a fill are on their way.
    pub least_steps: u8,
    /// What things cost.
    pub costs: Costs,
    /// Seed of the choice of samples and of the first weights.
    pub seed: u64,
}
