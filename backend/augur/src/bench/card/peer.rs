// SPDX-License-Identifier: MIT OR Apache-2.0
//! qemu-storage-daemon beside the card: a vhost-user block device without a
//! disk, in the same guest.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use augur_qemu::process::{Supervised, Terminal};

use crate::build::peer::StorageDaemon;
use crate::card_process::listens;

/// How long it may take until it listens.
const LISTENING: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// The block device in the guest.
pub const GUEST_DEVICE: &str = "/dev/vda";

/// A daemon that listens for QEMU. Dropping it ends the process.
#[derive(Debug)]
pub struct Peer {
    process: Supervised,
    socket: PathBuf,
}

impl Peer {
    /// Starts the daemon with a device that reads as zeros and waits until it
    /// listens at `socket`.
    ///
    /// # Errors
    /// When it cannot be started or does not come to listen.
    pub fn start(daemon: &StorageDaemon, socket: PathBuf, log: &Path) -> anyhow::Result<Self> {
        let path = socket.to_str().context("the socket's path is not text")?;
        let mut command = daemon.command();
        command.arg("--blockdev");
        command.arg("null-co,node-name=nothing,size=1073741824,read-zeroes=on");
        command.arg("--export").arg(format!(
            "type=vhost-user-blk,id=export,node-name=nothing,addr.type=unix,addr.path={path}"
        ));
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let process = Supervised::spawn(command, Terminal::Apart)?;
        let mut peer = Self { process, socket };
        let end = Instant::now() + LISTENING;
        while !listens(&peer.socket) {
            let status = peer.process.wait_at_most(POLL)?;
            if status.is_some() || Instant::now() >= end {
                bail!(
                    "qemu-storage-daemon does not listen; its log is {}",
                    log.display()
                );
            }
        }
        Ok(peer)
    }

    /// What QEMU needs on its command line for the device.
    pub fn qemu_arguments(&self) -> Vec<OsString> {
        let mut chardev = OsString::from("socket,id=peer,path=");
        chardev.push(&self.socket);
        vec![
            "-chardev".into(),
            chardev,
            "-device".into(),
            // The daemon has one queue unless told otherwise.
            "vhost-user-blk-pci,chardev=peer,num-queues=1".into(),
        ]
    }
}
