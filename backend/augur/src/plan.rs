// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run is about to do, said before it is done.

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
            let free = free_disk_mb(project);
            if free.is_some_and(|free| free < u64::from(tool_root::DISK_MB)) {
                let (needed, free) = (tool_root::DISK_MB, free.unwrap_or(0));
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

/// Megabytes free where the built things go, if the system says.
pub fn free_disk_mb(project: &Project) -> Option<u64> {
    let output = std::process::Command::new("df")
        .args(["-Pk", "--"])
        .arg(project.root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kib: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib / 1000)
}
