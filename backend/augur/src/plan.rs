// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run is about to do, said before it is done.

use std::io;

use anyhow::Context;
use augur_qemu::accelerator;

use crate::build::tool_root::{self, ToolRoot};
use crate::exit::Failure;
use crate::guest::Parts;
use crate::project::Project;

/// What is missing and what that costs.
#[derive(Debug, Clone)]
pub struct Plan {
    acceleration: String,
    tools_missing: bool,
}

impl Plan {
    /// Looks at what is there.
    ///
    /// # Errors
    /// A [`Failure`] when there is not enough disk space.
    pub fn of(project: &Project) -> anyhow::Result<Self> {
        let acceleration = match accelerator::known(&Parts::acceleration_cache(project)) {
            Some(choice) => format!("{} ({})", choice.accelerator.name(), choice.reason),
            None => "KVM if a trial guest boots with it, else TCG".into(),
        };
        let tools_missing = ToolRoot::existing(project)?.is_none();
        if tools_missing {
            let free = free_disk_mb(project).context("asking how much disk is free")?;
            let needed = tool_root::DISK_MB;
            if free < u64::from(needed) {
                let message = format!(
                    "{needed} MB of disk are needed and {free} MB are free; make room for target/"
                );
                return Err(Failure::machine(message).into());
            }
        }
        Ok(Self {
            acceleration,
            tools_missing,
        })
    }

    /// Prints it.
    pub fn announce(&self) {
        eprintln!("acceleration: {}", self.acceleration);
        if self.tools_missing {
            eprintln!(
                "to be fetched: about {} MB of Debian packages (QEMU, kernel, compiler) into target/tools; \
                 {} MB of disk; half a minute, then some minutes of compiling",
                tool_root::DOWNLOAD_MB,
                tool_root::DISK_MB
            );
        } else {
            eprintln!("to be fetched: nothing; this run works offline");
        }
    }
}

/// Megabytes that this user may fill where the built things go.
///
/// # Errors
/// The system does not say.
pub fn free_disk_mb(project: &Project) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(project.root())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000)
}
