// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that is shown of one card, asked for once.

use augur_abi::CardState;
use augur_abi::control::{ContextInfoResponse, CountersResponse};
use augur_client::counters::{card_counters, driver_counters};
use augur_client::uapi::{QueryDevice, QueryDriver};
use augur_client::{Device, Error};
use serde_json::{Map, Value, json};

use crate::sensors::Sensors;

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
    /// Power, temperature, frequency.
    pub sensors: Sensors,
    /// Contexts but our own; empty when the card is lost.
    pub contexts: Vec<ContextInfoResponse>,
}

impl Overview {
    /// Asks the card. One that is lost is shown as far as the driver knows it.
    ///
    /// # Errors
    /// The driver cannot be asked.
    pub fn of(device: &Device) -> Result<Self, Error> {
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
