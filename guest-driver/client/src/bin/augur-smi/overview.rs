// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that is shown of one card, asked for at one moment.

use std::thread;
use std::time::Duration;

use augur_abi::CardState;
use augur_abi::control::{ContextInfoResponse, CountersResponse};
use augur_client::counters::{card_counters, driver_counters};
use augur_client::uapi::{QueryDevice, QueryDriver};
use augur_client::{Device, Error};
use serde_json::{Map, Value, json};

use crate::sensors::Sensors;

/// Over which time the use of engines is measured.
const SAMPLE: Duration = Duration::from_millis(100);

/// One card at one moment.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Device file.
    pub path: String,
    /// Sizes and limits.
    pub device: QueryDevice,
    /// The driver's counters and the card's state.
    pub driver: QueryDriver,
    /// The card's counters; `None` when it is lost.
    pub counters: Option<CountersResponse>,
    /// How busy the engines are; `None` when the card is lost.
    pub busy: Option<Busy>,
    /// Power, temperature, frequency.
    pub sensors: Sensors,
    /// Contexts but our own; empty when the card is lost.
    pub contexts: Vec<ContextInfoResponse>,
}

/// Parts of the time of all engines of a kind, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Busy {
    /// Of the compute engines.
    pub compute: f64,
    /// Of the DMA channels.
    pub dma: f64,
}

impl Busy {
    /// What the engines did between two looks, by the card's clock. Their time
    /// is counted when a command ends, which may have begun before.
    fn between(device: &QueryDevice, before: &CountersResponse, after: &CountersResponse) -> Self {
        let nanos = after.time_ns.saturating_sub(before.time_ns);
        let share = |before: u64, after: u64, engines: u32| {
            let whole = nanos.saturating_mul(engines.into()).max(1);
            (after.saturating_sub(before) as f64 / whole as f64).clamp(0.0, 1.0)
        };
        Self {
            compute: share(before.compute_ns, after.compute_ns, device.compute_engines),
            dma: share(before.dma_ns, after.dma_ns, device.dma_channels),
        }
    }
}

impl Overview {
    /// Asks the cards, twice, to see how busy they are.
    ///
    /// # Errors
    /// A driver cannot be asked.
    pub fn of_all(devices: &[Device]) -> Result<Vec<Self>, Error> {
        let before: Vec<_> = devices
            .iter()
            .map(|device| unless_lost(device.counters()))
            .collect::<Result<_, _>>()?;
        thread::sleep(SAMPLE);
        let cards = devices.iter().zip(&before);
        cards
            .map(|(device, before)| Self::of(device, before.as_ref()))
            .collect()
    }

    /// Asks a card. One that is lost is shown as far as the driver knows it.
    fn of(device: &Device, before: Option<&CountersResponse>) -> Result<Self, Error> {
        let counters = unless_lost(device.counters())?;
        let contexts = unless_lost(device.contexts())?;
        let own = device.information().context;
        Ok(Self {
            path: device.path().display().to_string(),
            device: *device.information(),
            driver: device.driver_counters()?,
            sensors: if counters.is_some() {
                Sensors::of(device)
            } else {
                Sensors::default()
            },
            busy: before
                .zip(counters.as_ref())
                .map(|(before, after)| Busy::between(device.information(), before, after)),
            counters,
            contexts: contexts
                .unwrap_or_default()
                .into_iter()
                .filter(|context| context.context != own)
                .collect(),
        })
    }

    /// State of the card as the driver sees it.
    pub fn state(&self) -> &'static str {
        match CardState::from_code(self.driver.state) {
            Some(CardState::Idle) => "idle",
            Some(CardState::Running) => "running",
            Some(CardState::Failed) => "failed",
            Some(CardState::Gone) => "gone",
            None => "unknown",
        }
    }

    /// The overview as `--json` prints it.
    pub fn to_json(&self) -> Value {
        let contexts: Vec<Value> = self.contexts.iter().map(context_json).collect();
        json!({
            "path": self.path,
            "state": self.state(),
            "abi": format!("{}.{}", self.device.abi_major, self.device.abi_minor),
            "memory_bytes": self.device.memory_bytes,
            "usable_bytes": self.device.usable_bytes,
            "aperture_bytes": self.device.aperture_bytes,
            "demand_window_bytes": self.device.demand_window_bytes,
            "max_window_bytes": self.device.max_window_bytes,
            "window_slots": self.device.window_slots,
            "compute_engines": self.device.compute_engines,
            "dma_channels": self.device.dma_channels,
            "submit_queues": self.device.submit_queues,
            "max_contexts": self.device.max_contexts,
            "max_submit_bytes": self.device.max_submit_bytes,
            "heartbeat": self.driver.heartbeat,
            "compute_share": self.busy.map(|busy| busy.compute),
            "dma_share": self.busy.map(|busy| busy.dma),
            "sensors": self.sensors.to_json(),
            "contexts": contexts,
            "counters": self.counters.as_ref().map(|counters| named(card_counters(counters))),
            "driver": named(driver_counters(&self.driver)),
        })
    }
}

/// What a lost card cannot answer is `None`.
fn unless_lost<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::CardLost { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(counters: impl IntoIterator<Item = (&'static str, u64)>) -> Map<String, Value> {
    counters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

fn context_json(context: &ContextInfoResponse) -> Value {
    json!({
        "context": context.context,
        "process": context.process,
        "name": name(context),
        "priority": context.priority,
        "failed": context.failed,
        "objects": context.objects,
        "object_bytes": context.object_bytes,
        "windows": context.windows,
        "window_bytes": context.window_bytes,
        "faults": context.faults,
        "lists": context.lists,
        "compute_ns": context.compute_ns,
        "transferred_bytes": context.transferred_bytes,
    })
}

/// Name of the program that owns a context, fit to print: the program chose it.
pub fn name(context: &ContextInfoResponse) -> String {
    let bytes = context.name.split(|&byte| byte == 0).next();
    String::from_utf8_lossy(bytes.unwrap_or_default())
        .chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_as_busy_as_their_share_of_the_time() {
        let device = QueryDevice {
            compute_engines: 2,
            dma_channels: 1,
            ..Default::default()
        };
        let look = |time_ns, compute_ns, dma_ns| CountersResponse {
            time_ns,
            compute_ns,
            dma_ns,
            ..Default::default()
        };
        let busy = |after| Busy::between(&device, &look(1000, 100, 0), &after);
        let half = Busy {
            compute: 0.5,
            dma: 0.25,
        };
        assert_eq!(busy(look(2000, 1100, 250)), half);
        // A long command that ended within the sample, and a card that began anew.
        assert_eq!(busy(look(1001, 9000, 9000)).compute, 1.0);
        assert_eq!(busy(look(0, 0, 0)), Busy::default());
    }
}
