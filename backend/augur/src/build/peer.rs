// SPDX-License-Identifier: MIT OR Apache-2.0
//! qemu-storage-daemon, of the same release as the tool root's QEMU: the peer
//! that the benchmark puts beside the card. Fetched when a benchmark asks for
//! it, by nobody else.

use std::path::PathBuf;
use std::process::Command;

use augur_qemu::locate;

use crate::build::cache::{Inputs, kept};
use crate::build::tool_root;
use crate::exit::Failure;
use crate::progress;
use crate::project::Project;

/// A storage daemon that is in place.
#[derive(Debug, Clone)]
pub struct StorageDaemon {
    root: PathBuf,
}

impl StorageDaemon {
    /// The daemon, fetched first when it is not there or its recipe changed.
    ///
    /// # Errors
    /// When it cannot be fetched; a [`Failure`] when a program for that is missing.
    pub fn ensure(project: &Project) -> anyhow::Result<Self> {
        let recipe = project.path("images/peer");
        let digest = Inputs::new()
            .path(&recipe)?
            .path(&project.path("images/debian"))?
            .digest();
        let root = kept(&project.tools(), "peer", &digest, |path| {
            if !tool_root::on_path("mmdebstrap") {
                let message = "mmdebstrap is missing: sudo apt-get install mmdebstrap";
                return Err(Failure::machine(message).into());
            }
            let mut command = Command::new(recipe.join("build"));
            command.arg(path);
            let log = project.tools().join("peer.log");
            progress::run("the storage daemon (about 15 MB)", command, &log)
        })?;
        Ok(Self { root })
    }

    /// A command that runs it on this host.
    pub fn command(&self) -> Command {
        let program = "usr/bin/qemu-storage-daemon".as_ref();
        let mut words = locate::program_of_root(&self.root, program).into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}
