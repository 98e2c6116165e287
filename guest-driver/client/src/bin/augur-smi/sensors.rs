// SPDX-License-Identifier: MIT OR Apache-2.0
//! Power, temperature and frequency, as hwmon and sysfs have them.

use std::fs;

use augur_client::Device;
use serde_json::{Value, json};

use crate::system::{bus_device, number};

/// What a card's sensors say; nothing where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensors {
    /// Watts.
    pub power: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Megahertz of the engines now.
    pub frequency: Option<u64>,
    /// Megahertz of the engines at most.
    pub max_frequency: Option<u64>,
}

impl Sensors {
    /// Reads them.
    pub fn of(device: &Device) -> Self {
        let Some(folder) = bus_device(device) else {
            return Self::default();
        };
        let monitors = fs::read_dir(folder.join("hwmon"));
        let monitor = monitors.into_iter().flatten().flatten().next();
        let reading = |name: &str| number(&monitor.as_ref()?.path().join(name));
        Self {
            power: reading("power1_input").map(|microwatts| microwatts as f64 * 1e-6),
            temperature: reading("temp1_input").map(|millidegrees| millidegrees as f64 * 1e-3),
            frequency: number(&folder.join("npu_current_frequency_mhz")),
            max_frequency: number(&folder.join("npu_max_frequency_mhz")),
        }
    }

    /// For `--json`.
    pub fn to_json(self) -> Value {
        json!({
            "power_watts": self.power,
            "temperature_celsius": self.temperature,
            "frequency_mhz": self.frequency,
            "max_frequency_mhz": self.max_frequency,
        })
    }

    /// For the table.
    pub fn line(self) -> String {
        let shown = |value: Option<f64>, unit: &str| match value {
            Some(value) => format!("{value:.1} {unit}"),
            None => "-".into(),
        };
        let frequency = match (self.frequency, self.max_frequency) {
            (Some(now), Some(most)) => format!("{now} of {most} MHz"),
            _ => "-".into(),
        };
        format!(
            "power     {:<12} temp.     {:<12} engines   {frequency}",
            shown(self.power, "W"),
            shown(self.temperature, "C")
        )
    }
}
