// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur driver-debug`: a guest that gdb attaches to.

use std::process::ExitCode;
use std::time::Duration;

use augur_qemu::{Console, sockets};
use clap::Args;

use crate::card_process::CardOptions;
use crate::debug;
use crate::guest::{Guest, GuestOptions, Parts, guest_memory};
use crate::project::Project;
use crate::size::Size;

/// Nobody's session is interrupted by a limit; this one is a year.
const SESSION: Duration = Duration::from_secs(365 * 24 * 3600);

/// Arguments of `augur driver-debug`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    card: CardOptions,
    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = guest_memory)]
    guest_memory: Size,
}

impl Arguments {
    /// Boots, says how to attach, and stays until the shell in the guest ends.
    ///
    /// # Errors
    /// When the guest cannot be built or booted, or does not tell its addresses.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.card.check()?;
        let project = Project::find()?;
        let parts = Parts::ensure(&project)?;
        let sockets = sockets::folder()?;
        let stub = sockets.path().join("gdb");
        let options = GuestOptions {
            memory_mib: self.guest_memory.mib(),
            cards: vec![self.card],
            console: Console::Terminal,
            kernel_arguments: debug::kernel_arguments(),
            additional: debug::qemu_arguments(&stub),
            ..GuestOptions::new("driver-debug")
        };
        let guest = Guest::boot(&parts, &options)?;
        let script = debug::prepare(&project, &guest, &stub)?;
        eprintln!(
            "attach from another terminal:\n\n    gdb -x {}\n",
            Project::shown(&script)
        );
        eprintln!(
            "then, for example: hbreak augur_ioctl_submit, continue; and here: augur-test smoke"
        );
        eprintln!(
            "probe runs again at the same address: cd /sys/bus/virtio/drivers/augur; echo virtio1 >unbind; echo virtio1 >bind"
        );
        let folder = guest.wait_end(SESSION)?;
        eprintln!("logs: {}", Project::shown(folder.path()));
        Ok(ExitCode::SUCCESS)
    }
}
