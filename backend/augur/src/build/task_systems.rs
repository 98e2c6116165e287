// SPDX-License-Identifier: MIT OR Apache-2.0
//! libgomp, StarPU and TBB with a program on each: the task systems that a
//! benchmark puts beside the card's scheduler. Fetched and built when it asks for
//! them, by nobody else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::build::cache::{Inputs, kept};
use crate::build::tool_root;
use crate::exit::Failure;
use crate::progress;
use crate::project::Project;

/// Task systems that are in place.
#[derive(Debug, Clone)]
pub struct TaskSystems {
    root: PathBuf,
    enter: PathBuf,
}

impl TaskSystems {
    /// Their programs, fetched and built first when they are not there or changed.
    ///
    /// # Errors
    /// When they cannot be had; a [`Failure`] when a program for that is missing.
    pub fn ensure(project: &Project) -> anyhow::Result<Self> {
        let (recipe, sources) = (project.path("images/peers"), project.path("tests/peers"));
        let enter = project.path("images/tool-root/enter");
        let digest = Inputs::new()
            .path(&recipe)?
            .path(&sources)?
            .path(&project.path("images/debian"))?
            .path(&enter)?
            .digest();
        let root = kept(&project.tools(), "peers", &digest, |path| {
            if !tool_root::on_path("mmdebstrap") {
                let message = "mmdebstrap is missing: sudo apt-get install mmdebstrap";
                return Err(Failure::machine(message).into());
            }
            let mut command = Command::new(recipe.join("build"));
            command.arg(path).arg(&sources);
            let log = project.tools().join("peers.log");
            progress::run("libgomp, StarPU and TBB (about 140 MB)", command, &log)
        })?;
        Ok(Self { root, enter })
    }

    /// Where a file has to lie for the programs to see it, and its path for them.
    pub fn shared_file(&self, name: &str) -> (PathBuf, PathBuf) {
        let inside = Path::new("/peers").join(name);
        (self.root.join("peers").join(name), inside)
    }

    /// A command that runs one of the programs on this host, for `limit` at most.
    pub fn command(&self, program: &str, limit: Duration) -> Command {
        let mut command = Command::new(&self.enter);
        command.arg(&self.root).arg("timeout");
        command.arg(limit.as_secs().to_string());
        command.arg(format!("/peers/{program}"));
        command
    }
}
