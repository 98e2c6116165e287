// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the kernel's small files.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use augur_client::Device;

/// A file's text without the end of its last line; nothing if it cannot be read.
pub fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim_end().to_owned())
}

/// A file's number; nothing if it cannot be read or is none.
pub fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// The folder of a card's device on its bus, below /sys/devices.
pub fn bus_device(device: &Device) -> Option<PathBuf> {
    let file = fs::read_link(format!("/proc/self/fd/{}", device.as_fd().as_raw_fd())).ok()?;
    let name = file.file_name()?;
    fs::canonicalize(Path::new("/sys/class/accel").join(name).join("device")).ok()
}

/// The PCI function that a card's device belongs to.
pub fn pci_function(device: &Device) -> Option<PathBuf> {
    let mut folder = bus_device(device)?;
    while !folder.join("vendor").exists() || !folder.join("class").exists() {
        folder = folder.parent()?.to_path_buf();
    }
    Some(folder)
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
