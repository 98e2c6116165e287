// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes and limits, and whether they fit together.

use thiserror::Error;

use super::MAX_WINDOW_ORDER;
use crate::{Frames, Nanos};

/// Windows of the demand size that a context can always hold.
pub(super) const GUARANTEED_WINDOWS: u32 = 8;

/// Sizes and limits of the device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// All device memory; frames behind the aperture are home frames.
    pub memory: Frames,
    /// Visible frames, the map header's included.
    pub aperture: Frames,
    /// Frames at the start of the aperture that are never part of a window.
    pub header: Frames,
    /// Pages of the window that answers a demand fault, at most; a power of two.
    pub demand_window: Frames,
    /// Visible frames that are kept free by evicting ahead of need.
    pub reserve: Frames,
    /// Visible frames beyond the reserve that are evicted when it is refilled: what is
    /// revoked together travels in one message each way.
    pub refill: Frames,
    /// Visible frames of windows that were mapped ahead and not used yet, at most.
    pub speculative: Frames,
    /// Visible frames that come to use, on demand or as predicted, before another
    /// prediction may take the place of a window that was mapped ahead and is not used
    /// yet. Not a time: what is predicted does not become wrong while programs compute.
    pub probation: Frames,
    /// Contexts at one time, at most; less when the aperture is too small for
    /// the windows that each may hold.
    pub max_contexts: u32,
    /// Objects of one context.
    pub max_objects: u32,
    /// How long a demand window cannot be a victim.
    pub lease: Nanos,
    /// How long the driver has to acknowledge.
    pub revoke_timeout: Nanos,
}

/// A configuration that cannot work.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The demand window is not a power of two of pages up to 2 MiB.
    #[error("the demand window must be a power of two between 4 KiB and 2 MiB")]
    DemandWindow,
    /// The aperture cannot hold the windows of a single context.
    #[error("the aperture must hold at least {0}: make it larger or the demand window smaller")]
    ApertureTooSmall(Frames),
    /// There is no memory behind the aperture.
    #[error("device memory must be larger than the aperture")]
    NoHomeMemory,
}

impl Config {
    /// Contexts that the aperture has room for.
    ///
    /// # Errors
    /// [`ConfigError`] when the sizes do not fit together.
    pub fn validated_contexts(&self) -> Result<u32, ConfigError> {
        if !self.demand_window.0.is_power_of_two() || self.demand_window.0 > 1 << MAX_WINDOW_ORDER {
            return Err(ConfigError::DemandWindow);
        }
        // Half of the aperture may be tied up in guaranteed windows.
        let for_one = 2 * GUARANTEED_WINDOWS * self.demand_window.0;
        let visible = self.aperture.0.saturating_sub(self.header.0);
        if visible < for_one {
            return Err(ConfigError::ApertureTooSmall(Frames(
                for_one + self.header.0,
            )));
        }
        if self.memory <= self.aperture {
            return Err(ConfigError::NoHomeMemory);
        }
        Ok(self.max_contexts.min(visible / for_one).max(1))
    }
}
