// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur doctor`: what this machine lacks, and the command that mends it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use augur_qemu::{Qemu, accelerator};
use clap::Args;
use serde::Serialize;

use crate::build::tool_root::{self, ToolRoot, on_path};
use crate::exit;
use crate::guest::{Parts, find_qemu};
use crate::plan::free_disk_mb;
use crate::project::Project;

/// Debian's signing keys, without which no tool root can be made.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Arguments of `augur doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// One need of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    need: &'static str,
    met: bool,
    /// What was found.
    detail: String,
    /// The command that mends it, when it is not met.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<&'static str>,
}

impl Finding {
    fn new(need: &'static str, met: bool, detail: impl Into<String>, mend: &'static str) -> Self {
        Self {
            need,
            met,
            detail: detail.into(),
            mend: (!met).then_some(mend),
        }
    }
}

impl Arguments {
    /// Checks each need and prints one line for it; the exit code says whether
    /// all are met.
    ///
    /// # Errors
    /// When this is not inside the source tree, or a recipe cannot be read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let project = Project::find()?;
        let findings = examine(&project)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&findings)?);
        } else {
            for finding in &findings {
                print(finding);
            }
        }
        let healthy = findings.iter().all(|finding| finding.met);
        Ok(if healthy {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::MACHINE)
        })
    }
}

fn print(finding: &Finding) {
    let Finding { need, detail, .. } = finding;
    match finding.mend {
        None => println!("ok       {need}: {detail}"),
        Some(mend) => println!("missing  {need}: {detail}\n         mend it with: {mend}"),
    }
}

fn examine(project: &Project) -> anyhow::Result<Vec<Finding>> {
    let root = ToolRoot::existing(project)?;
    let mut findings = vec![
        platform(),
        program("cc", "sudo apt-get install gcc libc6-dev"),
        program(
            "cargo",
            "sudo apt-get install rustup && rustup default stable (on Debian 12: rustup.rs)",
        ),
    ];
    if root.is_none() {
        findings.push(program("mmdebstrap", "sudo apt-get install mmdebstrap"));
        let keys = Path::new(KEYRING).exists();
        findings.push(Finding::new(
            "Debian's keys",
            keys,
            KEYRING,
            "sudo apt-get install debian-archive-keyring",
        ));
        let free = free_disk_mb(project).context("asking how much disk is free")?;
        let enough = free >= u64::from(tool_root::DISK_MB);
        findings.push(Finding::new(
            "disk",
            enough,
            format!("{free} MB free"),
            "make room for target/",
        ));
    }
    findings.push(qemu(root.as_ref()));
    findings.push(acceleration(project));
    Ok(findings)
}

fn platform() -> Finding {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let met = system == "linux" && processor == "x86_64";
    let detail = format!("{system} on {processor}");
    Finding::new(
        "Linux on x86-64",
        met,
        detail,
        "use an x86-64 Linux machine",
    )
}

fn program(name: &'static str, mend: &'static str) -> Finding {
    let met = on_path(name);
    Finding::new(
        name,
        met,
        if met {
            "on the PATH"
        } else {
            "not on the PATH"
        },
        mend,
    )
}

/// Without a tool root its QEMU is fetched by the first run, so only a damaged
/// one is something to mend.
fn qemu(root: Option<&ToolRoot>) -> Finding {
    let found = match root {
        Some(root) => find_qemu(root).map_err(|error| format!("{error:#}")),
        None => match Qemu::of_system() {
            Ok(qemu) => Ok(qemu),
            Err(error) => {
                let detail = format!("{error}; the first run fetches one");
                return Finding::new("QEMU", true, detail, "");
            }
        },
    };
    match found {
        Ok(qemu) => Finding::new("QEMU", true, qemu.description, ""),
        Err(error) => Finding::new("QEMU", false, error, "make clean && make run"),
    }
}

/// TCG always works, so that this need is always met.
fn acceleration(project: &Project) -> Finding {
    let detail = match accelerator::known(&Parts::acceleration_cache(project)) {
        Some(choice) => format!("{} ({})", choice.accelerator.name(), choice.reason),
        None => "KVM if a trial guest boots with it, else TCG".into(),
    };
    Finding::new("acceleration", true, detail, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unmet_need_has_a_command_that_mends_it() {
        let met = serde_json::to_value(Finding::new("cc", true, "there", "install it")).unwrap();
        assert_eq!(met.get("mend"), None);
        let unmet = serde_json::to_value(Finding::new("cc", false, "gone", "install it")).unwrap();
        assert_eq!(unmet["mend"], "install it");
    }
}
