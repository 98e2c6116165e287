// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes and limits of a card.

use augur_memory::{Frames, Nanos, PAGE_SHIFT};
use augur_scheduler::policy::Policy;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::power::PowerConfig;

/// The reserve of visible frames over what is evicted beyond it when it is refilled:
/// with the sizes of the default, nine windows are revoked at once.
const REFILL_SHARE: u32 = 8;

/// Whether and how windows are mapped ahead of use.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PredictorMode {
    /// Windows are mapped on demand only.
    Off,
    /// By the experts' own records.
    Classic,
    /// By the learned scorer over the experts.
    #[default]
    Full,
}

impl PredictorMode {
    /// All modes, the least that is done first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Classic, Self::Full];

    /// The mode's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Classic => "classic",
            Self::Full => "full",
        }
    }
}

impl std::fmt::Display for PredictorMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no predictor mode.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("'{0}' is no predictor mode: give off, classic or full")]
pub struct UnknownPredictorMode(String);

impl std::str::FromStr for PredictorMode {
    type Err = UnknownPredictorMode;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| UnknownPredictorMode(name.to_owned()))
    }
}

/// What DMA channels do first.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DmaOrder {
    /// What programs wait for, then what was predicted, then transfers; a longer move
    /// makes way every 64 KiB.
    #[default]
    Urgency,
    /// What came first, all of it: to measure what urgency is worth.
    Arrival,
}

/// What a card is made of. Sizes are in bytes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct CardConfig {
    /// Device memory, the aperture included.
    pub memory_bytes: u64,
    /// The aperture, a power of two.
    pub aperture_bytes: u64,
    /// Window that answers a demand fault, a power of two from 4 KiB to 2 MiB.
    pub demand_window_bytes: u64,
    /// Compute engines.
    pub compute_engines: u16,
    /// DMA channels.
    pub dma_channels: u16,
    /// What DMA channels do first: `urgency`, or `arrival` to measure what that is
    /// worth.
    pub dma_order: DmaOrder,
    /// The unit at which dependences between commands are tracked: `adaptive`,
    /// `exact`, `tensor`, or blocks of `4k`, `64k`, `1m`.
    #[serde(deserialize_with = "policy")]
    pub tracking: Policy,
    /// Whether large commands are divided where engines would be idle; `false` to
    /// measure what that is worth.
    pub divides_commands: bool,
    /// Whether objects are moved to where they are used together; `false` to measure
    /// what that is worth.
    pub moves_objects: bool,
    /// Whether windows are mapped ahead of use, and by what: `off`, `classic` (the
    /// experts' own records) or `full` (the learned scorer as well).
    pub predictor: PredictorMode,
    /// Bytes of windows that were mapped ahead and not used yet, at most; zero for
    /// half of the aperture.
    pub speculative_bytes: u64,
    /// Largest window that is mapped ahead, a power of two from 4 KiB to 2 MiB; the
    /// demand window if that is larger.
    pub ahead_window_bytes: u64,
    /// Submit virtqueues.
    pub submit_queues: u16,
    /// Contexts at one time, at most.
    pub max_contexts: u16,
    /// Objects of one context, at most.
    pub max_objects: u32,
    /// Events that may wait for the driver's buffers.
    pub max_events: u32,
    /// Bytes of submissions in flight, at most.
    pub max_inflight_bytes: u64,
    /// Milliseconds that a demand window cannot be evicted.
    pub lease_ms: u32,
    /// Milliseconds that the driver has to acknowledge a revoke.
    pub revoke_timeout_ms: u32,
    /// Milliseconds between two heartbeats.
    pub heartbeat_ms: u32,
    /// What power and temperature follow from.
    pub power: PowerConfig,
}

impl Default for CardConfig {
    fn default() -> Self {
        CardConfig {
            memory_bytes: 4 << 30,
            aperture_bytes: 256 << 20,
            demand_window_bytes: 64 << 10,
            compute_engines: 2,
            dma_channels: 2,
            dma_order: DmaOrder::Urgency,
            tracking: Policy::Adaptive,
            divides_commands: true,
            moves_objects: true,
            predictor: PredictorMode::default(),
            speculative_bytes: 0,
            ahead_window_bytes: 512 << 10,
            submit_queues: 2,
            max_contexts: 128,
            max_objects: 1 << 16,
            max_events: 1 << 14,
            max_inflight_bytes: 64 << 20,
            lease_ms: 2,
            revoke_timeout_ms: 10_000,
            heartbeat_ms: 100,
            power: PowerConfig::default(),
        }
    }
}

/// A configuration that cannot work, with what to do about it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The aperture's size.
    #[error("the aperture must be a power of two between 1 MiB and 16 GiB, not {0} bytes")]
    Aperture(u64),
    /// The memory's size.
    #[error(
        "device memory must be whole pages, larger than the aperture and at most 1 TiB, not {0} bytes"
    )]
    Memory(u64),
    /// A count is out of its range.
    #[error("{name} must be between {least} and {most}, not {value}")]
    Count {
        /// What is counted.
        name: &'static str,
        /// The value given.
        value: u64,
        /// The least that works.
        least: u64,
        /// The most that works.
        most: u64,
    },
    /// The largest window that is mapped ahead.
    #[error(
        "the largest window mapped ahead must be a power of two between 4 KiB and 2 MiB, not {0} bytes"
    )]
    AheadWindow(u64),
    /// The sizes do not fit together.
    #[error(transparent)]
    Sizes(#[from] augur_memory::ConfigError),
}

impl CardConfig {
    /// The memory manager's part of the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] for values that cannot work.
    pub fn manager(&self) -> Result<augur_memory::Config, ConfigError> {
        let page = augur_abi::PAGE_BYTES;
        if !self.aperture_bytes.is_power_of_two()
            || !(1 << 20..=16 << 30).contains(&self.aperture_bytes)
        {
            return Err(ConfigError::Aperture(self.aperture_bytes));
        }
        if !self.memory_bytes.is_multiple_of(page)
            || self.memory_bytes <= self.aperture_bytes
            || self.memory_bytes > 1 << 40
        {
            return Err(ConfigError::Memory(self.memory_bytes));
        }
        for (name, value, least, most) in [
            (
                "the number of compute engines",
                self.compute_engines.into(),
                1,
                64,
            ),
            (
                "the number of DMA channels",
                self.dma_channels.into(),
                1,
                16,
            ),
            (
                "the number of submit queues",
                self.submit_queues.into(),
                1,
                62,
            ),
            ("the number of contexts", self.max_contexts.into(), 1, 4096),
            ("the number of objects", self.max_objects.into(), 1, 1 << 20),
            (
                "the number of waiting events",
                self.max_events.into(),
                4,
                1 << 20,
            ),
            (
                "the heartbeat in milliseconds",
                self.heartbeat_ms.into(),
                1,
                1000,
            ),
            (
                "the revoke timeout in milliseconds",
                self.revoke_timeout_ms.into(),
                10,
                600_000,
            ),
            ("the lease in milliseconds", self.lease_ms.into(), 0, 1000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::Count {
                    name,
                    value,
                    least,
                    most,
                });
            }
        }
        // Both sizes are at most 2^40 bytes, 2^28 pages.
        let frames = |bytes: u64| Frames((bytes >> PAGE_SHIFT) as u32);
        let demand_window = if self.demand_window_bytes.is_multiple_of(page) {
            frames(self.demand_window_bytes.min(1 << 40))
        } else {
            Frames(0)
        };
        let aperture = frames(self.aperture_bytes);
        if !self.ahead_window_bytes.is_power_of_two()
            || !(page..=2 << 20).contains(&self.ahead_window_bytes)
        {
            return Err(ConfigError::AheadWindow(self.ahead_window_bytes));
        }
        let speculative = match self.speculative_bytes {
            0 => Frames(aperture.0 / 2),
            bytes => frames(bytes.min(self.aperture_bytes)),
        };
        // Room for a few faults at once, so that they need not wait for an eviction.
        let reserve = (aperture.0 / 64).clamp(demand_window.0, 64 * demand_window.0.max(1));
        let manager = augur_memory::Config {
            memory: frames(self.memory_bytes),
            aperture,
            header: Frames(1),
            demand_window,
            reserve: Frames(reserve),
            refill: Frames(reserve / REFILL_SHARE),
            speculative,
            // A turnover.
            probation: aperture,
            max_contexts: self.max_contexts.into(),
            max_objects: self.max_objects,
            lease: milliseconds(self.lease_ms),
            revoke_timeout: milliseconds(self.revoke_timeout_ms),
        };
        manager.validated_contexts()?;
        Ok(manager)
    }
}

fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

fn milliseconds(count: u32) -> Nanos {
    Nanos(u64::from(count) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_works() {
        assert!(CardConfig::default().manager().is_ok());
    }

    #[test]
    fn sizes_that_cannot_work_are_named() {
        let with = |change: fn(&mut CardConfig)| {
            let mut config = CardConfig::default();
            change(&mut config);
            config.manager().unwrap_err().to_string()
        };
        assert!(with(|c| c.aperture_bytes = 3 << 20).contains("power of two"));
        assert!(with(|c| c.memory_bytes = 1 << 20).contains("larger than the aperture"));
        assert!(with(|c| c.compute_engines = 0).contains("compute engines"));
        assert!(with(|c| c.demand_window_bytes = 5000).contains("demand window"));
        assert!(with(|c| c.demand_window_bytes = 4 << 20).contains("demand window"));
        let tiny = with(|c| {
            c.aperture_bytes = 1 << 20;
            c.demand_window_bytes = 1 << 20;
        });
        assert!(tiny.contains("aperture must hold"));
    }
}
