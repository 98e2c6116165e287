// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where cards are in the machine.

use std::fmt::Write as _;
use std::path::Path;

use augur_client::Device;
use serde_json::{Value, json};

use crate::system::{name, pci_function, text};

/// One card's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Device file.
    pub path: String,
    /// PCI addresses from the root complex to the card.
    pub bridges: Vec<String>,
    /// Speed and width of the card's link, if it says so.
    pub link: Option<String>,
    /// NUMA node, if there is more than one.
    pub node: Option<String>,
    /// Processors next to the card.
    pub processors: Option<String>,
    /// Interrupt vectors.
    pub interrupts: Vec<String>,
}

impl Place {
    /// Looks it up; what the kernel does not say is left out.
    pub fn of(device: &Device) -> Self {
        let path = device.path().display().to_string();
        let Some(function) = pci_function(device) else {
            return Self {
                path,
                ..Self::default()
            };
        };
        let link = text(&function.join("current_link_speed"))
            .zip(text(&function.join("current_link_width")))
            .map(|(speed, width)| format!("{speed} x{width}"));
        let vectors = std::fs::read_dir(function.join("msi_irqs"));
        let mut interrupts: Vec<String> = vectors
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| name(&entry.path()))
            .collect();
        interrupts.sort();
        Self {
            path,
            bridges: bridges(&function),
            link,
            node: text(&function.join("numa_node")).filter(|node| node != "-1"),
            processors: text(&function.join("local_cpulist")),
            interrupts,
        }
    }
}

/// The PCI addresses on the way to a function: the parts of its path that look
/// like one.
fn bridges(function: &Path) -> Vec<String> {
    let is_address = |part: &str| {
        let mut pieces = part.split([':', '.']);
        let hex = |piece: Option<&str>| {
            piece.is_some_and(|digits| u32::from_str_radix(digits, 16).is_ok())
        };
        part.len() == 12 && (0..4).all(|_| hex(pieces.next())) && pieces.next().is_none()
    };
    function
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .filter(|part| is_address(part))
        .collect()
}

/// For people.
pub fn tree(places: &[Place]) -> String {
    let mut text = String::new();
    for place in places {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", place.path);
        let last = place.bridges.len().saturating_sub(1);
        for (depth, address) in place.bridges.iter().enumerate() {
            let what = if depth == last { "card" } else { "bridge" };
            let _ = writeln!(
                text,
                "  {:indent$}{address}  {what}",
                "",
                indent = 2 * depth
            );
        }
        for (what, value) in [
            ("link", &place.link),
            ("NUMA node", &place.node),
            ("processors", &place.processors),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "  {what:<11} {value}");
            }
        }
        if !place.interrupts.is_empty() {
            let _ = writeln!(
                text,
                "  {:<11} {}",
                "interrupts",
                place.interrupts.join(" ")
            );
        }
    }
    text
}

/// For programs.
pub fn to_json(places: &[Place]) -> Value {
    let cards: Vec<Value> = places
        .iter()
        .map(|place| {
            json!({
                "path": place.path,
                "pci": place.bridges,
                "link": place.link,
                "numa_node": place.node,
                "processors": place.processors,
                "interrupts": place.interrupts,
            })
        })
        .collect();
    json!({ "cards": cards })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_card_is_the_addresses_in_its_path() {
        let path = Path::new("/sys/devices/pci0000:00/0000:00:03.0/0000:02:00.0");
        assert_eq!(bridges(path), ["0000:00:03.0", "0000:02:00.0"]);
        let place = Place {
            path: "/dev/accel/accel0".into(),
            bridges: bridges(path),
            processors: Some("0-1".into()),
            ..Place::default()
        };
        let text = tree(&[place]);
        assert!(
            text.contains("  0000:00:03.0  bridge\n    0000:02:00.0  card\n"),
            "{text}"
        );
        assert!(text.contains("processors  0-1") && !text.contains("NUMA"));
    }
}
