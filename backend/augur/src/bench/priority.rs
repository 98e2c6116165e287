// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench priority`: what the order in which DMA channels work is worth.
//!
//! The card runs in this process with its own threads; only the guest is missing. A
//! program faults all over its memory, alone, beside bulk transfers, and beside bulk
//! transfers and another program that goes through its memory in order, most of which
//! the card maps ahead of it. All that once on the card as it is and once on one that
//! does everything in the order in which it came.

mod load;

use std::process::ExitCode;
use std::time::Duration;

use augur_card::DmaOrder;
use clap::Args;
use serde::Serialize;

use self::load::{Load, Measured};
use crate::bench::card::figures::{Figures, Unit};

/// The loads, the lightest first.
const LOADS: [Load; 3] = [Load::Nothing, Load::Bulk, Load::BulkAndPredicted];

/// Arguments of `augur bench priority`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How long each row is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// DMA channels; each is a thread, and the program is one more
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    channels: u16,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// One row.
#[derive(Serialize)]
struct Row {
    order: &'static str,
    load: &'static str,
    #[serde(flatten)]
    measured: Measured,
}

impl Arguments {
    /// Measures and reports.
    ///
    /// # Errors
    /// The card cannot be made, or fails.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if !self.json {
            println!(
                "{} DMA channels, {} s a row; wall times, no guest\n\
                 {:<9} {:<16} {:>7} {:>9} {:>9} {:>9} {:>12} {:>9} {:>9}\n\
                 {:<9} {:<16} {:>7} {:>9} {:>9} {:>9} {:>12} {:>9} {:>9}",
                self.channels,
                self.seconds,
                "order",
                "beside",
                "demand",
                "p50",
                "p99",
                "bulk",
                "in-order",
                "found",
                "p99",
                "",
                "",
                "faults",
                "us",
                "us",
                "GB/s",
                "steps",
                "there",
                "us",
            );
        }
        let seconds = Duration::from_secs(self.seconds);
        for (order, name) in [
            (DmaOrder::Urgency, "urgency"),
            (DmaOrder::Arrival, "arrival"),
        ] {
            for load in LOADS {
                let measured = load::measure(order, self.channels, load, seconds)?;
                let row = Row {
                    order: name,
                    load: load.name(),
                    measured,
                };
                if self.json {
                    println!("{}", serde_json::to_string(&row)?);
                } else {
                    row.print();
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Row {
    fn print(&self) {
        let Measured {
            demand_faults,
            demand_ns_p50,
            demand_ns_p99,
            bulk_bytes_per_second,
            steps,
            steps_found,
            step_ns_p99,
        } = self.measured;
        let us = |nanos: u64| format!("{:.1}", nanos as f64 / 1e3);
        let steps_found = match steps {
            0 => "-".to_owned(),
            _ => format!("{:.1} %", 100.0 * steps_found as f64 / steps as f64),
        };
        println!(
            "{:<9} {:<16} {demand_faults:>7} {:>9} {:>9} {:>9.2} {steps:>12} {steps_found:>9} {:>9}",
            self.order,
            self.load,
            us(demand_ns_p50),
            us(demand_ns_p99),
            bulk_bytes_per_second as f64 / 1e9,
            if steps == 0 {
                "-".to_owned()
            } else {
                us(step_ns_p99)
            },
        );
    }
}

/// Adds one repeat of the rows on the card as it is to the figures of
/// `augur bench card`.
///
/// # Errors
/// The card cannot be made, or fails.
pub fn record(figures: &mut Figures) -> anyhow::Result<()> {
    for load in LOADS {
        let measured = load::measure(DmaOrder::Urgency, 1, load, Duration::from_secs(1))?;
        let group = "DMA under load, inside the card";
        for (what, nanos) in [
            ("demand fault", measured.demand_ns_p50),
            ("demand fault, p99", measured.demand_ns_p99),
        ] {
            let name = format!("{what}, beside {}", load.name());
            figures.add(group, name, Unit::Microseconds, None, nanos as f64 / 1e3);
        }
        if load != Load::Nothing {
            let name = format!("transfers, {}", load.name());
            let speed = measured.bulk_bytes_per_second as f64 / 1e9;
            figures.add(group, name, Unit::GigabytesPerSecond, None, speed);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_load_is_measured_in_both_orders() {
        for order in [DmaOrder::Urgency, DmaOrder::Arrival] {
            for load in LOADS {
                let measured = load::measure(order, 1, load, Duration::from_millis(50)).unwrap();
                assert!(measured.demand_faults > 0);
                assert!(measured.demand_ns_p50 <= measured.demand_ns_p99);
                let bulk = load != Load::Nothing;
                assert_eq!(measured.bulk_bytes_per_second > 0, bulk);
                assert_eq!(measured.steps > 0, load == Load::BulkAndPredicted);
            }
        }
    }
}
