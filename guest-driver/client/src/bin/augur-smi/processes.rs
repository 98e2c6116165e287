// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes that use a card, as /proc/PID/fdinfo tells them
//! (Documentation/gpu/drm-usage-stats.rst of the kernel).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use augur_client::Device;
use augur_client::units::Bytes;
use serde_json::{Value, json};

use crate::Failure;
use crate::system::{name, pci_function, text};

/// One open file of a card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client {
    /// PCI address of the card.
    pub card: String,
    /// Number of the open file, as the DRM core counts them.
    pub number: u64,
    /// Who has it open.
    pub process: u32,
    /// The program's name, fit to print.
    pub program: String,
    /// Bytes of objects.
    pub memory: u64,
    /// Bytes of windows.
    pub aperture: u64,
    /// Nanoseconds of compute engines: so far, or during the sample.
    pub compute_ns: u64,
    /// Nanoseconds of DMA channels: so far, or during the sample.
    pub dma_ns: u64,
    /// Part of all compute engines' time during the sample, 0 to 1.
    pub compute_share: Option<f64>,
    engines: u64,
}

/// The open files of these cards but our own, over `seconds` of sample.
///
/// # Errors
/// /proc cannot be read.
pub fn sampled(devices: &[Device], seconds: f64) -> Result<Vec<Client>, Failure> {
    let cards: BTreeSet<String> = devices
        .iter()
        .filter_map(pci_function)
        .map(|path| name(&path))
        .collect();
    let before = clients(&cards)?;
    if seconds <= 0.0 {
        return Ok(before);
    }
    let began = std::time::Instant::now();
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let after = clients(&cards)?;
    Ok(difference(
        &before,
        after,
        began.elapsed().as_nanos() as f64,
    ))
}

/// What clients used between two looks that are `nanos` apart.
fn difference(before: &[Client], after: Vec<Client>, nanos: f64) -> Vec<Client> {
    let earlier: BTreeMap<_, _> = before
        .iter()
        .map(|client| ((&client.card, client.number), client))
        .collect();
    after
        .into_iter()
        .map(|mut client| {
            if let Some(old) = earlier.get(&(&client.card, client.number)) {
                client.compute_ns = client.compute_ns.saturating_sub(old.compute_ns);
                client.dma_ns = client.dma_ns.saturating_sub(old.dma_ns);
            }
            let whole = nanos * client.engines.max(1) as f64;
            client.compute_share = Some((client.compute_ns as f64 / whole).clamp(0.0, 1.0));
            client
        })
        .collect()
}

fn clients(cards: &BTreeSet<String>) -> Result<Vec<Client>, Failure> {
    let entries = fs::read_dir("/proc").map_err(|source| Failure::System {
        what: "/proc".into(),
        source,
    })?;
    let own = std::process::id();
    let mut found: BTreeMap<(String, u64), Client> = BTreeMap::new();
    for entry in entries.flatten() {
        let Ok(process) = name(&entry.path()).parse::<u32>() else {
            continue;
        };
        if process == own {
            continue;
        }
        // Gone, or another user's.
        let descriptors = fs::read_dir(entry.path().join("fdinfo"));
        for descriptor in descriptors.into_iter().flatten().flatten() {
            let usage = text(&descriptor.path()).and_then(|text| parse(&text));
            let Some(mut client) = usage.filter(|client| cards.contains(&client.card)) else {
                continue;
            };
            client.process = process;
            client.program = program(&entry.path());
            // A file that a fork shares is the first process's.
            let key = (client.card.clone(), client.number);
            found.entry(key).or_insert(client);
        }
    }
    Ok(found.into_values().collect())
}

fn program(process: &Path) -> String {
    let name = text(&process.join("comm")).unwrap_or_default();
    name.chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

/// What one fdinfo says, if it is that of an Augur card.
fn parse(text: &str) -> Option<Client> {
    let fields: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key, value.trim()))
        .collect();
    if *fields.get("drm-driver")? != "augur" {
        return None;
    }
    let number = |key: &str| -> u64 {
        let mut words = fields.get(key).unwrap_or(&"0").split_whitespace();
        let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let unit: u64 = match words.next() {
            Some("KiB") => 1 << 10,
            Some("MiB") => 1 << 20,
            _ => 1,
        };
        u64::saturating_mul(number, unit)
    };
    Some(Client {
        card: (*fields.get("drm-pdev")?).to_owned(),
        number: number("drm-client-id"),
        memory: number("drm-total-device"),
        aperture: number("drm-resident-aperture"),
        compute_ns: number("drm-engine-compute"),
        dma_ns: number("drm-engine-dma"),
        engines: number("drm-engine-capacity-compute"),
        ..Client::default()
    })
}

/// For people.
pub fn table(clients: &[Client]) -> String {
    if clients.is_empty() {
        return "no other program uses a card\n".into();
    }
    let mut text = format!(
        "{:>8} {:<16} {:<13} {:>10} {:>10} {:>12} {:>12} {:>7}\n",
        "process", "program", "card", "memory", "aperture", "compute ms", "DMA ms", "compute"
    );
    for client in clients {
        let share = client
            .compute_share
            .map(|share| format!("{:.0}%", share * 100.0));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:>8} {:<16} {:<13} {:>10} {:>10} {:>12.1} {:>12.1} {:>7}",
            client.process,
            client.program,
            client.card,
            Bytes(client.memory),
            Bytes(client.aperture),
            client.compute_ns as f64 * 1e-6,
            client.dma_ns as f64 * 1e-6,
            share.unwrap_or_else(|| "-".into()),
        );
    }
    text
}

/// For programs.
pub fn to_json(clients: &[Client]) -> Value {
    let processes: Vec<Value> = clients
        .iter()
        .map(|client| {
            json!({
                "process": client.process,
                "program": client.program,
                "card": client.card,
                "client": client.number,
                "memory_bytes": client.memory,
                "aperture_bytes": client.aperture,
                "compute_ns": client.compute_ns,
                "dma_ns": client.dma_ns,
                "compute_share": client.compute_share,
            })
        })
        .collect();
    json!({ "processes": processes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FDINFO: &str = "pos:\t0\nflags:\t02100002\ndrm-driver:\taugur\ndrm-client-id:\t7\n\
        drm-pdev:\t0000:01:00.0\ndrm-engine-compute:\t3000000 ns\ndrm-engine-dma:\t1000 ns\n\
        drm-engine-capacity-compute:\t2\ndrm-total-device:\t4 MiB\ndrm-resident-aperture:\t64 KiB\n";

    #[test]
    fn usage_is_read_with_its_units() {
        let client = parse(FDINFO).expect("an Augur card's");
        assert_eq!(
            (client.number, client.memory, client.aperture),
            (7, 4 << 20, 64 << 10)
        );
        assert_eq!((client.compute_ns, client.dma_ns), (3_000_000, 1000));
        assert_eq!(client.card, "0000:01:00.0");
        assert_eq!(parse(&FDINFO.replace("augur", "amdgpu")), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn shares_are_of_all_engines_and_of_the_sample() {
        let before = parse(FDINFO).expect("an Augur card's");
        let mut after = before.clone();
        after.compute_ns += 500_000;
        let fresh = Client {
            number: 8,
            ..after.clone()
        };
        let shown = difference(&[before], vec![after, fresh], 1e6);
        assert_eq!(shown[0].compute_ns, 500_000);
        assert_eq!(shown[0].compute_share, Some(0.25));
        assert_eq!(shown[1].compute_share, Some(1.0));
        assert!(table(&shown).contains("25%") && table(&[]).starts_with("no other program"));
    }
}
