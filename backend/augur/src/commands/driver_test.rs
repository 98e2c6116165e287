// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur driver-test`: from an edit of the driver to a verdict.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use crate::build::driver;
use crate::build::tool_root::{Kernel, ToolRoot};
use crate::card_process::CardOptions;
use crate::exit;
use crate::guest::{Guest, GuestOptions, Parts};
use crate::project::Project;

/// Enough for the smoke test, and quickly there.
const GUEST_MIB: u64 = 512;
/// How long the smoke test may take; seconds on an idle machine.
const SMOKE: Duration = Duration::from_secs(120);

/// Arguments of `augur driver-test`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    card: CardOptions,
    /// The kernel that the guest boots
    #[arg(long, value_enum, default_value_t)]
    kernel: Kernel,
    /// Only compile the driver, and the example of a second one
    #[arg(long)]
    build_only: bool,
}

impl Arguments {
    /// Compiles what changed, boots, runs the smoke test, looks for warnings
    /// of the kernel.
    ///
    /// # Errors
    /// When the driver does not compile or the guest does not boot.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let began = Instant::now();
        self.card.check()?;
        let project = Project::find()?;
        if self.build_only {
            let root = ToolRoot::with_kernel(&project, self.kernel)?;
            for module in [driver::DRIVER, driver::MINIMAL] {
                driver::ensure(&project, self.kernel, &root, module)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let parts = Parts::with_kernel(&project, self.kernel)?;
        let options = GuestOptions {
            memory_mib: GUEST_MIB,
            cards: vec![self.card],
            ..GuestOptions::new("driver-test")
        };
        let guest = Guest::boot(&parts, &options)?;
        let job = guest.machine().begin(&["augur-test", "smoke"])?;
        let code = guest
            .machine()
            .follow(&job, &mut io::stdout(), &mut io::stderr(), SMOKE)?;
        let warnings = guest.machine().kernel_warnings();
        let folder = guest.power_off(SMOKE)?;
        for warning in &warnings {
            eprintln!("kernel: {warning}");
        }
        let passed = code == 0 && warnings.is_empty();
        let verdict = if passed { "passed" } else { "failed" };
        println!(
            "driver-test {verdict} after {:.1} s; logs: {}",
            began.elapsed().as_secs_f64(),
            Project::shown(folder.path())
        );
        Ok(if passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }
}
