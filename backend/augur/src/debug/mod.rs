// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a debugger needs of a running guest: QEMU's stub, symbols of the kernel
//! and of the driver at the addresses where they are, and a script for gdb that
//! puts them together.

pub mod symbols;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::guest::Guest;
use crate::project::Project;

/// How long the guest may take to say where its symbols are.
const ASKING: Duration = Duration::from_secs(120);
/// Where the driver is compiled in the tool root; see [`crate::build::driver`].
const BUILT_IN: &str = "/src";
/// Beginnings of the names of sections that are there after the driver was
/// loaded and that a debugger has use for.
const OF_USE: [&str; 5] = [".text", ".data", ".rodata", ".bss", ".exit.text"];
/// Prints each section of the driver with its address.
const SECTIONS: &str = "cd /sys/module/augur/sections && for s in .[a-z_]* [a-z_]*; do \
                        [ -f \"$s\" ] && echo \"$s $(cat \"$s\")\"; done; true";

/// QEMU's arguments for a stub that listens at `socket`.
pub fn qemu_arguments(socket: &Path) -> Vec<OsString> {
    let path = socket.to_string_lossy().replace(',', ",,");
    vec![
        "-gdb".into(),
        format!("unix:{path},server=on,wait=off").into(),
    ]
}

/// Words for the kernel's command line: addresses are the same after a reboot.
pub fn kernel_arguments() -> Vec<String> {
    vec!["nokaslr".into()]
}

/// Asks a guest whose driver is loaded for its addresses, and writes the
/// symbols and the script into its run folder. Returns the script.
///
/// # Errors
/// When the guest does not answer, has no driver, or a file cannot be written.
pub fn prepare(project: &Project, guest: &Guest, stub: &Path) -> anyhow::Result<PathBuf> {
    let kallsyms = ask(guest, &["cat", "/proc/kallsyms"])?;
    let symbols = symbols::parse(&kallsyms);
    if symbols.is_empty() {
        bail!("the guest's kernel does not tell its addresses");
    }
    let folder = guest.folder();
    let kernel = folder.join("kernel.symbols");
    fs::write(&kernel, symbols::elf(&symbols)).with_context(|| kernel.display().to_string())?;
    let sections = ask(guest, &["sh", "-c", SECTIONS])?;
    // A copy: the driver may be compiled again while it is looked at.
    let module = folder.join("augur.ko");
    let built = project.guest().join("augur.ko");
    fs::copy(&built, &module).with_context(|| built.display().to_string())?;
    let sources = project.path("guest-driver");
    let text = script(&kernel, &module, &sections, &sources, stub)?;
    let script = folder.join("gdb.script");
    fs::write(&script, text).with_context(|| script.display().to_string())?;
    Ok(script)
}

fn ask(guest: &Guest, words: &[&str]) -> anyhow::Result<String> {
    let output = guest.machine().output(words, ASKING)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What gdb is told.
fn script(
    kernel: &Path,
    module: &Path,
    sections: &str,
    sources: &Path,
    stub: &Path,
) -> anyhow::Result<String> {
    let mut addresses = Vec::new();
    for line in sections.lines() {
        let Some((name, address)) = line.split_once(' ') else {
            bail!("the guest describes a section of the driver as {line:?}");
        };
        if OF_USE.iter().any(|beginning| name.starts_with(beginning)) {
            addresses.push((name, address));
        }
    }
    if !addresses.iter().any(|(name, _)| *name == ".text") {
        bail!("the guest has not loaded the driver; its log says why");
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "set architecture i386:x86-64");
    let _ = writeln!(text, "set pagination off");
    let _ = writeln!(text, "set confirm off");
    let _ = writeln!(text, "symbol-file {}", quoted(kernel));
    let _ = write!(text, "add-symbol-file {}", quoted(module));
    for (name, address) in addresses {
        let _ = write!(text, " -s {name} {address}");
    }
    let _ = writeln!(text);
    let _ = writeln!(text, "set substitute-path {BUILT_IN} {}", quoted(sources));
    // The one command that takes its argument as it is.
    let _ = writeln!(text, "target remote {}", stub.display());
    Ok(text)
}

/// A path as a word of gdb.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script_of(sections: &str) -> anyhow::Result<String> {
        let path = Path::new;
        script(path("/k"), path("/m"), sections, path("/s"), path("/g"))
    }

    #[test]
    fn the_script_places_every_section_and_attaches_last() {
        let text = script_of(
            ".data 0xffffffffc0500000\n.init.text 0xffffffffc0700000\n.text 0xffffffffc0400000\n",
        )
        .unwrap();
        assert!(text.contains(
            "add-symbol-file \"/m\" -s .data 0xffffffffc0500000 -s .text 0xffffffffc0400000\n"
        ));
        assert!(text.ends_with("target remote /g\n"), "{text}");
    }

    #[test]
    fn a_guest_without_the_driver_is_said_to_lack_it() {
        let error = script_of("").unwrap_err().to_string();
        assert!(error.contains("has not loaded the driver"), "{error}");
        assert!(script_of("rubbish").is_err());
    }
}
