// SPDX-License-Identifier: MIT OR Apache-2.0
//! Power and temperature as the profile models them, for the guest's sensors.
//!
//! Nothing is measured: a card that exists as a process has neither. Power is
//! what the profile says for an idle card, and for each engine and channel that
//! works; temperature follows it through one thermal resistance and one heat
//! capacity (a first-order lag). Knows busy time, never who was busy with what.

use augur_memory::Nanos;
use serde::Deserialize;

/// What power and temperature follow from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct PowerConfig {
    /// Milliwatts of an idle card.
    pub idle_milliwatts: u32,
    /// Milliwatts more while a compute engine works.
    pub engine_milliwatts: u32,
    /// Milliwatts more while a DMA channel works.
    pub channel_milliwatts: u32,
    /// Temperature of an unpowered card, in millidegrees Celsius.
    pub ambient_millidegrees: u32,
    /// How much warmer it gets at last, in millidegrees for each watt.
    pub millidegrees_per_watt: u32,
    /// Milliseconds until 63 % of a change of temperature are reached, not zero.
    pub thermal_milliseconds: u32,
    /// Clock of a working engine in MHz; an idle one stands still.
    pub engine_megahertz: u32,
}

impl Default for PowerConfig {
    /// A passively cooled card of the 25 W class.
    fn default() -> Self {
        PowerConfig {
            idle_milliwatts: 4_000,
            engine_milliwatts: 8_000,
            channel_milliwatts: 2_000,
            ambient_millidegrees: 35_000,
            millidegrees_per_watt: 2_000,
            thermal_milliseconds: 10_000,
            engine_megahertz: 1_000,
        }
    }
}

/// The state of the model.
#[derive(Clone, Debug)]
pub(crate) struct Power {
    config: PowerConfig,
    now: Nanos,
    engines: Part,
    channels: Part,
    /// Since the card's process began, in nanojoules times 1000.
    energy_picojoules: u128,
    /// Of the last interval, in microwatts.
    pub microwatts: u64,
    millidegrees: f64,
    /// Whether an engine worked in the last interval.
    pub working: bool,
}

/// Engines of one kind.
#[derive(Clone, Debug)]
struct Part {
    count: u64,
    milliwatts: u64,
    /// Busy time that was accounted.
    busy: u64,
}

impl Part {
    /// Busy nanoseconds since the last time. Busy time is told when a command
    /// has ended, so that there may be more of it than the interval has room
    /// for: the rest is left for later.
    fn take(&mut self, busy: u64, interval: u64) -> u64 {
        let taken = busy
            .saturating_sub(self.busy)
            .min(interval.saturating_mul(self.count));
        self.busy += taken;
        taken
    }
}

impl Power {
    /// A card that has been idle for long.
    pub fn new(config: PowerConfig, engines: u16, channels: u16) -> Self {
        let part = |count: u16, milliwatts: u32| Part {
            count: count.into(),
            milliwatts: milliwatts.into(),
            busy: 0,
        };
        let mut power = Power {
            now: Nanos(0),
            engines: part(engines, config.engine_milliwatts),
            channels: part(channels, config.channel_milliwatts),
            energy_picojoules: 0,
            microwatts: u64::from(config.idle_milliwatts) * 1000,
            millidegrees: 0.0,
            working: false,
            config,
        };
        power.millidegrees = power.settled();
        power
    }

    /// Lets time pass; `engines` and `channels` are their busy nanoseconds since
    /// the beginning.
    pub fn advance(&mut self, now: Nanos, engines: u64, channels: u64) {
        let interval = now.0.saturating_sub(self.now.0);
        if interval == 0 {
            return;
        }
        self.now = now;
        let engine_time = self.engines.take(engines, interval);
        let channel_time = self.channels.take(channels, interval);
        // Milliwatts times nanoseconds are picojoules.
        let picojoules = u128::from(self.config.idle_milliwatts) * u128::from(interval)
            + u128::from(self.engines.milliwatts) * u128::from(engine_time)
            + u128::from(self.channels.milliwatts) * u128::from(channel_time);
        self.energy_picojoules += picojoules;
        self.microwatts =
            u64::try_from(picojoules * 1000 / u128::from(interval)).unwrap_or(u64::MAX);
        self.working = engine_time > 0;
        let lag = f64::from(self.config.thermal_milliseconds.max(1)) * 1e6;
        let towards = 1.0 - (-(interval as f64) / lag).exp();
        self.millidegrees += (self.settled() - self.millidegrees) * towards;
    }

    /// Energy since the beginning, in microjoules.
    pub fn microjoules(&self) -> u64 {
        u64::try_from(self.energy_picojoules / 1_000_000).unwrap_or(u64::MAX)
    }

    /// Temperature in millidegrees Celsius.
    pub fn millidegrees(&self) -> u32 {
        self.millidegrees as u32
    }

    /// Clock of the engines now, in MHz.
    pub fn megahertz(&self) -> u32 {
        if self.working {
            self.config.engine_megahertz
        } else {
            0
        }
    }

    /// Temperature that the present power leads to.
    fn settled(&self) -> f64 {
        f64::from(self.config.ambient_millidegrees)
            + f64::from(self.config.millidegrees_per_watt) * self.microwatts as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn power() -> Power {
        Power::new(PowerConfig::default(), 2, 1)
    }

    #[test]
    fn an_idle_card_takes_its_idle_power_and_keeps_its_temperature() {
        let mut power = power();
        power.advance(Nanos(10 * SECOND), 0, 0);
        assert_eq!(
            (power.microwatts, power.microjoules()),
            (4_000_000, 40_000_000)
        );
        assert_eq!((power.millidegrees(), power.megahertz()), (43_000, 0));
    }

    #[test]
    fn busy_engines_cost_energy_for_each_second_that_they_work() {
        let mut power = power();
        // One engine all the time, the channel half of it.
        power.advance(Nanos(2 * SECOND), 2 * SECOND, SECOND);
        assert_eq!(power.microwatts, 4_000_000 + 8_000_000 + 1_000_000);
        assert_eq!(power.microjoules(), 26_000_000);
        assert_eq!(power.megahertz(), 1_000);
    }

    #[test]
    fn busy_time_that_is_told_late_is_never_more_than_all_engines_at_once() {
        let mut power = power();
        power.advance(Nanos(SECOND), 0, 0);
        power.advance(Nanos(2 * SECOND), 5 * SECOND, 0);
        assert_eq!(power.microwatts, 4_000_000 + 2 * 8_000_000);
        power.advance(Nanos(10 * SECOND), 5 * SECOND, 0);
        assert_eq!(power.microjoules(), 40_000_000 + 5 * 8_000_000);
    }

    #[test]
    fn temperature_lags_behind_power_and_settles() {
        let mut power = power();
        power.advance(Nanos(10 * SECOND), 20 * SECOND, 0);
        let settled = 35_000.0 + 2_000.0 * 20.0;
        let expected = 43_000.0 + (settled - 43_000.0) * (1.0 - (-1.0_f64).exp());
        assert_eq!(power.millidegrees(), expected as u32);
        power.advance(Nanos(1_000 * SECOND), 2_000 * SECOND, 0);
        assert_eq!(power.millidegrees(), settled as u32);
    }
}
