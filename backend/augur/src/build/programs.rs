// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Rust programs of a run, built by cargo: the card's process for the
//! host, and static programs for the guest.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::progress;
use crate::project::Project;

/// The target of the guest's programs. It is also the host's; naming it keeps
/// the guest's compiler flags away from build scripts.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// A program that was built.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

/// The card's process.
///
/// # Errors
/// When it does not build.
pub fn card(project: &Project) -> anyhow::Result<PathBuf> {
    // Together with the launcher, as the Makefile builds them: alone it would have
    // other features of shared dependencies, and compile them all again.
    let programs = build(
        project,
        "card",
        &["-p", "augur", "-p", "augurd", "--bins"],
        false,
    )?;
    let card = programs
        .into_iter()
        .find(|program| program.name == "augurd");
    Ok(card.context("cargo built no augurd")?.path)
}

/// A card's process that misbehaves, for tests of the driver.
///
/// # Errors
/// When it does not build.
pub fn misbehaving_card(project: &Project) -> anyhow::Result<PathBuf> {
    // That program alone, with the dependencies of the others.
    let what = "-p augur -p augurd --features augurd/misbehave --bin augurd-misbehaving";
    let what: Vec<&str> = what.split(' ').collect();
    let programs = build(project, "misbehaving card", &what, false)?;
    let card = programs
        .into_iter()
        .find(|program| program.name == "augurd-misbehaving");
    Ok(card.context("cargo built no augurd-misbehaving")?.path)
}

/// The programs of the guest: the agent, and the tools over the driver.
///
/// # Errors
/// When they do not build.
pub fn guest(project: &Project) -> anyhow::Result<Vec<Program>> {
    build(
        project,
        "guest programs",
        &["-p", "augur-agent", "-p", "augur-client", "--bins"],
        true,
    )
}

fn build(
    project: &Project,
    label: &str,
    what: &[&str],
    for_guest: bool,
) -> anyhow::Result<Vec<Program>> {
    let cargo = |format: &str| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(project.root())
            .arg("build")
            .arg("--release")
            .args(what);
        command.arg(format!("--message-format={format}"));
        if for_guest {
            // Static, because the guest has no libraries.
            command
                .args(["--target", GUEST_TARGET])
                .env("RUSTFLAGS", "-C target-feature=+crt-static");
            command.env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        command
    };
    progress::run(
        label,
        cargo("short"),
        &project
            .guest()
            .join(format!("{}.log", label.replace(' ', "-"))),
    )?;
    // Everything is built; now cargo only says where.
    let output = cargo("json")
        .stdin(Stdio::null())
        .stderr(null()?)
        .output()
        .context("cargo")?;
    if !output.status.success() {
        bail!("cargo failed to name what it built ({})", output.status);
    }
    let mut programs = Vec::new();
    for line in output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let message: serde_json::Value =
            serde_json::from_slice(line).context("cargo sent no JSON")?;
        let name = message
            .pointer("/target/name")
            .and_then(|name| name.as_str());
        let path = message.get("executable").and_then(|path| path.as_str());
        if let (Some(name), Some(path)) = (name, path) {
            programs.push(Program {
                name: name.to_owned(),
                path: path.into(),
            });
        }
    }
    Ok(programs)
}

fn null() -> anyhow::Result<File> {
    File::options()
        .write(true)
        .open("/dev/null")
        .context("/dev/null")
}
