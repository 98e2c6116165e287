// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur shell`: an interactive guest with the card, its driver and tools.

use std::process::ExitCode;
use std::time::Duration;

use augur_qemu::Console;
use clap::Args;

use crate::card_process::CardOptions;
use crate::guest::{Guest, GuestOptions, Parts, guest_memory};
use crate::project::Project;
use crate::size::Size;

/// Nobody's shell is interrupted by a limit; this one is a year.
const SESSION: Duration = Duration::from_secs(365 * 24 * 3600);

/// Arguments of `augur shell`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    card: CardOptions,
    /// How many cards like this the guest has
    #[arg(long, value_name = "N", default_value_t = 1)]
    cards: usize,
    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = guest_memory)]
    guest_memory: Size,
}

impl Arguments {
    /// Boots, and stays until the shell in the guest ends.
    ///
    /// # Errors
    /// When the guest cannot be built or booted.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.card.check()?;
        let cards = self.card.times(self.cards)?;
        let project = Project::find()?;
        let parts = Parts::ensure(&project)?;
        let options = GuestOptions {
            memory_mib: self.guest_memory.mib(),
            cards,
            console: Console::Terminal,
            ..GuestOptions::new("shell")
        };
        let name = parts.acceleration.accelerator.name();
        eprintln!("booting with {name}; leave with `exit`; tools: augur-smi, dmesg, lspci");
        let guest = Guest::boot(&parts, &options)?;
        let folder = guest.wait_end(SESSION)?;
        eprintln!("logs: {}", Project::shown(folder.path()));
        Ok(ExitCode::SUCCESS)
    }
}
