// SPDX-License-Identifier: MIT OR Apache-2.0
//! One card as a table.

use std::fmt::Write as _;

use augur_abi::control::{ContextInfoResponse, CountersResponse};
use augur_client::counters::{card_counters, driver_counters};
use augur_client::units::Bytes;

use crate::overview::{Overview, name};

/// Columns between the outer borders.
const WIDTH: usize = 78;

/// The table, with every counter below it if `counters`.
pub fn render(card: &Overview, counters: bool) -> String {
    let mut table = Table::default();
    table.rule('=');
    let device = &card.device;
    let title = format!("Augur card {}", card.path);
    let abi = format!("ABI {}.{}", device.abi_major, device.abi_minor);
    table.row(&format!("{title:<48}{abi:<10}state: {}", card.state()));
    table.rule('-');
    table.row(&format!(
        "{} compute engines, {} DMA channels, {} submit queues, {} contexts at most",
        device.compute_engines, device.dma_channels, device.submit_queues, device.max_contexts
    ));
    match &card.counters {
        Some(now) => {
            table.row(&card.sensors.line());
            usage(&mut table, card, now);
        }
        None => table.row("the card is lost: its memory and contexts are unknown"),
    }
    table.rule('=');
    contexts(&mut table, &card.contexts);
    if counters {
        list(
            &mut table,
            "card",
            card.counters.iter().flat_map(card_counters),
        );
        list(&mut table, "driver", driver_counters(&card.driver));
    }
    table.rule('=');
    table.text
}

fn usage(table: &mut Table, card: &Overview, now: &CountersResponse) {
    let device = &card.device;
    let busy = card.busy.unwrap_or_default();
    table.row(&format!(
        "compute   {} {:>8.0} % busy          {:.3} s in all",
        bar((busy.compute * 100.0).round() as u64, 100),
        busy.compute * 100.0,
        now.compute_ns as f64 * 1e-9
    ));
    table.row(&format!(
        "DMA       {} {:>8.0} % busy          {} in, {} out",
        bar((busy.dma * 100.0).round() as u64, 100),
        busy.dma * 100.0,
        Bytes(now.dma_in_bytes),
        Bytes(now.dma_out_bytes)
    ));
    table.row(&format!(
        "memory    {} {:>10} of {:<10} objects {}",
        bar(now.object_bytes, device.usable_bytes),
        Bytes(now.object_bytes),
        Bytes(device.usable_bytes),
        now.objects
    ));
    table.row(&format!(
        "aperture  {} {:>10} of {:<10} windows {}",
        bar(now.window_bytes, device.aperture_bytes),
        Bytes(now.window_bytes),
        Bytes(device.aperture_bytes),
        now.windows
    ));
    if now.quarantined_bytes > 0 {
        table.row(&format!(
            "          {} of the aperture are in quarantine",
            Bytes(now.quarantined_bytes)
        ));
    }
    table.rule('-');
    table.row(&format!(
        "faults    {:<12} mapped    {:<12} revoked   {:<12}",
        now.faults, now.maps, now.revokes
    ));
    table.row(&format!(
        "lists     {:<12} failed    {:<12} commands  {:<12}",
        now.lists, now.failed_lists, now.commands
    ));
}

fn contexts(table: &mut Table, contexts: &[ContextInfoResponse]) {
    if contexts.is_empty() {
        table.row("no other program uses the card");
        return;
    }
    table.row(&format!(
        "{:>7} {:>8} {:<16} {:>10} {:>10} {:>8} {:>8}",
        "context", "process", "program", "memory", "aperture", "faults", "lists"
    ));
    table.rule('-');
    for context in contexts {
        let failed = if context.failed == 0 { "" } else { " failed" };
        table.row(&format!(
            "{:>7} {:>8} {:<16} {:>10} {:>10} {:>8} {:>8}{failed}",
            context.context,
            context.process,
            name(context),
            Bytes(context.object_bytes),
            Bytes(context.window_bytes),
            context.faults,
            context.lists
        ));
    }
}

fn list(table: &mut Table, title: &str, counters: impl IntoIterator<Item = (&'static str, u64)>) {
    table.rule('=');
    table.row(&format!("counters of the {title}"));
    table.rule('-');
    for (name, value) in counters {
        table.row(&format!("{name:<24}{value:>24}"));
    }
}

/// How much of `whole` is `part`, as a bar of twelve cells.
fn bar(part: u64, whole: u64) -> String {
    const CELLS: u128 = 12;
    let filled = (u128::from(part) * CELLS)
        .checked_div(u128::from(whole))
        .map_or(0, |cells| cells.min(CELLS) as usize);
    format!("[{:<12}]", "#".repeat(filled))
}

/// Lines between borders.
#[derive(Debug, Default)]
struct Table {
    text: String,
}

impl Table {
    fn rule(&mut self, line: char) {
        let line = String::from(line).repeat(WIDTH);
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "+{line}+");
    }

    fn row(&mut self, text: &str) {
        let width = WIDTH - 2;
        let _ = writeln!(self.text, "| {text:<width$.width$} |");
    }
}

#[cfg(test)]
mod tests {
    use augur_client::uapi::{QueryDevice, QueryDriver};

    use super::*;
    use crate::overview::Busy;
    use crate::sensors::Sensors;

    fn card() -> Overview {
        Overview {
            path: "/dev/accel/accel0".into(),
            device: QueryDevice {
                memory_bytes: 4 << 30,
                usable_bytes: (4 << 30) - (256 << 20),
                aperture_bytes: 256 << 20,
                ..Default::default()
            },
            driver: QueryDriver {
                state: 1,
                ..Default::default()
            },
            counters: Some(CountersResponse {
                window_bytes: 128 << 20,
                faults: 4711,
                ..Default::default()
            }),
            busy: Some(Busy {
                compute: 0.335,
                dma: 0.0,
            }),
            sensors: Sensors {
                power: Some(12.34),
                ..Sensors::default()
            },
            contexts: vec![ContextInfoResponse {
                process: 99,
                name: *b"evil\x1b[2J\0ignored",
                ..Default::default()
            }],
        }
    }

    #[test]
    fn every_line_has_the_same_width_and_control_characters_are_not_printed() {
        let text = render(&card(), true);
        for line in text.lines() {
            assert_eq!(line.chars().count(), WIDTH + 2, "{line}");
        }
        assert!(text.contains("evil?[2J") && !text.contains('\x1b'));
        assert!(text.contains("power     12.3 W       temp.     -"));
        assert!(text.contains("compute   [####        ]       34 % busy"));
        assert!(text.contains("4711") && text.contains("state: running"));
        assert!(text.contains("[######      ]    128 MiB of 256 MiB"));
    }

    #[test]
    fn a_lost_card_is_said_to_be_lost() {
        let lost = Overview {
            counters: None,
            busy: None,
            contexts: Vec::new(),
            ..card()
        };
        assert!(render(&lost, true).contains("the card is lost"));
    }

    #[test]
    fn bars_stay_within_their_cells() {
        assert_eq!(bar(0, 0), "[            ]");
        assert_eq!(bar(u64::MAX, 1), "[############]");
        assert_eq!(bar(1, 2), "[######      ]");
    }
}
