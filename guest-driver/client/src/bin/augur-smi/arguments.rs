// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line; its help is the manual.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::{model, profile};

/// Show the Augur cards of this machine: state, memory, aperture, sensors,
/// contexts and counters.
///
/// Without a command an overview of every card is printed. What is shown is
/// asked of the driver at that moment; nothing is allocated on a card, and a
/// card that is lost is shown as far as the driver still knows it.
///
/// Memory is what objects have; aperture is the part of it that programs see
/// through windows now. Engine times are the card's own, and how busy engines
/// are is seen over a tenth of a second; power and temperature are modelled by
/// the card's profile, not measured.
///
/// Exit codes: 0 shown or done; 2 wrong arguments; 3 no card, or it refused.
///
/// Examples:
///
///   augur-smi                      one table for each card
///
///   augur-smi --watch 1            again every second
///
///   augur-smi --json --counters    for programs
///
///   augur-smi ps --sample 2        engine use of processes over two seconds
///
///   augur-smi events | grep fault  what happens between driver and card
///
///   augur-smi model pull app.safetensors    what the card has learned
#[derive(Debug, Parser)]
#[command(name = "augur-smi", version, max_term_width = 100)]
pub struct Arguments {
    /// Print JSON instead of tables; with --watch, one line each time.
    #[arg(long, global = true)]
    pub json: bool,

    /// Show every counter of card and driver too (JSON always has them).
    #[arg(long)]
    pub counters: bool,

    /// Show again every SECONDS, until interrupted.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          global = true, value_parser = seconds)]
    pub watch: Option<f64>,

    /// Only the card with this device file.
    #[arg(long, value_name = "FILE", global = true)]
    pub device: Option<PathBuf>,

    /// What to show instead of the overview.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to show instead of the overview.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Processes that use a card: memory, aperture and engine time of each, as
    /// /proc/PID/fdinfo tells them. Those of other users need root.
    Ps {
        /// Seconds over which engine use is measured; 0 shows total times.
        #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
        sample: f64,
    },
    /// Where the cards are: PCI addresses and bridges, the link between, the
    /// NUMA node and its processors, interrupts.
    Topo,
    /// Reset cards that do not do what they should: all, or the one of
    /// --device. Programs keep their memory; command lists that do not end
    /// within some seconds end with an error. Needs root.
    Reset,
    /// Follow what happens between driver and card, a line each: lists
    /// submitted and ended, faults, windows mapped and taken back. Needs root
    /// and tracefs; the lines are the driver's tracepoints.
    Events {
        /// Stop after this many.
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
    },
    /// Record what the card knows of all programs' accesses: demand faults, first
    /// touches, transfers, operands of lists. Needs root.
    Profile {
        /// What to do.
        #[command(subcommand)]
        action: profile::Action,
    },
    /// Models by which the card maps memory ahead of use. To push one, or to name
    /// another program's context, needs root.
    Model {
        /// What to do.
        #[command(subcommand)]
        action: model::Action,
    },
}

impl Arguments {
    /// The time between two showings, if there is more than one.
    pub fn interval(&self) -> Option<Duration> {
        self.watch
            .map(|seconds| Duration::from_secs_f64(seconds.max(0.1)))
    }
}

/// A number of seconds that is a time: not negative, at most a day.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!(
            "'{text}' is not a number of seconds from 0 to 86400"
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The manual page beside the other documents.
    const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/augur-smi.1");

    #[test]
    fn the_manual_page_says_what_the_help_says() {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command().disable_help_subcommand(true))
            .render(&mut page)
            .expect("writing to memory");
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name().to_uppercase();
            page.extend(format!(".SH \"COMMAND {name}\"\n").bytes());
            let man = clap_mangen::Man::new(command.clone());
            man.render_description_section(&mut page)
                .expect("writing to memory");
            man.render_options_section(&mut page)
                .expect("writing to memory");
            man.render_subcommands_section(&mut page)
                .expect("writing to memory");
        }
        if std::env::var_os("AUGUR_MANUAL_WRITE").is_some() {
            std::fs::write(MANUAL, &page).expect("the manual page can be written");
        }
        let kept = std::fs::read(MANUAL).unwrap_or_default();
        assert!(
            kept == page,
            "docs/augur-smi.1 is out of date: run this test with AUGUR_MANUAL_WRITE=1"
        );
    }

    #[test]
    fn watching_has_a_default_and_wrong_times_are_refused() {
        let watch = |words: &[&str]| Arguments::try_parse_from(words).map(|found| found.watch);
        assert_eq!(watch(&["augur-smi", "--watch"]).ok(), Some(Some(2.0)));
        assert_eq!(
            watch(&["augur-smi", "--watch", "0.5"]).ok(),
            Some(Some(0.5))
        );
        assert!(watch(&["augur-smi", "--watch=-1"]).is_err());
        assert!(watch(&["augur-smi", "--watch", "nan"]).is_err());
        Arguments::command().debug_assert();
    }
}
